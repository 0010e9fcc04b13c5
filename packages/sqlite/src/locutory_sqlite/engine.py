"""The open file: its writer, its readers, and its known faults.

Reads begin on the event loop; one that is not done after `LOOP_SECONDS` continues in a thread.
Writes of all callers use one thread, and those that wait at the same moment share one transaction
and so one wait for the disk. Other processes may have the file open.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from locutory_sqlite.catalog import WrongFormat, prepare, probe
from locutory_sqlite.connection import Connection, TooLong, connect
from locutory_sqlite.damage import SUSPICIOUS, Damage
from locutory_sqlite.errors import StorageError, storage_error
from locutory_sqlite.file import Identity, enable_wal, make_file
from locutory_sqlite.readers import BUSY_SECONDS, CLOSING_SECONDS, Readers
from locutory_sqlite.recognition import NewerFile
from locutory_sqlite.writer import Work, Writer

__all__ = ["Connection", "Engine", "TooLong"]

T = TypeVar("T")


class Engine:
    """An open file. Must be opened and closed on the loop that uses it."""

    def __init__(self, path: Path, *, create: bool = True, durable: bool = True) -> None:
        self.path = path
        self._create = create
        self._durable = durable
        self._readers: Readers | None = None
        self._writer: Writer | None = None
        self._identity: Identity | None = None
        self._damage: Damage | None = None
        self._unfinished: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Create or open the file. Raises `StorageError` with the reason when it cannot be opened,
        and ``FileNotFoundError`` when it does not exist and is not to be created."""
        first, identity = await asyncio.to_thread(self._first)
        self._identity = identity
        self._damage = damage = Damage(self.path, identity)
        self._readers = Readers(self.path, identity, damage)
        self._writer = Writer(first, partial(self._connected, identity), identity, damage)

    def _first(self) -> tuple[Connection, Identity]:
        make_file(self.path, create=self._create)
        try:
            sql = connect(self.path, durable=self._durable, patience=BUSY_SECONDS)
            try:
                enable_wal(sql, BUSY_SECONDS)
                prepare(sql)
                sql.execute("PRAGMA busy_timeout = 0")
            except BaseException:
                sql.close()
                raise
        except sqlite3.Error as error:
            raise StorageError(f"{storage_error(error)} ({self.path})") from error
        except WrongFormat as error:
            raise NewerFile(self.path, error.number) from error
        return Connection(sql), Identity(self.path)

    def _connected(self, identity: Identity) -> Connection:
        with identity.opening():
            return Connection(connect(self.path, durable=self._durable))

    async def close(self) -> None:
        """Finish the writes that have begun, and close every connection. Takes some seconds at
        most, whatever the state of the disk."""
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=CLOSING_SECONDS)
        readers, self._readers = self._readers, None
        writer, self._writer = self._writer, None
        if self._damage is not None:
            await self._damage.close()
        if readers is not None:
            await readers.close()
        if writer is not None:
            await writer.close()

    # Reading

    @property
    def readers(self) -> Readers:
        """`StorageError` after `close`."""
        if self._readers is None:
            raise StorageError("The database is closed")
        return self._readers

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A reader in a transaction, for as long as the block runs."""
        readers = self.readers
        reader = await readers.lend()
        try:
            yield reader
        finally:
            readers.give_back(reader)

    async def read(
        self, read: Callable[[Connection], T], *, long: bool = False, shape: Hashable = None
    ) -> T:
        """The result of ``read`` for a reader; see `Readers.run`."""
        async with self.snapshot() as reader:
            return await self.readers.run(reader, lambda: read(reader), long=long, shape=shape)

    # Writing

    async def write(self, work: "Work[T]") -> T:
        """The result of ``work``, once it is on the disk. Raises its exceptions, and then keeps
        none of its changes; `StorageError` when they could not be stored."""
        if self._writer is None or self._damage is None:
            raise StorageError("The database is closed")
        try:
            return await self._writer.write(work)
        except SUSPICIOUS as error:
            if (fault := await self._damage.confirmed(error)) is None:
                raise
            raise fault from error

    async def finish(self, work: "Coroutine[Any, Any, T]") -> T:
        """The result of several writes in a row; they continue if the caller is cancelled."""
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def check_storage(self) -> None:
        """Raise `StorageError` when the file cannot be read or written now. It is read; where
        damage was met, until a check of the file finds nothing; and written to when the last write
        failed."""
        if self._identity is not None:
            self._identity.check_all()
        async with self.snapshot() as reader:
            try:
                reader.sql.execute("SELECT number FROM locutory_format").fetchone()
            except sqlite3.Error as error:
                raise storage_error(error) from error
        if self._damage is not None and (fault := self._damage.watch()) is not None:
            raise fault
        if self._writer is not None and self._writer.fault is not None:
            await self.check_writing()

    async def check_writing(self) -> None:
        """`StorageError` when as much as an ordinary write cannot be stored now."""
        await self.write(lambda writer: probe(writer.sql))
        await self.write(lambda writer: writer.sql.execute("DELETE FROM locutory_probe"))
