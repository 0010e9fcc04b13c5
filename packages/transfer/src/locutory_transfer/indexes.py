"""Collections and indexes: as they are listed, and made again elsewhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from locutory_transfer.documents import ANY
from locutory_transfer.interface import Database, Described, server_of
from locutory_transfer.reports import TransferError

_OF_THE_SERVER = frozenset({"v", "ns", "key"})
"""What a listed index has and one to make does not need."""


async def list_indexes(database: Database, name: str) -> list[dict[str, Any]]:
    """The definitions, that of ``_id`` among them. Those of the built-in database ask for
    ``background``, last: it does not keep that option, with which the server and LibreChat declare
    every index, and some databases take one without it for another index."""
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
    """Make an empty collection; what of its options the database does not take."""
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
    """Make the indexes of a collection that has these options; a sentence for each that is
    refused. `TransferError` when a unique one is, after the others were made."""
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
    """The text of an error without the server's answer behind it."""
    details = getattr(error, "details", None)
    text = details.get("errmsg") if isinstance(details, Mapping) else None
    return str(text or error)
