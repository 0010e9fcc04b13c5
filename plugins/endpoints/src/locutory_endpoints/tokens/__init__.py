"""Counting tokens without the provider."""

from locutory_endpoints.tokens.counter import O200kCounter

__all__ = ["O200kCounter"]
