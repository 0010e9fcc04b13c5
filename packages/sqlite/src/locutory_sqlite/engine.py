"""The file: its connections, one writer that commits in groups, and readers that yield.

Reads begin on the event loop; one that is not done after `LOOP_SECONDS` goes on in a thread.
Writes of all callers go through one thread, and those that wait at the same moment share one
transaction and so one wait for the disk. Other processes may have the file open.
"""

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from locutory_sqlite.catalog import Catalog, WrongFormat, prepare
from locutory_sqlite.errors import StorageError, storage_error
from locutory_sqlite.file import enable_wal, make_file

T = TypeVar("T")

LOOP_SECONDS = 0.0015
"""How long a read may hold the event loop."""

BUSY_SECONDS = 20.0
"""How long a write waits for another process."""

_GROUP = 400
_READER_THREADS = 4


class TooLong(Exception):
    """A read has held the event loop for long enough; it begins again in a thread."""


@dataclass(slots=True)
class Connection:
    """One connection with what it knows of the catalogue. ``until``: when a read on it raises
    `TooLong`, by ``time.perf_counter``."""

    sql: sqlite3.Connection
    catalog: Catalog = field(default_factory=Catalog)
    until: float = math.inf
    _cursors: "weakref.WeakSet[sqlite3.Cursor]" = field(default_factory=weakref.WeakSet)

    def select(self, text: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The rows of a query, which are read until `end` at the latest."""
        cursor = self.sql.execute(text, values)
        self._cursors.add(cursor)
        return cursor

    def begin(self) -> None:
        """A transaction that sees one state of the file."""
        self.sql.execute("BEGIN")
        self.catalog.refresh(self.sql)

    def end(self) -> None:
        """Give that state up."""
        # An open cursor, kept by the traceback of an error, would hold on to it, and the next
        # transaction would see that old state.
        for cursor in list(self._cursors):
            cursor.close()
        if self.sql.in_transaction:
            self.sql.execute("ROLLBACK")

    def undo(self, savepoint: str = "") -> None:
        """Take back what came since a savepoint, or all of the transaction, and forget the
        catalogue that was undone with it."""
        self.sql.execute(f"ROLLBACK TO {savepoint}" if savepoint else "ROLLBACK")
        self.catalog.version = -1
        self.catalog.refresh(self.sql)


def _connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """A connection to a file that is there: SQLite must never make an empty one by itself."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS,
        isolation_level=None, check_same_thread=False, cached_statements=400,
    )  # fmt: skip
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    connection.execute("PRAGMA cache_size = -8192")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


Work = Callable[[Connection], T]
Read = Callable[[], T]
"""A read; it may be begun twice."""


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    done: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.done.done():
            return
        if self.error is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(self.error)


