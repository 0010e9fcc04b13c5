"""Stored and shared state: the database, the outbox, the cache and Redis."""
