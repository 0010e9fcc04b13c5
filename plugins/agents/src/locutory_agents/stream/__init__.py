"""The event stream of a turn: what is recorded, as bytes, in a log that all readers share."""
