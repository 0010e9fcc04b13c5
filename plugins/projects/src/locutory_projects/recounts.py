"""When to count anew: at once, but in a burst of events only now and then."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from locutory import Database
from locutory_projects.documents import Recount

_PAUSE = 0.5
"""Seconds between two counts for one key at least; ten times as long as a count takes."""
_LONGEST_PAUSE = 60.0
"""After failures."""


@dataclass(slots=True)
class _Burst:
    """A key for which was counted a moment ago. ``again``: something happened since;
    ``noted``: the database knows."""

    again: bool = False
    noted: bool = False
    seconds: float = 0.0
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None


class Recounts:
    """Calls ``count(key)`` after every request for it, soon.

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
        self._bursts: dict[str, _Burst] = {}

    async def ask(self, key: str) -> None:
        """Something happened to what the key names."""
        burst = self._bursts.get(key)
        if burst is not None:
            burst.again = True
            if not burst.noted:
                burst.noted = True
                await self._database[Recount].update_one(
                    {"_id": key}, {"$set": {"__v": 0}}, upsert=True
                )
            return
        self._bursts[key] = burst = _Burst()
        try:
            async with burst.counting:
                await self._run(key, burst)
        finally:
            burst.task = asyncio.create_task(self._rest(key, burst))

    async def settle(self, key: str) -> None:
        """Count now what is to be counted later, for somebody who reads."""
        burst = self._bursts.get(key)
        if burst is not None and (burst.again or burst.counting.locked()):
            async with burst.counting:
                if burst.again:
                    await self._run(key, burst)

    def waiting(self) -> list[str]:
        """The keys for which is to be counted, later or at this moment."""
        return [
            key for key, burst in self._bursts.items() if burst.again or burst.counting.locked()
        ]

    async def forget(self, prefix: str) -> None:
        """For keys that begin so nothing is to be counted any more."""
        for key, burst in self._bursts.items():
            if key.startswith(prefix):
                burst.again = burst.noted = False
        await self._database[Recount].delete_many(
            {"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}}
        )

    async def catch_up(self) -> None:
        """Count what a server left behind when it stopped. A failure waits for the next start."""
        for row in await self._database[Recount].find({}).to_list():
            try:
                await self._count(str(row["_id"]))
                await self._database[Recount].delete_one({"_id": row["_id"]})
            except Exception:
                self._log.exception("recount.failed", key=row["_id"])

    async def finish(self) -> None:
        """Count everything that waits; for an orderly shutdown."""
        for key in list(self._bursts):
            await self.settle(key)

    async def stop(self) -> None:
        """End what runs."""
        tasks = [burst.task for burst in self._bursts.values() if burst.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._bursts.clear()

    async def _run(self, key: str, burst: _Burst) -> None:
        noted, burst.again, burst.noted = burst.noted, False, False
        started = time.monotonic()
        try:
            await self._count(key)
        except BaseException:
            burst.again, burst.noted = True, burst.noted or noted
            raise
        burst.seconds = time.monotonic() - started
        if noted and not burst.noted:
            await self._database[Recount].delete_one({"_id": key})

    async def _rest(self, key: str, burst: _Burst) -> None:
        while True:
            await asyncio.sleep(max(self._pause, 10 * burst.seconds))
            if not burst.again:
                break
            try:
                await self.settle(key)
            except Exception:
                burst.seconds = min(_LONGEST_PAUSE / 10, max(1.0, 2 * burst.seconds))
                self._log.exception("recount.failed", key=key)
        self._bursts.pop(key, None)
