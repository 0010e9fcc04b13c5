"""The permitted keys and values (contract memories §1, §2)."""

import re

from locutory import Services
from locutory_contracts.models import TOKENS

_KEY = re.compile(r"[a-z_]+")
_FORBIDDEN = "nothing"


def is_well_formed(key: str) -> bool:
    """``True`` for a key that may be created by hand."""
    return _KEY.fullmatch(key) is not None


def is_refused(key: str) -> bool:
    """``True`` for the one key that represents having nothing to remember."""
    return key.lower() == _FORBIDDEN


def length(text: str) -> int:
    """The number of characters as JavaScript counts them, which clients show."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Counter:
    """Tokens of values; an estimate when no plugin counts them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def count(self, text: str) -> int:
        counter = self._services.find(TOKENS)
        return (len(text) + 3) // 4 if counter is None else counter.count(text)
