"""Signing in with real identity providers, each a process of its own."""
