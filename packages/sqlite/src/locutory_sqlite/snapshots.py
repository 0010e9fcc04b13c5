"""One state of the file, read as long as a backup takes, while others write."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Hashable
from typing import TYPE_CHECKING

from locutory_sqlite.connection import Connection
from locutory_sqlite.engine import Engine
from locutory_sqlite.errors import invalid
from locutory_sqlite.readers import Read, Readers, T
from locutory_sqlite.writer import Work

if TYPE_CHECKING:
    from locutory_sqlite.database import Database


class SnapshotReaders(Readers):
    """One reader in one transaction; reads go over it one after the other."""

    def __init__(self, readers: Readers, reader: Connection) -> None:
        self._of = readers
        self._reader: Connection | None = reader
        self._turn = asyncio.Lock()

    async def lend(self) -> Connection:
        """The one reader; ``OperationFailure`` when the snapshot has ended."""
        if self._reader is None:
            raise invalid("The snapshot has ended")
        return self._reader

    def give_back(self, reader: Connection) -> None:
        """It stays in its transaction."""

    async def run(
        self,
        reader: Connection,
        read: "Read[T]",
        *,
        long: bool = False,
        shape: Hashable = None,
    ) -> T:
        """The result of a read, which waits for its turn."""
        async with self._turn:
            await self.lend()
            try:
                return await self._of.run(reader, read, long=long, shape=shape)
            except asyncio.CancelledError:
                # Unlike other readers it is used again. What was being read ends with the read
                # that was cancelled: SQLite interrupts all that runs on a connection.
                reader.revive()
                raise

    async def compute(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which runs in a thread."""
        return await self._of.compute(work)

    async def end(self) -> None:
        """Wait for the read that runs; later ones are refused."""
        async with self._turn:
            self._reader = None


class SnapshotEngine(Engine):
    """Reads of one state of the file. It refuses writes."""

    def __init__(self, engine: Engine, readers: SnapshotReaders) -> None:
        super().__init__(engine.path)
        self._readers = readers

    async def write(self, work: "Work[T]") -> T:
        """``OperationFailure``."""
        raise invalid("A snapshot can only be read")


@contextlib.asynccontextmanager
async def snapshot(database: "Database") -> AsyncIterator["Database"]:
    """The database as it is now, for as long as the block runs. Writes meanwhile stay in the
    write-ahead log, which grows."""
    client = database.client
    async with client.engine.snapshot() as reader:
        readers = SnapshotReaders(client.engine.readers, reader)
        try:
            yield client.on(SnapshotEngine(client.engine, readers))[database.name]
        finally:
            await readers.end()
