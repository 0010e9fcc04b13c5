"""What the functions of this package tell: progress, results, and errors for people."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class TransferError(Exception):
    """Why something cannot be done, in a sentence or two for the one who asked for it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` documents of a collection; the total is an estimate and may be
    passed. ``stage``: ``reading``, ``writing`` or ``verifying``."""

    stage: str
    collection: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """For those who do not want to know."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a collection there is: documents, and their bytes as BSON."""

    documents: int
    bytes: int

    def __str__(self) -> str:
        plural = "" if self.documents == 1 else "s"
        return f"{self.documents:,} document{plural}, {self.bytes:,} bytes"


def _lines(collections: dict[str, Amount], left_out: list[str], notes: list[str]) -> list[str]:
    found = [f"{name}: {amount}" for name, amount in sorted(collections.items())]
    found += [f"Left out: {each}" for each in left_out]
    return found + notes


@dataclass(slots=True)
class BackupReport:
    """``one_moment``: is all of it of one moment, or each collection of its own?"""

    path: Path
    one_moment: bool
    collections: dict[str, Amount] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a terminal."""
        moment = (
            "All collections are of one moment."
            if self.one_moment
            else "The collections were read one after the other: this database cannot show"
            " several of them at one moment. Stop the server for a backup of one moment."
        )
        return [*_lines(self.collections, self.left_out, [moment]), f"Written: {self.path}"]


@dataclass(slots=True)
class RestoreReport:
    """``kept``: collections that the archive does not have and that stay as they were;
    ``notes``: what the database does not take: options, and indexes that are not unique."""

    collections: dict[str, Amount] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a terminal."""
        kept = [f"Kept as it was: {name} is not in the archive" for name in self.kept]
        return _lines(self.collections, [], [*kept, *self.notes])


@dataclass(slots=True)
class CopyReport:
    """``changed``: collections in which the source has changed while they were copied; while
    there are any, the copy is not complete, and copying again catches up. ``damaged``: what was
    left out because it cannot be read."""

    collections: dict[str, Amount] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Do source and target hold the same?"""
        return not self.changed

    def lines(self) -> list[str]:
        """For a terminal."""
        notes = [*self.notes, *(f"Left out: {each}" for each in self.damaged)]
        if self.changed:
            notes.append(
                f"Not complete: the source changed in {', '.join(self.changed)} meanwhile."
                " Copy again to catch up; stop the server that writes to it for the last time."
            )
        return _lines(self.collections, self.left_out, notes)
