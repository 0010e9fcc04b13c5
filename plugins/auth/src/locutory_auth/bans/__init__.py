"""Violations and bans (contract kernel §12)."""
