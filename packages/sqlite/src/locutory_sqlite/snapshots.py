"""One state of the file, read as long as a backup takes, while others write."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from locutory_sqlite.engine import Connection, Engine, Read, T, Work
from locutory_sqlite.errors import invalid

if TYPE_CHECKING:
    from locutory_sqlite.database import Database


class SnapshotEngine(Engine):
    """All reads go over one reader, in one transaction, one after the other. It refuses writes."""

    def __init__(self, engine: Engine, reader: Connection) -> None:
        super().__init__(engine.path)
        self._engine = engine
        self._reader: Connection | None = reader
        self._turn = asyncio.Lock()

    def lend(self) -> Connection:
        """The one reader; ``OperationFailure`` when the snapshot has ended."""
        if self._reader is None:
            raise invalid("The snapshot has ended")
        return self._reader

    def give_back(self, reader: Connection) -> None:
        """It stays in its transaction."""

    async def run(self, reader: Connection, read: "Read[T]", *, long: bool = False) -> T:
        """What a read returns, when its turn has come."""
        async with self._turn:
            self.lend()
            return await self._engine.run(reader, read, long=long)

    async def write(self, work: "Work[T]") -> T:
        """``OperationFailure``."""
        raise invalid("A snapshot can only be read")

    async def end(self) -> None:
        """Wait for the read that runs; later ones are refused."""
        async with self._turn:
            self._reader = None


@contextlib.asynccontextmanager
async def snapshot(database: "Database") -> AsyncIterator["Database"]:
    """The database as it is now, for as long as the block runs. What is written meanwhile stays
    in the write-ahead log, which grows by it."""
    client = database.client
    async with client.engine.snapshot() as reader:
        engine = SnapshotEngine(client.engine, reader)
        try:
            yield client.on(engine)[database.name]
        finally:
            await engine.end()
