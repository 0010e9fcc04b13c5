"""Halves of characters in the text of a JSON file.

JavaScript and Python cut texts anywhere, also inside an emoji, and write the half that is left as
``\\ud83d`` or ``\\ude00`` alone. Such a file is valid JSON, but the parser stops at it or makes
something else of it. Here it becomes ``\\ufffd``, which is as long, so places in the file stay.
"""

import re
from typing import Protocol

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FIRST_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_ESCAPES = re.compile(
    rb"\\\\"  # a backslash: what follows is no escape
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_ESCAPE = 6  # bytes of ``\ud83d``
_REPLACEMENT = rb"\ufffd"


class Readable(Protocol):
    """What is read in pieces."""

    def read(self, size: int) -> bytes: ...


class Mended:
    """Reads a file for the parser. Never holds back more than two escapes."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next bytes, about ``size``; none at the end only."""
        if size <= 0:  # the parser asks for nothing, to see what it gets
            return b""
        while True:
            chunk = self._file.read(size)
            data = self._rest + chunk
            end = _whole(data) if chunk else len(data)
            self._rest = data[end:]
            if end or not chunk:
                return mended(data[:end])


def mended(data: bytes) -> bytes:
    """Bytes that begin and end outside an escape, without halves of characters."""
    if _SURROGATE.search(data) is None:
        return data
    return _ESCAPES.sub(lambda found: _REPLACEMENT if len(found[0]) == _ESCAPE else found[0], data)


def _whole(data: bytes) -> int:
    """How much of the data surely ends outside an escape, and outside a pair of them."""
    last = data.rfind(b"\\", max(0, len(data) - 2 * _ESCAPE))
    if not _begins_escape(data, last):
        return len(data)
    before = last - _ESCAPE
    if _begins_escape(data, before) and _FIRST_HALF.match(data, before):
        return before
    return last


def _begins_escape(data: bytes, at: int) -> bool:
    """Is there a backslash that none before it makes a plain one?"""
    if at < 0 or data[at : at + 1] != b"\\":
        return False
    return (at + 1 - len(data[: at + 1].rstrip(b"\\"))) % 2 == 1
