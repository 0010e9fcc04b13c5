"""HTTP routes of conversations and messages."""
