"""Debounced counts: at once, but in a burst of events only now and then."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from locutory import Database
from locutory_tags.documents import Recount

_PAUSE = 0.5
"""Seconds between two counts for one user at least; ten times as long as a count takes."""
_LONGEST_PAUSE = 60.0
"""After failures."""


@dataclass(slots=True)
class _Pending:
    """A user for whom was counted a moment ago. ``again``: something happened since;
    ``noted``: the database knows."""

    again: bool = False
    noted: bool = False
    seconds: float = 0.0
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None


class DebouncedRecount:
    """Calls ``count(user)`` after every request for it, soon.

    The first request is served before it returns. Of those that follow shortly after, one
    count at the end serves all: an import tells of thousands of conversations one by one.
    Such a late count is noted in the database first, so that a crash does not lose it.
    """

    def __init__(
        self,
        database: Database,
        count: Callable[[str], Awaitable[None]],
        log: structlog.stdlib.BoundLogger,
        pause: float = _PAUSE,
    ) -> None:
        self._database = database
        self._count = count
        self._log = log
        self._pause = pause
        self._pending: dict[str, _Pending] = {}

    async def request(self, user: str) -> None:
        """Something happened to the conversations of a user."""
        pending = self._pending.get(user)
        if pending is not None:
            pending.again = True
            if not pending.noted:
                pending.noted = True
                await self._database[Recount].update_one(
                    {"_id": user}, {"$set": {"__v": 0}}, upsert=True
                )
            return
        self._pending[user] = pending = _Pending()
        try:
            async with pending.counting:
                await self._run(user, pending)
        finally:
            pending.task = asyncio.create_task(self._run_late(user, pending))

    async def flush(self, user: str) -> None:
        """Count now what is to be counted later, for somebody who reads."""
        pending = self._pending.get(user)
        if pending is not None and (pending.again or pending.counting.locked()):
            async with pending.counting:
                if pending.again:
                    await self._run(user, pending)

    async def forget(self, user: str) -> None:
        """The user is gone: nothing is to be counted any more."""
        pending = self._pending.get(user)
        if pending is not None:
            pending.again = pending.noted = False
        await self._database[Recount].delete_one({"_id": user})

    async def catch_up(self) -> None:
        """Count what a server left behind when it stopped. A failure waits for the next start."""
        for row in await self._database[Recount].find({}).to_list():
            try:
                await self._count(str(row["_id"]))
                await self._database[Recount].delete_one({"_id": row["_id"]})
            except Exception:
                self._log.exception("recount.failed", user=row["_id"])

    async def flush_all(self) -> None:
        """Count everything that waits; for an orderly shutdown."""
        for user in list(self._pending):
            await self.flush(user)

    async def stop(self) -> None:
        """End what runs."""
        tasks = [pending.task for pending in self._pending.values() if pending.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pending.clear()

    async def _run(self, user: str, pending: _Pending) -> None:
        noted, pending.again, pending.noted = pending.noted, False, False
        started = time.monotonic()
        try:
            await self._count(user)
        except BaseException:
            pending.again, pending.noted = True, pending.noted or noted
            raise
        pending.seconds = time.monotonic() - started
        if noted and not pending.noted:
            await self._database[Recount].delete_one({"_id": user})

    async def _run_late(self, user: str, pending: _Pending) -> None:
        while True:
            await asyncio.sleep(max(self._pause, 10 * pending.seconds))
            if not pending.again:
                break
            try:
                await self.flush(user)
            except Exception:
                pending.seconds = min(_LONGEST_PAUSE / 10, max(1.0, 2 * pending.seconds))
                self._log.exception("recount.failed", user=user)
        self._pending.pop(user, None)
