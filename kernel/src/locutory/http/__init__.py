"""Serving HTTP requests: routing, access, limits, validation and error responses."""
