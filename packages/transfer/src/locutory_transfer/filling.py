"""Writing documents into a collection, and comparing what is in it."""

from typing import Any

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne
from pymongo.errors import BulkWriteError, DocumentTooLarge

from locutory_transfer.documents import (
    RAW,
    Fingerprint,
    batches,
    identity,
    shown_identity,
    with_identities,
)
from locutory_transfer.interface import Database, raw
from locutory_transfer.reports import Progress, ProgressCallback, TransferError

_DUPLICATE = 11000


async def insert(collection: Any, batch: list[bytes]) -> bool:
    """Write new documents; false when some of them are there already, and then the others are
    written. `TransferError` names one that is refused."""
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
    except (BSONError, DocumentTooLarge) as error:
        text = f"Documents of {collection.name} are refused: {error}"
        raise TransferError(text) from error
    return True


async def put(collection: Any, documents: list[bytes]) -> None:
    """Make the collection hold these documents as they are, whether older versions of them or
    they themselves are there or not."""
    wanted = {identity(each): each for each in documents}
    present: set[bytes] = set()
    stale: list[bytes] = []
    async for batch in batches(collection, with_identities(wanted)):
        for each in batch:
            key = identity(each)
            present.add(key)
            # What is found and not wanted has an equal _id of another type: 1 and 1.0.
            if wanted.get(key) != each:
                stale.append(key)
    changed = [wanted[key] for key in stale if key in wanted]
    new = [each for key, each in wanted.items() if key not in present]
    if stale:
        requests: list[Any] = [DeleteOne(with_identities([key])) for key in stale]
        requests += [InsertOne(RawBSONDocument(each, RAW)) for each in changed]
        await collection.bulk_write(requests, ordered=True)
    if new and not await insert(collection, new):
        raise TransferError(f"Somebody else writes into {collection.name} of the target.")


async def remove_others(target: Any, source: Any) -> None:
    """Remove the documents of the target that the source does not have."""
    only_id = {"_id": 1}
    async for batch in batches(target, projection=only_id):
        wanted = [identity(each) for each in batch]
        known: set[bytes] = set()
        async for found in batches(source, with_identities(wanted), only_id):
            known |= {identity(each) for each in found}
        if gone := [key for key in wanted if key not in known]:
            await target.delete_many(with_identities(gone))


async def fingerprint(
    database: Database, name: str, total: int, progress: ProgressCallback
) -> Fingerprint:
    """Of all documents of a collection, read now."""
    found = Fingerprint()
    async for batch in batches(raw(database, name)):
        found.add(batch)
        progress(Progress("verifying", name, found.documents, total))
    return found
