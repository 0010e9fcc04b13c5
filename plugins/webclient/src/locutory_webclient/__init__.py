"""Serves a web client, its start-up configuration, and answers for features that are off."""
