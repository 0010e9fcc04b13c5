"""What a database says of itself while it is being filled: it is not complete."""

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
    """What the database holds, in words."""
    what = _NAMES.get(state.get("kind", ""), "unfinished data")
    return f"{what} of {state.get('origin')}"


async def unfinished(database: Database) -> str | None:
    """What a copy or restore that was broken off has left, in words (`an unfinished copy of
    <origin>`); ``None`` for a database that is complete. A server should not start on it."""
    state = await _read(database)
    return None if state is None else _text(state)


async def refuse_unfinished(database: Database) -> None:
    """`TransferError` for a source that is not complete."""
    text = await unfinished(database)
    if text is not None:
        raise TransferError(f"The database is {text}: finish that first, by the same command.")


async def begin(
    database: Database, kind: str, origin: str, identity: str, *, replace: bool = False
) -> bool:
    """Mark a database as being filled from ``origin``; is that the continuation of an earlier
    attempt from the same ``identity``? `TransferError` when it holds other documents, unless
    ``replace``."""
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
    """The database is complete."""
    await database.drop_collection(STATE)
