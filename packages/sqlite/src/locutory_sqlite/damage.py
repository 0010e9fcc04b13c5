"""Damage that a call has met, until a look through the file no longer finds any."""

import asyncio
import contextlib
import math
import sqlite3
import struct
import time
from pathlib import Path

import structlog
from bson.errors import InvalidBSON

from locutory_sqlite.catalog import Catalog
from locutory_sqlite.connection import connect
from locutory_sqlite.errors import (
    DamagedFile,
    StorageError,
    damaged,
    is_damage,
    storage_error,
)
from locutory_sqlite.file import Identity

log = structlog.get_logger("locutory.database")

LOOK_SECONDS = 30.0
"""Between two looks at least; ten times as long as one takes where that is more."""

CONFIRM_SECONDS = 2.0
"""The seconds for which a failed call waits for a check that finds the reason."""

SUSPICIOUS = (
    InvalidBSON, TypeError, ValueError, LookupError, AttributeError, AssertionError,
    RecursionError, struct.error, sqlite3.Error,
)  # fmt: skip
"""The exceptions of this package's code when a damaged page has values that were never written."""


class Damage:
    """The known damage of one open file. To be used in one event loop, except `met`."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self._path = path
        self._identity = identity
        self._fault: StorageError | None = None
        self._next = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._sql: sqlite3.Connection | None = None
        self._closed = False

    def met(self, fault: StorageError) -> None:
        """A call has failed with this since something cannot be read. May be called in any
        thread."""
        self._fault = fault

    def watch(self) -> StorageError | None:
        """The fault that was met, if it may still exist. It is not cleared by itself: when this is
        called, the file is checked in a thread, at once and then at intervals."""
        if self._fault is not None:
            self.look()
        return self._fault

    async def confirmed(self, error: Exception) -> StorageError | None:
        """The fault, when one of the `SUSPICIOUS` errors comes from damage; ``None`` when it does
        not, or when that cannot be determined in time."""
        if isinstance(error, InvalidBSON):
            # The other reason is a date that does not suit the reader's options.
            return None if "datetime_conversion" in str(error) else damaged()
        if self._fault is None and (task := self.look()) is not None:
            await asyncio.wait([task], timeout=CONFIRM_SECONDS)
        return self._fault

    def look(self) -> "asyncio.Task[None] | None":
        """The look through the file that runs; a new one begins where the last is long ago."""
        if self._task is None and not self._closed and time.monotonic() >= self._next:
            self._task = asyncio.create_task(self._look())
        return self._task

    async def _look(self) -> None:
        begun, before = time.monotonic(), self._fault
        try:
            found = await asyncio.to_thread(self._finding)
        except (StorageError, sqlite3.Error) as error:  # the file is locked, or not there now
            log.debug("database.not_looked_through", reason=str(error))
        else:
            if found is not None:
                self._fault, finding = found
                log.error("database.damaged", finding=finding, file=str(self._path))
            elif self._fault is before:  # else a call has met more meanwhile
                self._fault = None
        finally:
            ended = time.monotonic()
            self._next = ended + max(LOOK_SECONDS, 10 * (ended - begun))
            self._task = None

    def _finding(self) -> tuple[StorageError, str] | None:
        """The first thing that is wrong, for people and for the log; ``None`` if nothing is. Reads
        all of the file, but does not decode documents."""
        with self._identity.opening():
            sql = connect(self._path, durable=True)
        with contextlib.closing(sql):
            self._sql = sql
            try:
                if self._closed:
                    return None
                line = sql.execute("PRAGMA quick_check(1)").fetchone()[0]
                if line == "ok":
                    line = _values(sql)
                return (damaged(), line) if line else None
            except DamagedFile as error:
                return error, "the catalogue of collections and indexes cannot be read"
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                return storage_error(error), str(error)
            finally:
                self._sql = None

    async def close(self) -> None:
        """End the look that runs."""
        self._closed = True
        task, sql = self._task, self._sql
        if sql is not None:
            sql.interrupt()
        if task is not None:
            await asyncio.wait([task])


def _values(sql: sqlite3.Connection) -> str:
    """A finding about values of a wrong type, which SQLite does not check; "" when there are
    none."""
    catalog = Catalog()
    catalog.refresh(sql)
    for stored in catalog.collections.values():
        query = (
            f"SELECT row FROM c{stored.number}"
            " WHERE typeof(id) <> 'blob' OR typeof(document) <> 'blob' LIMIT 1"
        )
        for (row,) in sql.execute(query):
            return f"{stored.name}: row {row} has no document"
    return ""
