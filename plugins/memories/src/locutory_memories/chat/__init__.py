"""Memories in chats: told to models, changed by their tools, kept by an agent."""
