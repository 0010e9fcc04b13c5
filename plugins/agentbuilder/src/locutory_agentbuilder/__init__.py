"""Agents that users make: stored agents, their versions, the marketplace."""
