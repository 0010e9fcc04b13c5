"""Memories in conversations: read by models, changed by their tools, maintained by an agent."""
