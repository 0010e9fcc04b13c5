"""One connection to the file, and the limits of time for the work on it."""

import math
import sqlite3
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locutory_sqlite.catalog import Catalog

clock = time.perf_counter

_HANDING_OVER = 0.0003  # seconds before the time is up
_CURSORS = 500  # after so many those that are gone are forgotten
_CACHE_KILOBYTES = 8192
WAL_BYTES = 16 * 1024 * 1024
"""The usual size of the write-ahead log before it is moved into the file."""


class TooLong(Exception):
    """A read has held the event loop for long enough, or a write the writer; it begins again
    in another place."""


class Cancelled(Exception):
    """Nobody waits for the read any more."""


PORTION_SECONDS = 0.008
"""The maximum seconds for which one piece of work may delay other writes."""

LONGEST_PORTION_SECONDS = 0.05
"""The same while no other is waiting: larger transactions cost less. Other processes may wait."""

SLICE_SECONDS = 0.001
PAUSE_SECONDS = 0.0001
"""A read in a thread lets go of the interpreter for a moment after each slice. It does so for SQLite
after every row as well, but takes it back before the event loop has woken up."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection with its knowledge of the catalogue. ``until``, by `clock`: the moment from
    which `late` is called, which raises or pauses; long work checks it repeatedly. ``crowded``
    returns ``True`` while other writes wait. ``key_seconds``: the recent time to write or remove a
    key of an index. ``threaded``: ``True`` while a read runs on it in a thread."""

    sql: sqlite3.Connection
    catalog: Catalog = field(default_factory=Catalog)
    until: float = math.inf
    threaded: bool = False
    cancelled: bool = False
    faulty: bool = False
    key_seconds: float = 0.000005
    crowded: Callable[[], bool] = bool
    _cursors: list[weakref.ref[sqlite3.Cursor]] = field(default_factory=list)

    def rows(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The rows of a query, one after the other, until `release`."""
        cursor = self.sql.execute(query, values)
        self._cursors.append(weakref.ref(cursor))
        if not len(self._cursors) % _CURSORS:
            self._cursors = [known for known in self._cursors if known() is not None]
        return cursor

    def release(self) -> None:
        """End the queries that were begun. One that is not, because the traceback of an error
        keeps it, would go on to see the old state of the file, and all later ones with it."""
        for known in self._cursors:
            cursor = known()
            if cursor is not None:
                cursor.close()
        self._cursors.clear()

    def begin(self) -> None:
        """A transaction that sees one state of the file."""
        self.sql.execute("BEGIN")
        self.catalog.refresh(self.sql)

    def end(self) -> None:
        """Give that state up."""
        self.release()
        if self.sql.in_transaction:
            self.sql.execute("ROLLBACK")

    def undo(self, savepoint: str = "") -> None:
        """Roll back to a savepoint, or all of the transaction, and forget the catalogue that was
        rolled back with it."""
        self.release()
        self.sql.execute(f"ROLLBACK TO {savepoint}" if savepoint else "ROLLBACK")
        self.catalog.version = -1
        self.catalog.refresh(self.sql)

    def until_enough(self) -> float:
        """The moment, by `clock`, to hand over what was read so far, so that the rest is read in a
        thread instead of all of it again."""
        return math.inf if self.threaded else self.until - _HANDING_OVER

    def tick(self) -> None:
        """Call it repeatedly in work that may take long."""
        if clock() > self.until:
            self.late()

    def late(self) -> None:
        """Time is up: `TooLong`, or, of a read in a thread, a pause."""
        if self.cancelled:
            raise Cancelled
        if not self.threaded:
            raise TooLong
        time.sleep(PAUSE_SECONDS)
        self.until = clock() + SLICE_SECONDS

    def leave_loop(self) -> None:
        """`TooLong` if time is limited: something follows that cannot be interrupted."""
        if self.until < math.inf and not self.threaded:
            raise TooLong

    def portion_ends(self, begun: float, keys: int = 0) -> bool:
        """``True`` when a write that began at ``begun``, by `clock`, should leave the rest for
        another turn. ``keys``: the number of keys that it has yet to write."""
        passed = clock() - begun + keys * self.key_seconds
        return passed > PORTION_SECONDS and (passed > LONGEST_PORTION_SECONDS or self.crowded())

    def cancel(self) -> None:
        """Interrupt the work that runs on it in a thread."""
        self.cancelled = True
        self.until = -math.inf
        self.sql.interrupt()

    def revive(self) -> None:
        """Let it be used again, when nothing runs on it any more after `cancel`."""
        self.release()
        self.cancelled = False
        self.until = math.inf


def connect(path: Path, *, durable: bool, patience: float = 0.0) -> sqlite3.Connection:
    """A connection to a file that is there: SQLite must never make an empty one by itself.
    ``patience``, in seconds, is for other processes that have it locked."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience,
        isolation_level=None, check_same_thread=False, cached_statements=400,
    )  # fmt: skip
    try:
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // 4096}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection
