"""Answers for features whose plugin is off."""

from locutory_webclient.off_answers.answers import off_routes

__all__ = ["off_routes"]
