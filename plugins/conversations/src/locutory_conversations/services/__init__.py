"""The parts of the service `CONVERSATIONS` beyond single saves, and the feed of changes."""
