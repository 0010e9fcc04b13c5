"""Forks and duplicates: parts of a conversation as a new one."""
