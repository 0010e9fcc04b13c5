"""Turns of chats: the request, the work, what is saved, and how it ends."""
