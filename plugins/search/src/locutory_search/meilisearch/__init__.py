"""Meilisearch as an index, with the names and settings of LibreChat."""
