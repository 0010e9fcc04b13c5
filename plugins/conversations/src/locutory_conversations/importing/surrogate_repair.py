"""Halves of characters in the text of a JSON file.

JavaScript and Python cut texts anywhere, also inside an emoji, and write the half that is left as
``\\ud83d`` or ``\\ude00`` alone. Such a file is valid JSON, but the parser stops at it or makes
something else of it. Here it becomes ``\\ufffd``, which is as long, so places in the file stay.

The parser begins a text anew with every piece of it that it gets, so pieces grow while one text
goes on, and a text that no document could hold is refused as soon as that is clear.
"""

import re
from typing import Protocol

from locutory_conversations.importing.errors import BrokenFile

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FIRST_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_ESCAPES = re.compile(
    rb"\\\\"  # a backslash: what follows is no escape
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_ESCAPE = 6  # bytes of ``\ud83d``
_REPLACEMENT = rb"\ufffd"
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_LARGEST_PIECE = 2 * 1024 * 1024
_LONGEST_TEXT = 16 * 1024 * 1024
"""The limit of a document of MongoDB, in bytes."""


class Readable(Protocol):
    """A file that is read in pieces."""

    def read(self, size: int) -> bytes: ...


class RepairingReader:
    """Reads a file for the parser. Never holds back more than two escapes."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._rest = b""
        self._in_text = False
        self._unbroken = 0  # bytes since something in the file began or ended

    def read(self, size: int) -> bytes:
        """The next bytes, about ``size``; none at the end only."""
        if size <= 0:  # the parser asks for nothing, to see what it gets
            return b""
        while True:
            chunk = self._file.read(max(size, min(self._unbroken, _LARGEST_PIECE)))
            data = self._rest + chunk
            end = _whole(data) if chunk else len(data)
            self._rest = data[end:]
            if end or not chunk:
                self._watch(data[:end])
                return repaired(data[:end])

    def _watch(self, data: bytes) -> None:
        """Track the length of a text or number that continues through all of the data; `BrokenFile`
        when it is too long."""
        quotes = (_ESCAPED.sub(b"", data) if b"\\" in data else data).count(b'"')
        if quotes or (not self._in_text and (b"," in data or b":" in data)):
            self._unbroken = 0
        else:
            self._unbroken += len(data)
        self._in_text ^= quotes % 2 == 1
        if self._unbroken > _LONGEST_TEXT:
            raise BrokenFile(f"A text is longer than {_LONGEST_TEXT // 1024**2} MiB")


def repaired(data: bytes) -> bytes:
    """Bytes that begin and end outside an escape, without halves of characters."""
    if _SURROGATE.search(data) is None:
        return data
    return _ESCAPES.sub(lambda found: _REPLACEMENT if len(found[0]) == _ESCAPE else found[0], data)


def _whole(data: bytes) -> int:
    """The length of the data that certainly ends outside of an escape, and outside of a pair of
    them."""
    last = data.rfind(b"\\", max(0, len(data) - 2 * _ESCAPE))
    if not _begins_escape(data, last):
        return len(data)
    before = last - _ESCAPE
    if _begins_escape(data, before) and _FIRST_HALF.match(data, before):
        return before
    return last


def _begins_escape(data: bytes, at: int) -> bool:
    """``True`` for a backslash that is not itself escaped by one before it."""
    if at < 0 or data[at : at + 1] != b"\\":
        return False
    return (at + 1 - len(data[: at + 1].rstrip(b"\\"))) % 2 == 1
