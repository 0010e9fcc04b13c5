"""The page that is shown while no web client is installed."""

from locutory_webclient.landing.page import LandingPage

__all__ = ["LandingPage"]
