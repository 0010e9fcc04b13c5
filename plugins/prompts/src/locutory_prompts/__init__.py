"""Prompts of the users: groups, versions, categories."""
