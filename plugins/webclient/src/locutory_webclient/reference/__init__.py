"""The page that shows the API."""

from locutory_webclient.reference.page import reference_route

__all__ = ["reference_route"]
