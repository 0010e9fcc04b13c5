"""Edits of stored messages."""
