"""The wire of chat turns: event frames, protocol versions, the event stream, refusals."""
