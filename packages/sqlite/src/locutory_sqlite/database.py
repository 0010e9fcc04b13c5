"""The database and its client, with the methods of the driver's that beanie and plugins use."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from bson.codec_options import CodecOptions
from pymongo.errors import CollectionInvalid, PyMongoError

from locutory_sqlite.checking import check_file
from locutory_sqlite.collection import Collection
from locutory_sqlite.cursor import ResultCursor
from locutory_sqlite.engine import Engine
from locutory_sqlite.errors import StorageError, not_supported
from locutory_sqlite.salvage import readable
from locutory_sqlite.snapshots import snapshot

if TYPE_CHECKING:
    from locutory_sqlite.engine import Connection

log = structlog.get_logger("locutory.database")

EXPIRY_SECONDS = 60.0
"""The interval at which expired documents are searched."""

LEAST_FREE_BYTES = 32 * 1024 * 1024
"""With less room on the disk a log of its usual size may not fit into the file any more."""


class Client:
    """An open database file. ``await open()`` before use, ``await close()`` after it."""

    def __init__(
        self, path: Path, *, tz_aware: bool = True, create: bool = True, durable: bool = True
    ) -> None:
        """``create``: make the file if there is none; ``durable``: wait for the disk."""
        self.engine = Engine(path, create=create, durable=durable)
        self.codec_options: CodecOptions[dict[str, Any]] = CodecOptions(
            tz_aware=tz_aware, tzinfo=UTC if tz_aware else None
        )
        self._databases: dict[str, Database] = {}
        self._expiry: asyncio.Task[None] | None = None

    @property
    def path(self) -> Path:
        """The file, for messages and for comparing two databases."""
        return self.engine.path.resolve()

    async def open(self) -> "Client":
        """Open the file, if it is not, and begin to remove documents whose time has passed."""
        if self._expiry is None:
            await self.engine.open()
            self._expiry = asyncio.create_task(self._expire())
        return self

    async def close(self) -> None:
        """Finish the writes that have begun, and close the file."""
        task, self._expiry = self._expiry, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.engine.close()

    async def __aenter__(self) -> "Client":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def check_writing(self) -> None:
        """`StorageError` when the file cannot be written now, or not for long: a write is tried,
        and there must be room for the write-ahead log to be brought into the file."""
        await self.engine.check_writing()
        free = (await asyncio.to_thread(shutil.disk_usage, self.path.parent)).free
        if free < LEAST_FREE_BYTES:
            raise StorageError(
                f"The disk of the database is nearly full: {free / 2**20:.1f} MB are free at"
                f" {self.path.parent}"
            )

    def __getitem__(self, name: str) -> "Database":
        return self.get_database(name)

    def get_database(self, name: str = "LibreChat") -> "Database":
        """The database; a file holds one, whatever its name."""
        return self._databases.setdefault(name, Database(self, name))

    async def drop_database(self, name_or_database: "str | Database") -> None:
        """Remove every collection of the file."""
        name = name_or_database if isinstance(name_or_database, str) else name_or_database.name
        database = self[name]
        for collection in await database.list_collection_names():
            await database.drop_collection(collection)

    def get_default_database(self, default: str | None = None) -> "Database":
        """The one database of the file, under the name ``default``."""
        return self[default or "LibreChat"]

    @property
    def admin(self) -> "Database":
        """Takes ``ping`` and ``buildInfo``."""
        return self["admin"]

    def on(self, engine: Engine) -> "Client":
        """The same databases, read by another engine."""
        client = Client(engine.path)
        client.engine, client.codec_options = engine, self.codec_options
        return client

    def append_metadata(self, *_: object) -> None:
        """The driver's name for the server's log; there is none."""

    def start_session(self, **_options: Any) -> Any:
        """Transactions over several calls are not supported."""
        raise not_supported("sessions")

    async def server_info(self) -> Mapping[str, Any]:
        """``version``, as far as drivers look at it."""
        return {"version": "8.0.0", "locutorySqlite": True}

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_SECONDS)
            try:
                await self.remove_expired()
            except PyMongoError as error:
                log.warning("database.expiry_failed", reason=str(error))

    async def remove_expired(self) -> int:
        """Remove expired documents, according to the indexes with an expiry; return their
        number."""
        async with self.engine.snapshot() as reader:
            due = [
                (stored.name, index.keys[0][0], index.expire_after_seconds)
                for stored in reader.catalog.collections.values()
                for index in stored.all_indexes
                if index.expire_after_seconds is not None and len(index.keys) == 1
            ]
        count = 0
        for name, path, seconds in due:
            before = datetime.now(UTC) - timedelta(seconds=seconds)
            done = await self.get_database()[name].delete_many({path: {"$lt": before}})
            count += done.deleted_count
        return count


class Database:
    """The collections of a file."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.codec_options = client.codec_options
        self._collections: dict[str, Collection] = {}

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    def __getitem__(self, name: str) -> Collection:
        return self.get_collection(name)

    def get_collection(self, name: str, **options: Any) -> Collection:
        """A collection, which is made by its first document."""
        if not name or "\0" in name:
            raise CollectionInvalid("a collection needs a name")
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = Collection(self, name, self.codec_options)
        return found.with_options(**options) if options else found

    async def create_collection(self, name: str, **options: Any) -> Collection:
        """Make an empty collection; ``CollectionInvalid`` if it is there."""
        if any(map(options.get, ("capped", "collation", "timeseries", "validator", "viewOn"))):
            raise not_supported("collections with options")

        def work(writer: "Connection") -> None:
            if name in writer.catalog.collections:
                raise CollectionInvalid(f"collection {name} already exists")
            writer.catalog.create(writer.sql, name)

        await self.client.engine.write(work)
        return self[name]

    async def list_collection_names(self, **options: Any) -> list[str]:
        """The names; ``filter`` may hold a ``name`` or a type."""
        wanted = (options.get("filter") or {}).get("name")
        async with self.client.engine.snapshot() as reader:
            names = sorted(reader.catalog.collections)
        return [name for name in names if wanted is None or name == wanted]

    async def list_collections(self, **_options: Any) -> ResultCursor:
        """A cursor over ``{name, type}``."""

        def rows(reader: "Connection") -> Iterator[dict[str, Any]]:
            names = sorted(reader.catalog.collections)
            return iter([{"name": name, "type": "collection"} for name in names])

        return ResultCursor(self.client.engine, rows)

    def snapshot(self) -> contextlib.AbstractAsyncContextManager["Database"]:
        """A database that can only be read, and whose cursors all see the state of now."""
        return snapshot(self)

    async def drop_collection(self, name: str, **_options: Any) -> None:
        """Remove a collection; one that is not there is fine."""
        await self[name].drop()

    async def check(self) -> list[str]:
        """The faults of the file, a sentence each; empty when there are none. Reads the whole
        file."""
        return await self.client.engine.read(check_file, long=True)

    def salvage(self, name: str, lost: list[str]) -> ResultCursor:
        """A cursor over the documents of a collection that can be read, as bytes. In the end
        ``lost`` has sentences about the others."""

        def rows(reader: "Connection") -> Iterator[Any]:
            stored = reader.catalog.collections.get(name)
            return readable(reader, stored, lost) if stored else iter(())

        return ResultCursor(self.client.engine, rows, long=True)

    async def command(self, command: Any, *_: Any, **_options: Any) -> Mapping[str, Any]:
        """``ping`` (raises when the file cannot be read or written) and ``buildInfo``."""
        name = command if isinstance(command, str) else next(iter(command))
        if name == "ping":
            await self.client.engine.check_storage()
            return {"ok": 1.0}
        if name.lower() == "buildinfo":
            return {"ok": 1.0, "version": "8.0.0", "versionArray": [8, 0, 0, 0]}
        raise not_supported(f"the command {name}")
