"""The database of one kernel: one client, collections by document class."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

import structlog
from beanie import Document, init_beanie
from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from locutory.errors import Problem, StartupError

if TYPE_CHECKING:
    from locutory.settings import KernelConfig

log = structlog.get_logger("locutory.database")

Raw = dict[str, Any]
Collection = AsyncCollection[Raw]


class Database:
    """Access to collections.

    Plugins use ``database[MyDocument]`` for the raw collection of a document class they
    own: reads return plain dictionaries with aware dates. Beanie models describe and
    validate; they are bound to the last kernel of the process, so their own query
    methods are not for serving requests.
    """

    def __init__(self) -> None:
        self._client: AsyncMongoClient[Raw] | None = None
        self._collections: dict[str, Collection] = {}
        self.name = "LibreChat"

    async def open(self, uri: str, config: "KernelConfig", name: str | None = None) -> None:
        """Connect; `StartupError` when the address is wrong or nobody answers there."""
        pool = {
            "maxPoolSize": config.mongo_max_pool_size,
            "minPoolSize": config.mongo_min_pool_size,
            "maxConnecting": config.mongo_max_connecting,
            "maxIdleTimeMS": config.mongo_max_idle_time_ms,
            "waitQueueTimeoutMS": config.mongo_wait_queue_timeout_ms,
        }
        options: dict[str, Any] = {key: value for key, value in pool.items() if value is not None}
        if "serverselectiontimeoutms" not in uri.lower():
            options["serverSelectionTimeoutMS"] = 5000
        try:
            self.name = name or parse_uri(uri).get("database") or "LibreChat"
            self._client = AsyncMongoClient(
                uri,
                tz_aware=True,
                tzinfo=UTC,
                appname="locutory",
                **options,
            )
            await self._client.admin.command("ping")
        except (PyMongoError, ValueError) as error:
            raise StartupError(_unusable(error)) from error

    @property
    def client(self) -> AsyncMongoClient[Raw]:
        """The driver's client; ``RuntimeError`` before the kernel has started."""
        if self._client is None:
            raise RuntimeError(
                "the database is not connected while hooks run; use it inside handlers"
            )
        return self._client

    def __getitem__(self, document: type[Document]) -> Collection:
        return self.collection(collection_name(document))

    def collection(self, name: str) -> Collection:
        """A collection of the kernel by name; plugins use ``database[Document]``."""
        found = self._collections.get(name)
        if found is None:  # kept, since making one costs more than the rest of a look-up
            found = self._collections[name] = self.client[self.name][name]
        return found

    async def prepare(
        self, documents: Mapping[str, Iterable[type[Document]]], *, create_indexes: bool
    ) -> None:
        """Bind documents and create missing indexes. An index that an older database has
        with other options stays as it is (collections.md, trap 10). SecantusDB, which pays for
        every index with every write, gets none of ``Settings.spare_indexes``."""
        models = [document for owned in documents.values() for document in owned]
        if not models:
            return
        await init_beanie(
            database=self.client[self.name],
            document_models=cast(Any, models),
            skip_indexes=True,
        )
        if create_indexes:
            spare = "secantusVersion" not in await self.client.server_info()
            for document in models:
                await self._create_indexes(document, spare=spare)

    async def _create_indexes(self, document: type[Document], *, spare: bool) -> None:
        indexes = indexes_of(document, spare=spare)
        if not indexes:
            return
        collection = self[document]
        try:
            await collection.create_indexes(indexes)
            return
        except OperationFailure:
            log.debug("database.indexes_one_by_one", collection=collection.name)
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

    async def is_empty(self) -> bool:
        """Does the database hold no collection yet?"""
        return not await self.client[self.name].list_collection_names()

    async def ping(self) -> None:
        """Raises pymongo's error when the database does not answer."""
        await self.client.admin.command("ping")

    async def probe(self) -> None:
        """Read something, which a database with a broken storage cannot do though it may answer
        a ping. Raises pymongo's error."""
        await self.collection("locutory_leases").find_one({}, {"_id": 1})

    async def close(self) -> None:
        """Close every connection."""
        self._collections.clear()
        if self._client is not None:
            await self._client.close()
            self._client = None


def _unusable(error: Exception) -> Problem:
    where = "MONGO_URI"
    if isinstance(error, ConnectionFailure):
        reason = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
        fix = "start the database or correct the address; blank starts the built-in database"
        return Problem(where, f"no database answers: {reason}", fix)
    if isinstance(error, OperationFailure):
        return Problem(
            where, f"the database refuses: {error.details or error}", "check the account"
        )
    return Problem(where, str(error), "write mongodb://host:27017/LibreChat, or leave it blank")


def collection_name(document: type[Document]) -> str:
    """The collection of a document class, without a bound database."""
    return str(getattr(document, "Settings").name)  # noqa: B009  (a nested class, not a field)


def indexes_of(document: type[Document], *, spare: bool = True) -> list[IndexModel]:
    """The declared indexes of a document class; without ``spare`` not those that it names in
    ``Settings.spare_indexes``: none of our queries needs them, LibreChat's may.

    Each asks for ``background``, last, as LibreChat does: MongoDB ignores that since 4.2, but
    where a database compares it LibreChat could not create its indexes beside ours."""
    settings = getattr(document, "Settings")  # noqa: B009  (a nested class, not a field)
    left_out = () if spare else getattr(settings, "spare_indexes", ())
    declared = (index.document for index in getattr(settings, "indexes", ()))
    return [_in_background(**index) for index in declared if index["name"] not in left_out]


def _in_background(*, key: Mapping[str, Any], **options: Any) -> IndexModel:
    return IndexModel(list(key.items()), **{**options, "background": True})
