"""Bookmarks: tags on conversations, with counts and an order."""
