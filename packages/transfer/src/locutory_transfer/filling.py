"""Writing documents into a collection, and comparing its content."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure

from locutory_transfer.documents import (
    RAW,
    Fingerprint,
    batches,
    identity,
    shown_identity,
    with_identities,
)
from locutory_transfer.indexes import reason
from locutory_transfer.reports import Progress, ProgressCallback, TransferError

_DUPLICATE = 11000


async def insert(collection: Any, batch: list[bytes]) -> bool:
    """Insert new documents; ``False`` when some of them exist already, and then the others are
    inserted. `TransferError` names a document that is refused."""
    documents = [RawBSONDocument(each, RAW) for each in batch]
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        faults = (error.details or {}).get("writeErrors", [])
        for fault in faults:
            if fault.get("code") != _DUPLICATE:
                shown = shown_identity(batch[fault.get("index", 0)])
                text = f"{shown} of {collection.name} is refused: {fault.get('errmsg')}"
                raise TransferError(f"The document {text}") from error
        if not faults:
            raise
        return False
    except (OperationFailure, BSONError, DocumentTooLarge) as error:
        text = f"Documents of {collection.name} are refused: {reason(error)}"
        raise TransferError(text) from error
    return True


async def put(collection: Any, documents: list[bytes]) -> None:
    """Make the collection hold exactly these documents, whether they, older versions of them or
    neither are stored. When it is interrupted, an old version may be removed and the new one
    missing."""
    wanted = {identity(each): each for each in documents}
    missing = dict(wanted)
    stale: set[bytes] = set()
    async for each in _with(collection, list(wanted)):
        key = identity(each)
        if wanted.get(key) == each:
            missing.pop(key, None)
        else:
            stale.add(key)  # changed, or of an equal _id of another type: 1 and 1.0
    await _remove(collection, list(stale))
    if missing and not await insert(collection, list(missing.values())):
        raise TransferError(f"Somebody else writes into {collection.name} of the target.")


async def _with(
    collection: Any, identities: list[bytes], projection: Mapping[str, Any] | None = None
) -> AsyncIterator[bytes]:
    """The documents of the collection that have these ids."""
    for some in _portions(identities):
        async for batch in batches(collection, with_identities(some), projection):
            for each in batch:
                yield each


async def _remove(collection: Any, identities: list[bytes]) -> None:
    for some in _portions(identities):
        await collection.delete_many(with_identities(some))


def _portions(identities: list[bytes]) -> Iterator[list[bytes]]:
    """Split a list into portions of 100: the former built-in database scans all documents for a
    longer list."""
    for at in range(0, len(identities), 100):
        yield identities[at : at + 100]


async def remove_others(target: Any, source: Any) -> None:
    """Delete the documents of the target that the source does not have."""
    only_id = {"_id": 1}
    async for batch in batches(target, projection=only_id):
        wanted = [identity(each) for each in batch]
        known = {identity(each) async for each in _with(source, wanted, only_id)}
        await _remove(target, [key for key in wanted if key not in known])


async def fingerprint(
    name: str, documents: AsyncIterator[list[bytes]], total: int, progress: ProgressCallback
) -> Fingerprint:
    """The fingerprint of all documents of a collection, as they are read now."""
    found = Fingerprint()
    async for batch in documents:
        found.add(batch)
        progress(Progress("verifying", name, found.documents, total))
    return found
