"""Collections and indexes: listing them, and creating them in another database."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from locutory_transfer.documents import ANY
from locutory_transfer.interface import Database, Described, server_of
from locutory_transfer.reports import TransferError

_OF_THE_SERVER = frozenset({"v", "ns", "key"})
"""The members of a listed index that are not options for creating one."""


async def list_indexes(database: Database, name: str) -> list[dict[str, Any]]:
    """The definitions of the indexes, including that of ``_id``. Those of the built-in database get
    the option ``background``, last: it does not store that option, with which the server and
    LibreChat declare every index, and some databases treat an index without it as another one."""
    collection = database.get_collection(name, codec_options=ANY)
    found = [dict(document) async for document in await collection.list_indexes()]
    kept = (await server_of(database))["kind"] != "sqlite"
    for definition in found:
        if _is_of_id(definition):
            definition.pop("unique", None)  # MongoDB refuses it where it goes without saying
        elif not kept:
            definition["background"] = True
    return found


def _is_of_id(definition: Mapping[str, Any]) -> bool:
    return dict(definition["key"]) == {"_id": 1}


async def create(database: Database, described: Described) -> list[str]:
    """Create an empty collection; return a sentence when the database refuses its options, and the
    collection was created without them. `TransferError` when it cannot be created."""
    try:
        await database.create_collection(described.name, **described.options)
    except CollectionInvalid:
        return []  # it is there
    except (OperationFailure, TypeError, ValueError) as error:
        if not described.options:
            raise TransferError(
                f"The collection {described.name} cannot be made: {reason(error)}"
            ) from error
        await database.create_collection(described.name)
        names = ", ".join(sorted(described.options))
        return [f"{described.name} was made without its options ({names}): {reason(error)}"]
    return []


async def make_indexes(
    database: Database,
    name: str,
    definitions: Iterable[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> list[str]:
    """Create the indexes of a collection that has these options; return a sentence for each that is
    refused. When a unique one is, raise `TransferError` after creating the others."""
    notes: list[str] = []
    fatal: list[str] = []
    for definition in definitions:
        if _is_of_id(definition):
            continue
        try:
            model = _model(definition, has_collation="collation" in options)
            await database.get_collection(name).create_indexes([model])
        except (OperationFailure, TypeError, ValueError) as error:
            unique = bool(definition.get("unique"))
            kind = "unique index" if unique else "index"
            text = f"The {kind} {definition.get('name')} of {name} is refused: {reason(error)}"
            (fatal if unique else notes).append(text)
    if fatal:
        raise TransferError("\n".join(fatal))
    return notes


def _model(definition: Mapping[str, Any], *, has_collation: bool) -> IndexModel:
    keys = [
        (path, int(way) if isinstance(way, int | float) else way)
        for path, way in definition["key"].items()
    ]
    options = {key: value for key, value in definition.items() if key not in _OF_THE_SERVER}
    if has_collation and "collation" not in options:
        options["collation"] = {"locale": "simple"}  # else it would get the collection's
    return IndexModel(keys, **options)


def reason(error: BaseException) -> str:
    """The text of an error without the server's response that follows it."""
    details = getattr(error, "details", None)
    text = details.get("errmsg") if isinstance(details, Mapping) else None
    return str(text or error)
