"""Keeps the built-in index in step with the history, in one process of a host at a time."""

import asyncio
import sqlite3
import time

import structlog
from pymongo.errors import PyMongoError

from locutory import ServiceMissing
from locutory_search.embedded import writing
from locutory_search.embedded.file import IndexFile, SyncLock
from locutory_search.embedded.sqlite_executor import SqliteExecutor
from locutory_search.entries import KINDS, Kind
from locutory_search.history_reader import HistoryReader, entries
from locutory_search.tasks import FailureLog

PAGE = 200
"""Documents that are read at once."""

_HOUR_MS = 3_600_000
_ADDITIONS = 50
_LONGEST_PAUSE = 0.25


class IndexSync:
    """Reads the feed from the stored position to its end at intervals, and does the pending
    work."""

    def __init__(
        self,
        file: IndexFile,
        executor: SqliteExecutor,
        history: HistoryReader,
        log: structlog.stdlib.BoundLogger,
        seconds: float,
        purge_hours: float,
    ) -> None:
        self.lock = SyncLock(file.folder)
        self._executor = executor
        self._history = history
        self._log = log
        self._failures = FailureLog(log)
        self._seconds = seconds
        self._purge_ms = purge_hours * _HOUR_MS
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._woken.clear()
            try:
                if await self._executor.run(self.lock.acquire):
                    await self._sync()
                    self._failures.recovered()
            except (PyMongoError, ServiceMissing, sqlite3.Error, OSError) as error:
                self._failures.failed(error)
            except Exception:
                self._log.exception("search.follow_failed")
            try:
                await asyncio.wait_for(self._woken.wait(), self._seconds)
            except TimeoutError:
                continue

    async def _sync(self) -> None:
        await self._executor.write(writing.identify, await self._history.identity())
        await self.apply_deletions()
        await self._add()
        for kind in KINDS:
            while await self._page(kind):
                await self.apply_deletions()
                await self._add()
        while await self._executor.write(writing.expire):
            pass
        if await self._executor.write(writing.purge_is_due, self._purge_ms):
            await self.purge()

    async def _page(self, kind: Kind) -> bool:
        """Index one page of the feed; ``True`` when there is more."""
        feed = self._history.feed
        if feed is None:
            return False
        started = time.monotonic()
        position = await self._executor.write(writing.state, f"position.{kind}")
        page = await feed.changes(kind, position, PAGE)
        found = entries(kind, page.documents)
        # False: the index was emptied meanwhile, and its position with it.
        taken = await self._executor.write(
            writing.apply, found, position=(kind, position, page.position)
        )
        if page.more:  # leave the machine to those who chat
            await asyncio.sleep(min(_LONGEST_PAUSE, (time.monotonic() - started) / 2))
        return page.more or not taken

    async def _add(self) -> None:
        """Read and index the conversations that were added as a whole."""
        while waiting := await self._executor.write(writing.waiting_additions, _ADDITIONS):
            for user, conversation in waiting:
                found = await self._history.conversation(user, conversation)
                await self._executor.write(writing.apply, found, added=(user, conversation))

    async def apply_deletions(self) -> None:
        """Carry out the deletions that wait."""
        while await self._executor.write(writing.apply_deletions):
            pass

    async def purge(self) -> None:
        """Merge the index, so that no word of deleted entries remains."""
        await self._executor.write(writing.begin_purge)
        while await self._executor.write(writing.purge):
            pass
        for _ in range(20):
            if await self._executor.write(writing.end_purge):
                return
            await asyncio.sleep(0.1)