class Engine:
    """An open file. Must be opened and closed on the loop that uses it."""

    def __init__(self, path: Path, *, create: bool = True, durable: bool = True) -> None:
        self.path = path
        self._create = create
        self._durable = durable
        self.fault: StorageError | None = None
        self._readers: list[Connection] = []
        self._lent = 0
        self._threads: ThreadPoolExecutor | None = None
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Make or open the file; `StorageError` says what keeps it from opening, and
        ``FileNotFoundError`` that there is none, where none is to be made."""
        self._loop = asyncio.get_running_loop()
        first = await asyncio.to_thread(self._first)
        self._threads = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="sqlite-reader")
        self._writer = threading.Thread(
            target=self._write_all, args=(first,), name="sqlite-writer", daemon=True
        )
        self._writer.start()

    def _first(self) -> Connection:
        try:
            make_file(self.path, create=self._create)
            sql = self._connected()
            try:
                enable_wal(sql, BUSY_SECONDS)
                prepare(sql)
            except BaseException:
                sql.close()
                raise
        except sqlite3.Error as error:
            raise storage_error(error) from error
        except WrongFormat as error:
            raise StorageError("The database was written by a newer version") from error
        return Connection(sql)

    def _connected(self) -> sqlite3.Connection:
        return _connect(self.path, durable=self._durable)

    async def close(self) -> None:
        """Finish the writes that were begun, and close every connection."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._writes.put(None)
        await asyncio.to_thread(writer.join)
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown)
        while self._readers:
            self._readers.pop().sql.close()

    # Reading

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A reader in a transaction, for as long as the block runs."""
        reader = self.lend()
        try:
            yield reader
        finally:
            self.give_back(reader)

    def lend(self) -> Connection:
        """A reader in a transaction, until `give_back`."""
        if self._writer is None:
            raise StorageError("The database is closed")
        try:
            reader = self._readers.pop() if self._readers else Connection(self._connected())
            reader.begin()
        except sqlite3.Error as error:
            raise storage_error(error) from error
        return reader

    def give_back(self, reader: Connection) -> None:
        """End its transaction; one with a fault is closed."""
        try:
            reader.end()
        except sqlite3.Error:
            reader.sql.close()
            return
        if self._writer is None or len(self._readers) >= _READER_THREADS * 2:
            reader.sql.close()
        else:
            self._readers.append(reader)

    async def run(self, reader: Connection, read: "Read[T]", *, long: bool = False) -> T:
        """What a read returns. It is tried on the loop first, unless it is known to be ``long``;
        where that takes `LOOP_SECONDS` it begins again in a thread."""
        if not long:
            reader.until = time.perf_counter() + LOOP_SECONDS
            with contextlib.suppress(TooLong):
                try:
                    return read()
                except sqlite3.Error as error:
                    raise storage_error(error) from error
                finally:
                    reader.until = math.inf
        if self._threads is None or self._loop is None or self._writer is None:
            raise StorageError("The database is closed")
        thread = self._loop.run_in_executor(self._threads, _told, read)
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            # The connection can be used by others when the thread has left it, not before.
            reader.sql.interrupt()
            await asyncio.wait([thread])
            thread.exception()
            raise

    # Writing

    async def write(self, work: "Work[T]") -> T:
        """What ``work`` returns, once it is on the disk. Raises what it raises, and then
        nothing of it is kept; `StorageError` when it could not be stored."""
        if self._writer is None or self._loop is None:
            raise StorageError("The database is closed")
        done: asyncio.Future[Any] = self._loop.create_future()
        self._writes.put(_Write(work, done))
        result: T = await asyncio.shield(done)
        return result

    def _write_all(self, writer: Connection) -> None:
        """The writer's thread: groups of writes until `None` comes."""
        while True:
            first = self._writes.get()
            group: list[_Write] = []
            last = first is None
            if first is not None:
                group.append(first)
            while len(group) < _GROUP and not self._writes.empty():
                write = self._writes.get()
                if write is None:
                    last = True
                    break
                group.append(write)
            if group:
                writer = self._commit(writer, group)
                self._answer(group)
            if last:
                writer.sql.close()
                return

    def _answer(self, group: list[_Write]) -> None:
        def settle() -> None:
            for write in group:
                write.settle()

        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            if self._loop is not None:
                self._loop.call_soon_threadsafe(settle)

    def _commit(self, writer: Connection, group: list[_Write]) -> Connection:
        """One transaction for a group. The connection for the next one."""
        try:
            writer.sql.execute("BEGIN IMMEDIATE")
            writer.catalog.refresh(writer.sql)
            for write in group:
                self._apply(writer, write, alone=len(group) == 1)
            if writer.sql.in_transaction:
                writer.sql.execute("COMMIT")
            self.fault = None
            return writer
        except sqlite3.Error as error:
            self.fault = fault = storage_error(error)
            for write in group:
                write.error = write.error or fault
            return self._anew(writer)

    def _apply(self, writer: Connection, write: _Write, *, alone: bool) -> None:
        """One write of a group; its own error undoes only itself."""
        sql = writer.sql
        if not alone:
            sql.execute("SAVEPOINT one")
        try:
            write.result = write.work(writer)
        except sqlite3.Error:
            raise
        except Exception as error:
            write.error = error
            writer.undo("" if alone else "one")
        if not alone:
            sql.execute("RELEASE one")

    def _anew(self, writer: Connection) -> Connection:
        """After a fault of the storage: a connection that does not remember it."""
        with contextlib.suppress(sqlite3.Error):
            writer.end()
        with contextlib.suppress(sqlite3.Error):
            fresh = Connection(self._connected())
            writer.sql.close()
            return fresh
        writer.catalog.version = -1
        return writer


def _told(read: "Read[T]") -> T:
    try:
        return read()
    except sqlite3.Error as error:
        raise storage_error(error) from error
