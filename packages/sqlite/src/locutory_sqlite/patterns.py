"""Regular expressions as the server has them (PCRE), run by the ``regex`` package.

``\\w``, ``\\d``, ``\\s``, ``\\b`` and POSIX classes are ASCII, ``i`` knows all letters. A search that
takes `SECONDS` is given up with an error: some expressions need exponential time.
"""

import re
from functools import lru_cache
from typing import Any, Final

import regex
from bson import Regex

from locutory_sqlite.errors import invalid
from locutory_sqlite.ordering import encode
from locutory_sqlite.pcre import Unreadable, translated

SECONDS: Final = 1.0
"""The maximum seconds for which one expression may search one string."""

_INVALID = 51091
_GIVEN_UP = 51156


class Pattern:
    """A compiled expression: ``text`` and ``flags`` (of ``re``) as they were given."""

    __slots__ = ("_encoded", "_options", "_search", "flags", "text")

    def __init__(self, text: str, flags: int) -> None:
        self.text = text
        self.flags = flags
        try:
            source = translated(text, extended=bool(flags & re.X), lines=bool(flags & re.M))
            kept = flags & (re.I | re.M | re.S)
            self._search = regex.compile(source, int(kept) | regex.V1).search
        except (regex.error, Unreadable, RecursionError, OverflowError, ValueError) as error:
            raise invalid(f"Regular expression is invalid: {error}", _INVALID) from None
        # Without repetition the time is linear; watching the clock takes longer than most searches.
        repeats = any(letter in text for letter in "*+?{(")
        self._options: dict[str, Any] = {"timeout": SECONDS, "concurrent": True} if repeats else {}
        self._encoded = encode(Regex(text, flags & ~re.U))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._encoded == other._encoded

    def __hash__(self) -> int:
        return hash(self._encoded)

    def __call__(self, value: Any) -> bool:
        """``True`` when the expression is found in a string, or the value is this very
        expression."""
        if type(value) is str:
            try:
                return self._search(value, **self._options) is not None
            except TimeoutError:
                text = f"The regular expression takes too long: {self.text[:100]}"
                raise invalid(text, _GIVEN_UP) from None
        if isinstance(value, Regex):
            return encode(Regex(value.pattern, value.flags & ~re.U)) == self._encoded
        return False


@lru_cache(maxsize=256)
def _compiled(text: str, flags: int) -> Pattern:
    return Pattern(text, flags)


_FLAGS = {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "u": 0}


def is_pattern(value: Any) -> bool:
    """``True`` for a regular expression, of a driver or compiled."""
    return isinstance(value, Regex | re.Pattern | Pattern)


def pattern_of(value: Any, options: Any = "") -> Pattern:
    """The expression of a ``$regex`` (text, or one with flags) and its ``$options``."""
    if isinstance(value, Pattern):
        return value
    flags = 0
    if isinstance(value, Regex | re.Pattern):
        flags, value = (0 if options else int(value.flags) & ~re.U), value.pattern
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise invalid("$regex has to be a string")
    if not isinstance(options, str):
        raise invalid("$options has to be a string")
    for letter in options:
        if letter not in _FLAGS:
            raise invalid(f"invalid flag in regex options: {letter}", 51108)
        flags |= _FLAGS[letter]
    if "\0" in value:
        raise invalid("Regular expression cannot contain an embedded null byte", 51109)
    return _compiled(value, int(flags))
