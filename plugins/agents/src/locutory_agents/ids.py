"""Ids that turns make."""

import secrets
import time
from uuid import uuid4

_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def nanoid() -> str:
    """21 random characters of a URL-safe alphabet (126 bits)."""
    return "".join(_ALPHABET[byte & 63] for byte in secrets.token_bytes(21))


def uuid() -> str:
    """A random UUID, the id of a new message or conversation."""
    return str(uuid4())


def milliseconds() -> int:
    """The current moment as epoch milliseconds."""
    return int(time.time() * 1000)
