"""Background work of a kernel: supervised tasks and periodic jobs."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog
from beanie import Document
from pymongo.errors import DuplicateKeyError

from locutory.data.database import Database
from locutory.plugins.plugin import Job
from locutory.responses import now

log = structlog.get_logger("locutory.jobs")

_SHORTEST_LEASE = 5.0  # seconds; clocks of several servers differ a little


class Lease(Document):
    """The server that runs an exclusive job: ``{_id: job, holder, until}``."""

    holder: str

    class Settings:
        name = "locutory_leases"


class Background:
    """Runs the background tasks of a kernel; a fault is logged under the plugin that owns the
    task."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: set[asyncio.Task[None]] = set()
        self._holder = str(uuid4())
        self._exclusive = False

    def spawn(
        self, work: Coroutine[Any, Any, None], *, owner: str, name: str
    ) -> asyncio.Task[None]:
        """Start a task that belongs to a plugin."""
        task = asyncio.create_task(self._guard(work, owner, name), name=f"{owner}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, work: Coroutine[Any, Any, None], owner: str, name: str) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("task.failed", plugin=owner, task=name)

    def repeat(self, job: Job, owner: str) -> None:
        """Run a job periodically, the first time after one period."""
        self._exclusive |= job.exclusive
        self.spawn(self._loop(job, owner), owner=owner, name=job.name)

    async def _loop(self, job: Job, owner: str) -> None:
        lease = f"{owner}.{job.name}"
        while True:
            # A little disorder keeps several servers from all waking at once.
            await asyncio.sleep(job.seconds * random.uniform(0.95, 1.05))  # noqa: S311
            if not job.exclusive:
                await self._attempt(job.run, job, owner)
            elif await self._attempt(lambda: self._take_lease(lease, job), job, owner):
                renewing = asyncio.create_task(self._renew(lease, job, owner))
                try:
                    await self._attempt(job.run, job, owner)
                finally:
                    renewing.cancel()

    async def _renew(self, lease: str, job: Job, owner: str) -> None:
        """Renew the lease while a job runs for longer than its period."""
        while True:
            await asyncio.sleep(job.seconds)
            await self._attempt(lambda: self._take_lease(lease, job), job, owner)

    async def _attempt(self, work: Callable[[], Awaitable[Any]], job: Job, owner: str) -> Any:
        try:
            return await work()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("job.failed", plugin=owner, job=job.name)
            return None

    async def _take_lease(self, name: str, job: Job) -> bool:
        leases = self._database[Lease]
        moment = now()
        until = moment + timedelta(seconds=max(2 * job.seconds, _SHORTEST_LEASE))
        mine = {"$set": {"holder": self._holder, "until": until}}
        if (await leases.update_one({"_id": name, "holder": self._holder}, mine)).matched_count:
            return True
        expired = await leases.update_one({"_id": name, "until": {"$lt": moment}}, mine)
        if expired.matched_count:
            return True
        try:
            await leases.insert_one({"_id": name, "holder": self._holder, "until": until})
        except DuplicateKeyError:
            return False
        return True

    async def stop(self) -> None:
        """Cancel all tasks, wait for their end, and release the exclusive jobs to other servers."""
        tasks = set(self._tasks)
        while tasks:  # again: a library may swallow a cancellation on its way
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=1)
        if self._exclusive:
            await self._database[Lease].delete_many({"holder": self._holder})
