"""Reading: connections that are lent, and reads that leave the event loop when they take long."""

import asyncio
import contextlib
import math
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from locutory_sqlite.connection import SLICE_SECONDS, Cancelled, Connection, TooLong, clock, connect
from locutory_sqlite.damage import SUSPICIOUS, Damage
from locutory_sqlite.errors import DamagedFile, StorageError, is_busy, is_damage, storage_error
from locutory_sqlite.file import Identity

T = TypeVar("T")
Read = Callable[[], T]
"""A read; it may be begun twice."""

LOOP_SECONDS = 0.0015
"""The maximum seconds for which a read may block the event loop."""

BUSY_SECONDS = 20.0
"""The seconds for which a call waits for another process that has locked the file."""

CLOSING_SECONDS = 5.0
"""The seconds for which closing waits for reads and for writes that have begun."""

_CHECK_SECONDS = 0.25  # a look at the file costs as much as a small read
_THREADS = 4
_IDLE = 8
_SHAPES = 500


class Shapes:
    """The shapes of queries that took long the last time, so that the next one is not tried on the
    event loop in vain."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    def __contains__(self, shape: Hashable) -> bool:
        return shape in self._known

    def add(self, shape: Hashable) -> None:
        """``None`` is that of a query that is not known."""
        if shape is not None:
            self._known[shape] = None
            if len(self._known) > _SHAPES:
                self._known.popitem(last=False)

    def discard(self, shape: Hashable) -> None:
        """It was quick."""
        self._known.pop(shape, None)


class Readers:
    """The connections that read, of one event loop."""

    def __init__(self, path: Path, identity: Identity, damage: Damage) -> None:
        self._path = path
        self._identity = identity
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        self.long = Shapes()
        self._checked = -math.inf
        self._damage = damage
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sqlite-reader")
        # A connection that is opened must not wait for long reads.
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="sqlite-opener")

    # Lending

    async def lend(self) -> Connection:
        """A reader in a transaction, until `give_back`; `StorageError`."""
        if self._closed:
            raise StorageError("The database is closed")
        if clock() > self._checked + _CHECK_SECONDS:
            self._identity.check()
            self._checked = clock()
        while self._idle:
            reader = self._idle.pop()
            try:
                reader.begin()
            except Exception:  # a new connection tells what it is
                reader.sql.close()
            else:
                self._lent.add(reader)
                return reader
        opening = asyncio.get_running_loop().run_in_executor(self._opener, self._fresh)
        try:
            reader = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._not_wanted)
            raise
        self._lent.add(reader)
        return reader

    def _not_wanted(self, opening: "asyncio.Future[Connection]") -> None:
        if not opening.cancelled() and opening.exception() is None:
            self.give_back(opening.result())

    def _fresh(self) -> Connection:
        """A new connection, in a transaction. Takes milliseconds: it has to read the schema."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self._identity.opening():
                    reader = Connection(connect(self._path, durable=True))
                try:
                    reader.begin()
                except BaseException:
                    reader.sql.close()
                    raise
                return reader
            except DamagedFile as fault:
                self._damage.met(fault)
                raise
            except sqlite3.Error as error:
                if not is_busy(error) or self._closed or time.monotonic() > until:
                    raise self._met(error) from error
            time.sleep(0.01)

    def give_back(self, reader: Connection) -> None:
        """End its transaction; one with a fault is closed. May be called in any thread."""
        self._lent.discard(reader)
        try:
            reader.end()
        except sqlite3.Error:
            reader.faulty = True
        if reader.faulty or reader.cancelled or self._closed or len(self._idle) >= _IDLE:
            reader.sql.close()
        else:
            self._idle.append(reader)

    # Reading

    async def run(
        self,
        reader: Connection,
        read: "Read[T]",
        *,
        long: bool = False,
        shape: Hashable = None,
    ) -> T:
        """The result of a read. It is tried on the event loop first, unless it is ``long`` or one
        of the same ``shape`` was; after `LOOP_SECONDS` it starts again in a thread."""
        if not long and shape not in self.long:
            reader.until = clock() + LOOP_SECONDS
            try:
                return read()
            except TooLong:
                self.long.add(shape)
            except SUSPICIOUS as error:
                if (fault := await self._fault(reader, error)) is None:
                    raise
                raise fault from error
            finally:
                reader.until = math.inf
        return await self._in_thread(reader, read, shape)

    async def compute(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which runs in a thread."""
        if self._closed:
            raise StorageError("The database is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _in_thread(self, reader: Connection, read: "Read[T]", shape: Hashable) -> T:
        if self._closed:
            raise StorageError("The database is closed")
        thread = asyncio.get_running_loop().run_in_executor(self._threads, _told, reader, read)
        try:
            found, seconds = await asyncio.shield(thread)
        except asyncio.CancelledError:
            # The connection can be used by others when the thread has left it, not before.
            reader.cancel()
            await asyncio.wait([thread])
            thread.exception()
            raise
        except Cancelled:
            raise StorageError("The database was closed") from None
        except SUSPICIOUS as error:
            if (fault := await self._fault(reader, error)) is None:
                raise
            raise fault from error
        if seconds < LOOP_SECONDS / 2:
            self.long.discard(shape)
        return found

    async def _fault(self, reader: Connection, error: Exception) -> StorageError | None:
        """The fault of the storage that caused the exception of a read, or ``None``."""
        reader.faulty = True  # it may remember what it has read
        if isinstance(error, sqlite3.Error):
            return self._met(error)
        return await self._damage.confirmed(error)

    def _met(self, error: sqlite3.Error) -> StorageError:
        fault = storage_error(error)
        if is_damage(error):
            self._damage.met(fault)
        return fault

    # Closing

    async def close(self) -> None:
        """Interrupt running reads, and close every connection."""
        self._closed = True
        for reader in list(self._lent):
            reader.cancel()
        self._opener.shutdown(wait=False)
        self._threads.shutdown(wait=False)
        idle, self._idle = self._idle, []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await asyncio.to_thread(_close_all, idle)


def _close_all(readers: list[Connection]) -> None:
    for reader in readers:
        with contextlib.suppress(sqlite3.Error):
            reader.sql.close()


def _told(reader: Connection, read: "Read[T]") -> tuple[T, float]:
    """The result of a read in a thread, and the seconds that it took."""
    reader.threaded = True
    begun = clock()
    if not reader.cancelled:
        reader.until = begun + SLICE_SECONDS
    try:
        return read(), clock() - begun
    finally:
        reader.threaded = False
        reader.until = math.inf
