"""The results of this package: progress, reports, and errors for users."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class TransferError(Exception):
    """An operation is not possible; the text is a sentence or two for the user who requested it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` documents of a collection; the total is an estimate and may be
    exceeded. ``stage``: ``reading``, ``writing`` or ``verifying``."""

    stage: str
    collection: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """Ignore progress; the default callback."""


@dataclass(frozen=True, slots=True)
class Amount:
    """The size of a collection: documents, and their bytes as BSON."""

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
    """The result of a backup. ``one_moment``: ``True`` when all collections are of the same
    moment."""

    path: Path
    one_moment: bool
    collections: dict[str, Amount] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report as lines for a terminal."""
        moment = (
            "All collections are of one moment."
            if self.one_moment
            else "The collections were read one after the other: this database cannot show"
            " several of them at one moment. Stop the server for a backup of one moment."
        )
        return [*_lines(self.collections, self.left_out, [moment]), f"Written: {self.path}"]


@dataclass(slots=True)
class RestoreReport:
    """The result of a restore. ``kept``: collections that are not in the archive and were not
    changed; ``notes``: options, and indexes that are not unique, that the database refused."""

    collections: dict[str, Amount] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report as lines for a terminal."""
        kept = [f"Kept as it was: {name} is not in the archive" for name in self.kept]
        return _lines(self.collections, [], [*kept, *self.notes])


@dataclass(slots=True)
class CopyReport:
    """The result of a copy. ``changed``: collections of the source that changed while they were
    copied; while there are any, the copy is incomplete, and copying again completes it.
    ``damaged``: what was left out because it is unreadable."""

    collections: dict[str, Amount] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """``True`` when source and target hold the same documents, apart from damaged ones."""
        return not self.changed

    def lines(self) -> list[str]:
        """The report as lines for a terminal."""
        notes = [*self.notes, *(f"Left out: {each}" for each in self.damaged)]
        if self.changed:
            notes.append(
                f"Not complete: the source changed in {', '.join(self.changed)} meanwhile."
                " Copy again to catch up; stop the server that writes to it for the last time."
            )
        return _lines(self.collections, self.left_out, notes)
