"""Jobs of a single process."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from locutory_agents.job import ABORTED, COMPLETE, Job
from locutory_agents.stores.base import (
    Command,
    ForeignJob,
    Handler,
    PredecessorMismatch,
    StoreFull,
    TooManyJobs,
)
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Terminal

MAX_JOBS = 1000
UNSEEN = 30.0
"""Seconds that an end is kept: a fast answer may be over before its reader has come, or while
another tab that has loaded the history is about to follow."""
REMEMBERED = 10_000
"""Conversations whose last creation time is remembered."""


class MemoryJobStore:
    """`JobStore` in this process; ends with it."""

    protocol = 2

    def __init__(self, max_jobs: int = MAX_JOBS) -> None:
        self._jobs: dict[str, Job] = {}
        self._feeds: dict[tuple[str, int], Feed] = {}
        self._expires: dict[str, float] = {}
        self._last: dict[str, int] = {}
        self._max_jobs = max_jobs
        self._handler: Handler | None = None

    async def start(self, handler: Handler) -> None:
        self._handler = handler

    async def drain(self) -> None:
        """Every job is of this worker: there is nobody to send readers to."""

    async def stop(self) -> None:
        for feed in self._feeds.values():
            feed.log.break_off()
        self._jobs.clear()
        self._feeds.clear()
        self._expires.clear()

    async def create(
        self, job: Job, *, predecessor: int | None = None, limit: int | None = None
    ) -> tuple[Job, Job | None]:
        self._expire()
        current = self._jobs.get(job.stream_id)
        last = self._last.get(job.stream_id)
        if current is not None and current.active and current.user != job.user:
            raise ForeignJob
        running = current is not None and current.active
        if predecessor is not None and last is not None and (last != predecessor or running):
            raise PredecessorMismatch(last, last == predecessor, running)
        if limit is not None:
            others = sum(
                1
                for other in self._jobs.values()
                if other.user == job.user and other.active and other.stream_id != job.stream_id
            )
            if others >= limit:
                raise TooManyJobs(others)
        if current is None and len(self._jobs) >= self._max_jobs:
            self._make_room()
        job.created_at = max(int(time.time() * 1000), (last or 0) + 1)
        self._remember(job)
        self._forget(job.stream_id)
        self._jobs[job.stream_id] = job
        return job, current if running else None

    def _remember(self, job: Job) -> None:
        self._last.pop(job.stream_id, None)
        self._last[job.stream_id] = job.created_at
        if len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]

    def _make_room(self) -> None:
        ended = next((name for name, job in self._jobs.items() if not job.active), None)
        if ended is None:
            raise StoreFull
        self._forget(ended)

    def _forget(self, stream_id: str) -> None:
        """Drop the record. The feed of a job that still runs stays until it ends."""
        job = self._jobs.pop(stream_id, None)
        self._expires.pop(stream_id, None)
        if job is not None and not job.active:
            self._feeds.pop(job.key, None)

    def _expire(self) -> None:
        moment = time.monotonic()
        for stream_id in [name for name, due in self._expires.items() if due <= moment]:
            self._forget(stream_id)

    async def get(self, stream_id: str) -> Job | None:
        due = self._expires.get(stream_id)
        if due is not None and due <= time.monotonic():
            self._forget(stream_id)
        return self._jobs.get(stream_id)

    async def active(self, user: str) -> Sequence[Job]:
        return [job for job in self._jobs.values() if job.user == user and job.active]

    async def update(self, job: Job) -> None:
        """The record is the object itself."""

    async def settle(self, job: Job, status: str) -> bool:
        current = self._jobs.get(job.stream_id)
        if current is None or current.created_at != job.created_at or not current.active:
            return False
        for record in (current, job):
            record.status = status
            record.saving = True
        return True

    async def finish(self, job: Job, terminal: Terminal, keep: float) -> None:
        feed = self._feeds.get(job.key)
        current = self._jobs.get(job.stream_id)
        job.saving = False
        if current is not None and current.created_at == job.created_at:
            current.saving = False
            if job.status in (COMPLETE, ABORTED) and feed:
                keep = max(keep, UNSEEN)
            if keep > 0:
                self._expires[job.stream_id] = time.monotonic() + keep
            else:
                self._forget(job.stream_id)
        else:
            self._feeds.pop(job.key, None)
        if feed is not None:
            feed.log.close(terminal)

    async def attach(self, feed: Feed) -> None:
        self._feeds[feed.job.key] = feed

    async def follow(self, job: Job) -> Feed | None:
        return self._feeds.get(job.key)

    async def leave(self, feed: Feed) -> None:
        """Do nothing: no feed is held for a reader."""

    async def ask(self, job: Job, command: Command, timeout: float) -> Mapping[str, Any] | None:
        if self._handler is None:
            return None
        return await self._handler(job.stream_id, job.created_at, command)

    async def orphans(self) -> Sequence[Job]:
        self._expire()
        return []
