"""The interface of databases that this package needs, and surveys of their content."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from locutory_transfer.documents import RAW

STATE = "locutory_copies"
"""The collection in which a target is marked as incomplete."""


class Database(Protocol):
    """A database of pymongo's asynchronous driver, or of one with its interface."""

    @property
    def name(self) -> str:
        """The name of the database."""

    @property
    def client(self) -> Any:
        """The client of the database."""

    def get_collection(self, name: str, *, codec_options: Any = None) -> Any:
        """A collection, read with these options."""

    async def list_collections(self) -> Any:
        """A cursor over descriptions of all collections."""

    async def create_collection(self, name: str, **options: Any) -> Any:
        """Create an empty collection."""

    async def drop_collection(self, name: str) -> Any:
        """Delete a collection; does nothing for one that does not exist."""

    async def command(self, command: Any, value: Any = 1) -> Any:
        """Run a command."""


@dataclass(frozen=True, slots=True)
class Described:
    """A collection with its options, and its UUID where the server has one."""

    name: str
    options: dict[str, Any]
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """The collections to transfer, by name, and those that are left out, each with the reason."""

    collections: dict[str, Described]
    left_out: list[str]


def raw(database: Database, name: str) -> Any:
    """A collection whose documents are returned as bytes."""
    return database.get_collection(name, codec_options=RAW)


async def survey(database: Database) -> Survey:
    """The collections of a database, without views and those of the server itself."""
    found: dict[str, Described] = {}
    left_out: list[str] = []
    async for document in await database.list_collections():
        name, kind = str(document["name"]), document.get("type", "collection")
        if kind != "collection":
            left_out.append(f"{name} (a {kind})")
        elif name.startswith("system."):
            left_out.append(f"{name} (belongs to the database itself)")
        elif name != STATE:
            options = dict(document.get("options") or {})
            number = (document.get("info") or {}).get("uuid", b"")
            known = number.bytes if isinstance(number, UUID) else bytes(number)
            found[name] = Described(name, options, known.hex())
    return Survey(dict(sorted(found.items())), sorted(left_out))


async def holding_documents(database: Database) -> list[str]:
    """The names of collections that are not empty."""
    names = (await survey(database)).collections
    return [name for name in names if await raw(database, name).find_one({}) is not None]


async def server_of(database: Database) -> dict[str, str]:
    """``kind`` and ``version`` of a database's server, for a manifest."""
    info = await database.client.server_info()
    kind = "sqlite" if info.get("locutorySqlite") else "mongodb"
    if kind == "mongodb" and not is_mongodb(info):
        kind = "compatible"
    return {"kind": kind, "version": str(info.get("version", ""))}


def is_mongodb(info: Mapping[str, Any]) -> bool:
    """``True`` for a build of MongoDB's own sources, ``False`` for other servers with its
    protocol."""
    return bool(str(info.get("gitVersion", "")).strip("0"))
