"""Turns of conversations: the request, the work, saving, and the end."""
