"""Runs of agents without a conversation, for programs."""
