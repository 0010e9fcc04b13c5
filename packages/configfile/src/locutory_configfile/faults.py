"""Errors in a file or in a value of it, and their wording."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The position of a value: the keys and the indexes of list items that lead to it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One error: its position (line and column from 1, or the path inside the value), its
    description, and a suggested correction."""

    text: str
    fix: str = ""
    line: int = 0
    column: int = 0
    path: Path = ()

    @property
    def mark(self) -> str:
        """``:3:5``, to append to the name of the file; "" when the position is not known."""
        return f":{self.line}:{self.column}" if self.line else ""


class Unreadable(ValueError):
    """A file that cannot be read; ``faults`` has all errors that were found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.mark} {fault.text}".strip() for fault in faults))


def dotted(path: Path) -> str:
    """A path inside the value in dotted form: ``endpoints.custom.0.name``."""
    return ".".join(map(str, path))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word; "" when none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
