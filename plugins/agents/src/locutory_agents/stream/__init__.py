"""The event stream of a turn: its records as bytes, in a log that all readers share."""
