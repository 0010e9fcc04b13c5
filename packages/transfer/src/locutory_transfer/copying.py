"""Copying a database into another one of any kind; an interrupted copy can be continued."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from locutory_transfer.documents import Fingerprint, batches, batches_of
from locutory_transfer.filling import fingerprint, insert, put, remove_others
from locutory_transfer.indexes import create, list_indexes, make_indexes
from locutory_transfer.interface import Database, Described, raw, survey
from locutory_transfer.reports import (
    CopyReport,
    Progress,
    ProgressCallback,
    TransferError,
    ignore_progress,
)
from locutory_transfer.state import begin, end, refuse_unfinished

ROUNDS = 3
"""The number of times that changed collections are copied again before they are reported."""


async def copy(
    source: Database,
    target: Database,
    *,
    origin: str,
    skip_damaged: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> CopyReport:
    """Copy a database into an empty one: collections, documents, indexes.

    ``origin`` names the source in messages, the same at each attempt; it is stored in the target,
    so it must not contain a password. An attempt that was interrupted at any moment is continued by
    the next one of the same origin, which also copies changes: documents that were added, replaced
    or removed. At the end counts and hashes of all documents of both are compared. If they still
    differ after `ROUNDS`, because somebody writes to the source, the report names the collections,
    and the target remains marked as unfinished.

    ``skip_damaged``: copy the readable part of a damaged built-in database; the report names what
    was left out.

    `TransferError`: the target is not empty and no unfinished copy of ``origin``; the source is
    unfinished itself, or cannot skip damage; the target refuses a document or a unique index, or
    does not return documents as they were written. ``PyMongoError``: one of them does not answer,
    or is damaged.
    """
    # Not hasattr(source, …): for the driver every name is a collection's.
    if skip_damaged and not hasattr(type(source), "salvage"):
        raise TransferError("Only what is damaged in the built-in database can be left out.")
    await refuse_unfinished(source)
    resumed = await begin(target, "copy", origin, origin)
    run = _Copy(source, target, progress, skip_damaged)
    await run.prepare(resumed=resumed)
    await run.documents()
    if run.report.complete:
        await run.indexes()
        await end(target)
    return run.report


@dataclass(slots=True)
class _Copy:
    source: Database
    target: Database
    progress: ProgressCallback
    skip_damaged: bool
    report: CopyReport = field(default_factory=CopyReport)
    _lost: dict[str, list[str]] = field(default_factory=dict)

    def _documents(self, name: str) -> AsyncIterator[list[bytes]]:
        """The documents of the source in batches."""
        if not self.skip_damaged:
            return batches(raw(self.source, name))
        given: Any = self.source
        lost = self._lost[name] = []
        return batches_of(given.salvage(name, lost))

    async def prepare(self, *, resumed: bool) -> None:
        """Remove the indexes of a continued target: those that expire documents or refuse
        duplicates must not act on incomplete data. In a new target, drop the empty collections that
        a server has created when it was started on it."""
        wanted = (await survey(self.source)).collections
        for name in (await survey(self.target)).collections:
            if not resumed and name in wanted:
                await self.target.drop_collection(name)
            elif resumed:
                await self.target.get_collection(name).drop_indexes()

    async def documents(self) -> None:
        """Copy until both hold the same documents, or `ROUNDS` are over."""
        read: dict[str, Fingerprint] = {}
        pending: list[str] = []
        for _ in range(ROUNDS):
            found = await survey(self.source)
            self.report.left_out = found.left_out
            for name in (await survey(self.target)).collections.keys() - found.collections:
                await self.target.drop_collection(name)  # the source had it in an earlier attempt
            names = [name for name in found.collections if name in pending or name not in read]
            for name in names:
                read[name] = await self._collection(found.collections[name])
            pending = [name for name in names if not await self._same(name, read[name])]
            if not pending:
                break
        self.report.changed = pending
        self.report.damaged = [line for _, lines in sorted(self._lost.items()) for line in lines]

    async def _collection(self, described: Described) -> Fingerprint:
        """Copy the differences of one collection; return the fingerprint of what was read."""
        name = described.name
        if self.skip_damaged:  # to compare documents one by one needs all of them
            await self.target.drop_collection(name)
        self.report.notes += await create(self.target, described)
        source, target = raw(self.source, name), raw(self.target, name)
        total = 0 if self.skip_damaged else await source.estimated_document_count()
        empty = await target.find_one({}) is None
        found = Fingerprint()
        self.progress(Progress("writing", name, 0, total))
        async for batch in self._documents(name):
            if not (empty and await insert(target, batch)):
                await put(target, batch)
            found.add(batch)
            self.progress(Progress("writing", name, found.documents, total))
        # All that was read is there now; with as many there is nothing else.
        if not empty and await target.count_documents({}) != found.documents:
            await remove_others(target, source)
        return found

    async def _same(self, name: str, read: Fingerprint) -> bool:
        """``True`` when both hold the same documents. `TransferError` when they do not although
        nothing has changed in the source since it was read."""
        total = read.documents
        written = batches(raw(self.target, name))
        target = await fingerprint(name, written, total, self.progress)
        # The source comes last: what was written to it up to now is noticed.
        source = await fingerprint(name, self._documents(name), total, self.progress)
        self.report.collections[name] = target.amount
        if source == target:
            return True
        if source == read:
            raise TransferError(
                f"The documents of {name} do not come back as they were written"
                f" ({target.amount} instead of {source.amount}). Does anybody else write into the"
                " target, or does it keep some values in another form?"
            )
        return False

    async def indexes(self) -> None:
        """Create the indexes; the report has a sentence for each that the target refuses.
        `TransferError` when it refuses a unique one."""
        faults = []
        for name, described in (await survey(self.source)).collections.items():
            definitions = await list_indexes(self.source, name)
            try:
                self.report.notes += await make_indexes(
                    self.target, name, definitions, described.options
                )
            except TransferError as error:
                faults.append(str(error))
        if faults:
            raise TransferError("\n".join(faults))
