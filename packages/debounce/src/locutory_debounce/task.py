"""A debounced task: it runs at once, but only at intervals during a burst of requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from structlog.stdlib import BoundLogger

_PAUSE = 0.5
"""Minimum seconds between two runs for one key; the pause is at least ten times as long as a
run."""
_LONGEST_PAUSE = 60.0
"""Maximum seconds between two runs after failures."""


class Notes(Protocol):
    """The result of a query in a `NoteCollection`."""

    async def to_list(self) -> list[Any]: ...


class NoteCollection(Protocol):
    """The collection of the notes: an asynchronous one of MongoDB, or one with the same methods."""

    def find(self, filter: Mapping[str, Any]) -> Notes: ...
    async def update_one(
        self, filter: Mapping[str, Any], update: Mapping[str, Any], upsert: bool = ...
    ) -> Any: ...
    async def delete_one(self, filter: Mapping[str, Any]) -> Any: ...
    async def delete_many(self, filter: Mapping[str, Any]) -> Any: ...


@dataclass(slots=True)
class _Pending:
    """A key for which the task ran recently. ``again``: it was requested since; ``noted``: that is
    stored in the database."""

    again: bool = False
    noted: bool = False
    seconds: float = 0.0
    running: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None


class DebouncedTask:
    """Calls ``run(key)`` soon after every request for it.

    The first request runs the task before it returns. Those that follow shortly after share one run
    at the end. Such a late run is noted in the database first, so that a crash does not lose it.
    ``notes`` returns the collection; it is called when the collection is needed.
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
        """Request a run for a key."""
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
        """Run the task now if a run for the key is pending, for callers that read its result."""
        pending = self._pending.get(key)
        if pending is not None and (pending.again or pending.running.locked()):
            async with pending.running:
                if pending.again:
                    await self._run(key, pending)

    def waiting(self) -> list[str]:
        """The keys for which a run is pending or in progress."""
        return [
            key
            for key, pending in self._pending.items()
            if pending.again or pending.running.locked()
        ]

    async def forget(self, prefix: str) -> None:
        """Cancel the pending runs of all keys with this prefix."""
        for key, pending in self._pending.items():
            if key.startswith(prefix):
                pending.again = pending.noted = False
        await self._notes().delete_many({"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}})

    async def catch_up(self) -> None:
        """Do the runs that an earlier process has noted. One that fails is tried again at the next
        start."""
        for row in await self._notes().find({}).to_list():
            try:
                await self._run_for(str(row["_id"]))
                await self._notes().delete_one({"_id": row["_id"]})
            except Exception:
                self._log.exception("debounce.failed", key=row["_id"])

    async def flush_all(self) -> None:
        """Do all pending runs; for an orderly shutdown."""
        for key in list(self._pending):
            await self.flush(key)

    async def stop(self) -> None:
        """Cancel the background tasks of all keys."""
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
