"""The built-in index: one SQLite FTS5 file in the data directory."""
