"""Checks of a chat request before its turn starts."""
