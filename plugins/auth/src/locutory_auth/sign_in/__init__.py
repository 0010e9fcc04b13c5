"""Identifying users: by a password, by another service, by the session of a request."""
