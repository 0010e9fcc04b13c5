"""The database of one kernel: one client, collections by document class."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import structlog
from beanie import Document, init_beanie
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from locutory.errors import Problem, StartupError
from locutory.installed import entry_points
from locutory.settings import KernelConfig
from locutory_database import (
    EMBEDDED,
    GROUP,
    Collection,
    CollectionsByName,
    Cursor,
    DatabaseClient,
    DatabaseUnusable,
    Raw,
    address_fault,
)
from locutory_database import open_database as open_by_address

__all__ = ["Collection", "Cursor", "Database", "Raw", "collection_name", "indexes_of"]

log = structlog.get_logger("locutory.database")


class Database:
    """Access to collections.

    Plugins use ``database[MyDocument]`` for the raw collection of a document class they
    own: reads return plain dictionaries with aware dates. Beanie models describe and
    validate; they are bound to the last kernel of the process, so their own query
    methods are not for serving requests.
    """

    def __init__(self) -> None:
        self._client: DatabaseClient | None = None
        self._collections: dict[str, Collection] = {}
        self.name = "LibreChat"

    def use(self, client: DatabaseClient) -> None:
        """Use an opened client; `close` closes it."""
        self._client = client
        self.name = client.get_default_database(self.name).name

    @property
    def client(self) -> DatabaseClient:
        """The driver's client; ``RuntimeError`` before the kernel has started."""
        if self._client is None:
            raise RuntimeError("the database is not open while hooks run; use it in handlers")
        return self._client

    @property
    def collections(self) -> CollectionsByName:
        """Access to the collections by name."""
        return self.client[self.name]

    def __getitem__(self, document: type[Document]) -> Collection:
        return self.collection(collection_name(document))

    def collection(self, name: str) -> Collection:
        """A collection of the kernel by name; plugins use ``database[Document]``."""
        found = self._collections.get(name)
        if found is None:  # kept, since making one costs more than the rest of a look-up
            found = self._collections[name] = self.collections[name]
        return found

    async def prepare(
        self, documents: Mapping[str, Iterable[type[Document]]], *, create_indexes: bool
    ) -> None:
        """Bind documents and create missing indexes. An index that an older database has
        with other options stays as it is (collections trap 10)."""
        models = [document for owned in documents.values() for document in owned]
        if not models:
            return
        await init_beanie(
            database=cast(Any, self.collections),
            document_models=cast(Any, models),
            skip_indexes=True,
        )
        if create_indexes:
            for document in models:
                await self._create_indexes(document)

    async def _create_indexes(self, document: type[Document]) -> None:
        indexes = indexes_of(document)
        if not indexes:
            return
        collection = self[document]
        try:
            await collection.create_indexes(indexes)
            return
        except OperationFailure:
            pass  # the others are made
        for index in indexes:
            try:
                await collection.create_indexes([index])
            except OperationFailure as error:
                log.warning(
                    "database.index_kept",
                    collection=collection.name,
                    index=index.document.get("name"),
                    reason=str(error),
                )

    async def probe(self) -> None:
        """Raises pymongo's error when the database does not answer. Something is read too, which
        a database with a broken storage cannot do though it may answer a ping."""
        await self.collections.command("ping")
        await self.collection("locutory_leases").find_one({}, {"_id": 1})

    async def close(self) -> None:
        """Close every connection."""
        self._collections.clear()
        if self._client is not None:
            await self._client.close()
            self._client = None


def collection_name(document: type[Document]) -> str:
    """The collection of a document class, without a bound database."""
    return str(getattr(document, "Settings").name)  # noqa: B009  (a nested class, not a field)


def indexes_of(document: type[Document]) -> list[IndexModel]:
    """The declared indexes of a document class.

    Each asks for ``background``, last, as LibreChat does: MongoDB ignores that since 4.2, but
    where a database compares it LibreChat could not create its indexes beside ours."""
    settings = getattr(document, "Settings")  # noqa: B009  (a nested class, not a field)
    declared = (index.document for index in getattr(settings, "indexes", ()))
    return [_in_background(**index) for index in declared]


def _in_background(*, key: Mapping[str, Any], **options: Any) -> IndexModel:
    return IndexModel(list(key.items()), **{**options, "background": True})


def configured_address(config: KernelConfig) -> str:
    """``MONGO_URI``, or the address of the built-in database when it is blank. It may contain a
    password: never log it."""
    return (config.mongo_uri or "").strip() or f"{EMBEDDED}:"


def address_problems(config: KernelConfig) -> list[Problem]:
    """The problems of ``MONGO_URI`` that can be found without opening the database."""
    fault = address_fault(configured_address(config), entry_points(GROUP))
    return [] if fault is None else [Problem("MONGO_URI", str(fault), fault.fix)]


def check_data_dir(data_dir: Path) -> None:
    """Raise `StartupError` when the path exists and is not a folder."""
    if data_dir.exists() and not data_dir.is_dir():
        fix = "name a folder: it is made if it is not there"
        raise StartupError(Problem("LOCUTORY_DATA_DIR", f"{data_dir} is no folder", fix))


async def open_database(
    config: KernelConfig, data_dir: Path, *, address: str | None = None, create: bool = True
) -> DatabaseClient:
    """Open the configured database, or the one at another ``address``. ``create``: create a missing
    one. `StartupError` with a suggested correction when that fails."""
    check_data_dir(data_dir)
    pool = {
        "appname": "locutory",
        "maxPoolSize": config.mongo_max_pool_size,
        "minPoolSize": config.mongo_min_pool_size,
        "maxConnecting": config.mongo_max_connecting,
        "maxIdleTimeMS": config.mongo_max_idle_time_ms,
        "waitQueueTimeoutMS": config.mongo_wait_queue_timeout_ms,
    }
    options = {name: value for name, value in pool.items() if value is not None}
    chosen = configured_address(config) if address is None else address.strip()
    installed = entry_points(GROUP)
    try:
        return await open_by_address(
            chosen, data_dir, options=options, create=create, openers=installed
        )
    except DatabaseUnusable as error:
        where = "MONGO_URI" if address is None else "the address"
        place = "the database" if error.missing else where
        raise StartupError(Problem(place, str(error), error.fix)) from error
