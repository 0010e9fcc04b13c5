"""The mark of a database that is being filled and is incomplete."""

from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from locutory_transfer.interface import STATE, Database, holding_documents
from locutory_transfer.reports import TransferError

_ID = "unfinished"
_NAMES = {"copy": "an unfinished copy", "restore": "an unfinished restore"}


async def _read(database: Database) -> dict[str, Any] | None:
    found = await database.get_collection(STATE).find_one({"_id": _ID})
    return None if found is None else dict(found)


def _text(state: dict[str, Any]) -> str:
    """A description of the unfinished content."""
    what = _NAMES.get(state.get("kind", ""), "unfinished data")
    return f"{what} of {state.get('origin')}"


async def unfinished(database: Database) -> str | None:
    """A description of an interrupted copy or restore (`an unfinished copy of <origin>`); ``None``
    for a complete database. A server should not start on an incomplete one."""
    state = await _read(database)
    return None if state is None else _text(state)


async def refuse_unfinished(database: Database) -> None:
    """Raise `TransferError` for a source that is not complete."""
    text = await unfinished(database)
    if text is not None:
        raise TransferError(f"The database is {text}: finish that first, by the same command.")


async def begin(
    database: Database, kind: str, origin: str, identity: str, *, replace: bool = False
) -> bool:
    """Mark a database as being filled from ``origin``. Return ``True`` when that continues an
    earlier attempt from the same ``identity``. `TransferError` when the database holds other
    documents, unless ``replace``."""
    state = await _read(database)
    if state is not None and (state.get("kind"), state.get("identity")) == (kind, identity):
        return True
    if not replace:
        if state is not None:
            raise TransferError(
                f"The database is {_text(state)}, not of {origin}: finish that first, or empty it."
            )
        names = await holding_documents(database)
        if names:
            text = f"The database is not empty: there are documents in {', '.join(names)}."
            if kind == "restore":
                text += (
                    " With --replace those of the backup take the place of those that are there."
                )
            raise TransferError(text)
    collection = database.get_collection(STATE)
    await collection.delete_many({})
    try:
        await collection.insert_one(
            {
                "_id": _ID,
                "kind": kind,
                "origin": origin,
                "identity": identity,
                "begun_at": datetime.now(UTC),
            }
        )
    except DuplicateKeyError as error:
        raise TransferError("Somebody else is filling this database at the moment.") from error
    return False


async def end(database: Database) -> None:
    """Mark the database as complete."""
    await database.drop_collection(STATE)
