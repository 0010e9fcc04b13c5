"""Faults of a file to import. Texts are sentences for the user."""

UNSUPPORTED = "Unsupported import type"
EMPTY = "The file holds no messages"


class InvalidItem(ValueError):
    """One conversation makes no sense; those after it may."""


class BrokenFile(ValueError):
    """The file cannot be read on."""
