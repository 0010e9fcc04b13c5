"""Backing up a database into one file, while others write to it."""

from datetime import UTC, datetime
from pathlib import Path

from pymongo.errors import OperationFailure

from locutory_transfer.archive import Entry, Manifest, encode_metadata
from locutory_transfer.documents import batches
from locutory_transfer.indexes import list_indexes, reason
from locutory_transfer.interface import Database, Described, raw, server_of, survey
from locutory_transfer.moments import Moment, moment
from locutory_transfer.reports import (
    Amount,
    BackupReport,
    Progress,
    ProgressCallback,
    TransferError,
    ignore_progress,
)
from locutory_transfer.state import refuse_unfinished
from locutory_transfer.writing import ArchiveWriter, in_thread

_SNAPSHOT_TOO_OLD = 239


async def backup(
    database: Database,
    path: Path,
    *,
    replace: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> BackupReport:
    """Write all collections of a database into a new file that only its owner may read.

    The file gets its name only when all of it is on the disk. `TransferError` when a file of that
    name exists (unless ``replace``), when it cannot be written, or when the database is an
    unfinished copy; ``PyMongoError`` when the database does not answer.
    """
    await refuse_unfinished(database)
    writer = ArchiveWriter(path, replace=replace)
    await in_thread(writer.__enter__)
    try:
        async with moment(database) as now:
            return await _write(now, writer, progress)
    except OperationFailure as error:
        if error.code == _SNAPSHOT_TOO_OLD:
            raise TransferError(
                "The server did not keep the state of one moment for long enough: raise its"
                " parameter minSnapshotHistoryWindowInSeconds, or use mongodump --oplog."
            ) from error
        raise
    finally:
        await in_thread(lambda: writer.__exit__(None, None, None))


async def _write(now: Moment, writer: ArchiveWriter, progress: ProgressCallback) -> BackupReport:
    database = now.database
    found = await survey(database)
    report = BackupReport(writer.path, now.one, left_out=found.left_out)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    server = await server_of(database)
    manifest = Manifest(database.name, made_at, server, now.one, left_out=found.left_out)
    for described in found.collections.values():
        entry = await _write_collection(now, described, writer, progress)
        manifest.collections.append(entry)
        report.collections[entry.name] = Amount(entry.documents, entry.bytes)
    await in_thread(lambda: writer.finish(manifest))
    return report


async def _write_collection(
    now: Moment, described: Described, writer: ArchiveWriter, progress: ProgressCallback
) -> Entry:
    name = described.name
    collection = raw(now.database, name)
    try:
        indexes = await list_indexes(now.database, name)
        total = await collection.estimated_document_count()
    except OperationFailure as error:
        raise TransferError(f"The collection {name} cannot be read: {reason(error)}") from error
    metadata = encode_metadata(described, indexes)
    with writer.collection(now.database.name, name, metadata) as documents:
        done = 0
        progress(Progress("reading", name, done, total))
        async for batch in batches(collection, session=now.session):
            await in_thread(lambda batch=batch: documents.write(batch))  # type: ignore[misc]
            done += len(batch)
            progress(Progress("reading", name, done, total))
    return documents.entry
