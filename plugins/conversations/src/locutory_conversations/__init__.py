"""Conversations and messages: the history of every user."""
