"""The stored accounts."""
