"""Plugins: their base class, their discovery, and the context of their hooks."""
