"""Restoring an archive, after verifying all of it."""

import asyncio
from pathlib import Path
from typing import Any

from locutory_transfer.archive import Entry
from locutory_transfer.documents import Fingerprint, batches
from locutory_transfer.filling import fingerprint, insert
from locutory_transfer.indexes import create, make_indexes
from locutory_transfer.interface import Database, Described, holding_documents, raw
from locutory_transfer.reading import ArchiveReader
from locutory_transfer.reports import (
    Progress,
    ProgressCallback,
    RestoreReport,
    TransferError,
    ignore_progress,
)
from locutory_transfer.state import begin, end
from locutory_transfer.writing import in_thread

Content = tuple[Entry, Described, list[dict[str, Any]], Fingerprint]


async def restore(
    database: Database,
    path: Path,
    *,
    replace: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> RestoreReport:
    """Fill a database with the collections of an archive, whatever database it was made from.

    Nothing is written before the whole archive was read and matches its manifest. `TransferError`
    when it does not; when the database has documents, unless ``replace`` (then collections of the
    archive replace those of the same names, and the others are kept); when the database refuses
    documents or unique indexes; when documents are not read back as they were written. An
    interrupted restore starts from the beginning when it is called again.
    """
    reader = await in_thread(lambda: ArchiveReader(path))
    try:
        contents = [await _verified(reader, each, progress) for each in reader.manifest.collections]
        await begin(database, "restore", path.name, reader.identity, replace=replace)
        report = RestoreReport()
        for entry, described, _, _ in contents:
            await database.drop_collection(entry.name)
            report.notes += await create(database, described)
            await _write(database, reader, entry, progress)
        await _compare(database, contents, progress)
        for entry, described, indexes, wanted in contents:
            report.notes += await make_indexes(database, entry.name, indexes, described.options)
            report.collections[entry.name] = wanted.amount
        names = await holding_documents(database)
        report.kept = [name for name in names if name not in report.collections]
        await end(database)
        return report
    finally:
        await in_thread(lambda: reader.__exit__(None, None, None))


async def _verified(reader: ArchiveReader, entry: Entry, progress: ProgressCallback) -> Content:
    """The content of a collection of the archive, compared with the manifest."""
    loop = asyncio.get_running_loop()

    def seen(done: int) -> None:
        now = Progress("reading", entry.name, done, entry.documents)
        loop.call_soon_threadsafe(progress, now)

    described, indexes = await in_thread(lambda: reader.metadata(entry))
    found = await in_thread(lambda: reader.verify(entry, seen))
    return entry, described, indexes, found


async def _write(
    database: Database, reader: ArchiveReader, entry: Entry, progress: ProgressCallback
) -> None:
    collection = raw(database, entry.name)
    rows = reader.batches(entry)
    done = 0
    progress(Progress("writing", entry.name, done, entry.documents))
    while batch := await in_thread(lambda: next(rows, None)):
        if not await insert(collection, batch):
            raise TransferError(
                f"The archive has two documents of {entry.name} with the same _id, or somebody"
                " else writes into the database."
            )
        done += len(batch)
        progress(Progress("writing", entry.name, done, entry.documents))


async def _compare(database: Database, contents: list[Content], progress: ProgressCallback) -> None:
    wrong = []
    for entry, _, _, wanted in contents:
        documents = batches(raw(database, entry.name))
        found = await fingerprint(entry.name, documents, entry.documents, progress)
        if found != wanted:
            wrong.append(f"{entry.name} ({found.amount} instead of {wanted.amount})")
    if wrong:
        raise TransferError(
            f"What was written is not what is read back: {', '.join(wrong)}. Does anybody else"
            " write into the database, or does it keep some values in another form?"
        )
