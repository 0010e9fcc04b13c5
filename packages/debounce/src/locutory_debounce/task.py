"""A debounced task: done at once, but in a burst of requests only now and then."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from structlog.stdlib import BoundLogger

_PAUSE = 0.5
"""Seconds between two runs for one key at least; ten times as long as a run takes."""
_LONGEST_PAUSE = 60.0
"""After failures."""


class Notes(Protocol):
    """What was found in a `NoteCollection`."""

    async def to_list(self) -> list[Any]: ...


class NoteCollection(Protocol):
    """The collection of the notes: an asynchronous one of MongoDB, or the like."""

    def find(self, filter: Mapping[str, Any]) -> Notes: ...
    async def update_one(
        self, filter: Mapping[str, Any], update: Mapping[str, Any], upsert: bool = ...
    ) -> Any: ...
    async def delete_one(self, filter: Mapping[str, Any]) -> Any: ...
    async def delete_many(self, filter: Mapping[str, Any]) -> Any: ...


@dataclass(slots=True)
class _Pending:
    """A key for which the task ran a moment ago. ``again``: something happened since;
    ``noted``: the database knows."""

    again: bool = False
    noted: bool = False
    seconds: float = 0.0
    running: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None


class DebouncedTask:
    """Calls ``run(key)`` after every request for it, soon.

    The first request is served before it returns. Of those that follow shortly after, one
    run at the end serves all. Such a late run is noted in the database first, so that a crash
    does not lose it. ``notes`` gives the collection; it is called when the collection is needed.
    """

    def __init__(
        self,
        run: Callable[[str], Awaitable[None]],
        notes: Callable[[], NoteCollection],
        log: BoundLogger,
        pause: float = _PAUSE,
    ) -> None:
        self._run_for = run
        self._notes = notes
        self._log = log
        self._pause = pause
        self._pending: dict[str, _Pending] = {}

    async def request(self, key: str) -> None:
        """Something happened to what the key names."""
        pending = self._pending.get(key)
        if pending is not None:
            pending.again = True
            if not pending.noted:
                pending.noted = True
                await self._notes().update_one({"_id": key}, {"$set": {"__v": 0}}, upsert=True)
            return
        self._pending[key] = pending = _Pending()
        try:
            async with pending.running:
                await self._run(key, pending)
        finally:
            pending.task = asyncio.create_task(self._run_late(key, pending))

    async def flush(self, key: str) -> None:
        """Do now what is to be done later, for somebody who reads."""
        pending = self._pending.get(key)
        if pending is not None and (pending.again or pending.running.locked()):
            async with pending.running:
                if pending.again:
                    await self._run(key, pending)

    def waiting(self) -> list[str]:
        """The keys for which the task is to run, later or at this moment."""
        return [
            key
            for key, pending in self._pending.items()
            if pending.again or pending.running.locked()
        ]

    async def forget(self, prefix: str) -> None:
        """For keys that begin so nothing is to be done any more."""
        for key, pending in self._pending.items():
            if key.startswith(prefix):
                pending.again = pending.noted = False
        await self._notes().delete_many({"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}})

    async def catch_up(self) -> None:
        """Do what a process left behind when it stopped. A failure waits for the next start."""
        for row in await self._notes().find({}).to_list():
            try:
                await self._run_for(str(row["_id"]))
                await self._notes().delete_one({"_id": row["_id"]})
            except Exception:
                self._log.exception("debounce.failed", key=row["_id"])

    async def flush_all(self) -> None:
        """Do everything that waits; for an orderly shutdown."""
        for key in list(self._pending):
            await self.flush(key)

    async def stop(self) -> None:
        """End what runs."""
        tasks = [pending.task for pending in self._pending.values() if pending.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._pending.clear()

    async def _run(self, key: str, pending: _Pending) -> None:
        noted, pending.again, pending.noted = pending.noted, False, False
        started = time.monotonic()
        try:
            await self._run_for(key)
        except BaseException:
            pending.again, pending.noted = True, pending.noted or noted
            raise
        pending.seconds = time.monotonic() - started
        if noted and not pending.noted:
            await self._notes().delete_one({"_id": key})

    async def _run_late(self, key: str, pending: _Pending) -> None:
        while True:
            await asyncio.sleep(max(self._pause, 10 * pending.seconds))
            if not pending.again:
                break
            try:
                await self.flush(key)
            except Exception:
                pending.seconds = min(_LONGEST_PAUSE / 10, max(1.0, 2 * pending.seconds))
                self._log.exception("debounce.failed", key=key)
        self._pending.pop(key, None)
