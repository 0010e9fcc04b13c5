"""Answers for features whose plugin is off."""

from locutory_webclient.absent.answers import absent_routes

__all__ = ["absent_routes"]
