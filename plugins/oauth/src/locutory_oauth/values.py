"""Reading claims and attributes, which come as one value or as several.

Directories hold several values of most attributes, and providers tell a single one as it is
and several as a list. Only user names are made of all of them; of anything else the first
one that can be used counts.
"""

import re
from collections.abc import Iterable
from typing import Any

from locutory_oauth.identity import text

LONGEST_ADDRESS = 254
"""Characters of an e-mail address at most (RFC 5321). Never cut: the rest of a longer one
could be somebody else's."""

_ATOM = r"""[^\s@<>()\[\]\\,;:"]"""
_ADDRESS = re.compile(rf"{_ATOM}+@(?:(?![.]){_ATOM})+(?:\.(?:(?![.]){_ATOM})+)+")


def values_of(value: Any) -> Iterable[Any]:
    """The values of a claim or attribute."""
    return value if isinstance(value, list | tuple) else (value,)


def texts_of(value: Any) -> list[str]:
    """Those of the values that are text and not blank."""
    return [found for each in values_of(value) if (found := text(each))]


def first_text(*values: Any) -> str:
    """The first text in any of the claims, or ""."""
    return next((found for value in values for found in texts_of(value)), "")


def joined_text(value: Any) -> str:
    """All values as one text, for user names."""
    return text("_".join(texts_of(value)))


def is_address(value: Any) -> bool:
    """``True`` for the text of an e-mail address and nothing else."""
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_ADDRESS
        and value.isprintable()
        and _ADDRESS.fullmatch(value) is not None
    )


def first_address(*values: Any) -> str:
    """The first e-mail address in any of the claims, or ""."""
    stripped = (
        each.strip() for value in values for each in values_of(value) if isinstance(each, str)
    )
    return next((each for each in stripped if is_address(each)), "")
