"""Memories: what a user wants every chat to know."""
