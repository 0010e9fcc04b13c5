"""What is wrong with a file or a value of it, and how it is said."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where something stands: the keys, and the numbers of list items, that lead to it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: its place (line and column from 1, or the path inside the value), what,
    and what to do about it."""

    text: str
    fix: str = ""
    line: int = 0
    column: int = 0
    path: Path = ()

    @property
    def mark(self) -> str:
        """``:3:5``, to put behind the name of the file; "" when the place is not known."""
        return f":{self.line}:{self.column}" if self.line else ""


class Unreadable(ValueError):
    """A file that cannot be read; carries everything that was found wrong."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.mark} {fault.text}".strip() for fault in faults))


def dotted(path: Path) -> str:
    """A place inside the value as people write it: ``endpoints.custom.0.name``."""
    return ".".join(map(str, path))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
