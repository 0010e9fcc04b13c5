"""Memories: facts that a user wants to be known in every conversation."""
