"""Keeps the built-in index in step with the history, in one process of a host at a time."""

import asyncio
import sqlite3
import time

import structlog
from pymongo.errors import PyMongoError

from locutory import ServiceMissing
from locutory_search.embedded import writing
from locutory_search.embedded.file import FollowerLock, IndexFile
from locutory_search.embedded.threads import Threads
from locutory_search.entries import KINDS, Kind
from locutory_search.sources import Sources, entries
from locutory_search.tasks import Trouble

PAGE = 200
"""Documents that are read at once."""

_HOUR_MS = 3_600_000
_ADDITIONS = 50
_LONGEST_PAUSE = 0.25


class Follower:
    """Reads the feed from the stored position to its end, now and then; does what waits."""

    def __init__(
        self,
        file: IndexFile,
        threads: Threads,
        sources: Sources,
        log: structlog.stdlib.BoundLogger,
        seconds: float,
        purge_hours: float,
    ) -> None:
        self.lock = FollowerLock(file.folder)
        self._threads = threads
        self._sources = sources
        self._log = log
        self._trouble = Trouble(log)
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
                if await self._threads.run(self.lock.take):
                    await self._follow()
                    self._trouble.over()
            except (PyMongoError, ServiceMissing, sqlite3.Error, OSError) as error:
                self._trouble.met(error)
            except Exception:
                self._log.exception("search.follow_failed")
            try:
                await asyncio.wait_for(self._woken.wait(), self._seconds)
            except TimeoutError:
                continue

    async def _follow(self) -> None:
        await self._threads.write(writing.identify, await self._sources.identity())
        await self.settle()
        await self._add()
        for kind in KINDS:
            while await self._page(kind):
                await self.settle()
                await self._add()
        while await self._threads.write(writing.expire):
            pass
        if await self._threads.write(writing.purge_is_due, self._purge_ms):
            await self.purge()

    async def _page(self, kind: Kind) -> bool:
        """One page of the feed; is there more?"""
        feed = self._sources.feed
        if feed is None:
            return False
        started = time.monotonic()
        position = await self._threads.write(writing.state, f"position.{kind}")
        page = await feed.changes(kind, position, PAGE)
        found = entries(kind, page.documents)
        # False: the index was emptied meanwhile, and its position with it.
        taken = await self._threads.write(
            writing.apply, found, position=(kind, position, page.position)
        )
        if page.more:  # leave the machine to those who chat
            await asyncio.sleep(min(_LONGEST_PAUSE, (time.monotonic() - started) / 2))
        return page.more or not taken

    async def _add(self) -> None:
        """Read and index the conversations that were added as a whole."""
        while waiting := await self._threads.write(writing.waiting_additions, _ADDITIONS):
            for user, conversation in waiting:
                found = await self._sources.conversation(user, conversation)
                await self._threads.write(writing.apply, found, added=(user, conversation))

    async def settle(self) -> None:
        """Carry out the deletions that wait."""
        while await self._threads.write(writing.settle):
            pass

    async def purge(self) -> None:
        """Merge the index, so that no word is left of what was deleted."""
        await self._threads.write(writing.begin_purge)
        while await self._threads.write(writing.purge):
            pass
        for _ in range(20):
            if await self._threads.write(writing.end_purge):
                return
            await asyncio.sleep(0.1)
