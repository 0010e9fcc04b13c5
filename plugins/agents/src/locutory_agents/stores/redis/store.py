"""Jobs of many workers, in Redis. Any worker can serve, resume or stop any job."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from structlog.stdlib import BoundLogger

from locutory_agents.job import Job
from locutory_agents.stores.base import (
    Command,
    ForeignJob,
    Handler,
    PredecessorMismatch,
    TooManyJobs,
)
from locutory_agents.stores.redis import scripts as scripts
from locutory_agents.stores.redis.keys import (
    RedisKeys,
    fields_of,
    job_of,
    pairs,
    record_bytes,
    text,
)
from locutory_agents.stores.redis.publisher import LIFE_SECONDS, RedisPublisher
from locutory_agents.stores.redis.subscriber import RedisSubscriber, RemoteFeed
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Terminal
from locutory_redis import RedisServer

UNSEEN = 30.0
"""The seconds for which an ended job is kept, since it is unknown if all readers have seen the
end."""

LAST_MS = 25 * 3600 * 1000
PUBLISH_SECONDS = 5.0


class RedisJobStore:
    """`JobStore` in Redis Streams."""

    protocol = 1

    def __init__(self, server: RedisServer, log: BoundLogger, pause: float = 0.0) -> None:
        self._redis = redis = server.client
        self._log = log
        self._pause = pause
        self._keys = RedisKeys(server.key("agents:"))
        self.worker = uuid4().hex
        self._subscriber = RedisSubscriber(redis, self._keys, self.worker, log, self._lost)
        self._handler: Handler | None = None
        self._own: dict[tuple[str, int], Feed] = {}
        self._publishers: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._create = redis.register_script(scripts.CREATE)
        self._settle = redis.register_script(scripts.SETTLE)
        self._update = redis.register_script(scripts.UPDATE)
        self._finish = redis.register_script(scripts.FINISH)

    async def start(self, handler: Handler) -> None:
        self._handler = handler
        await self._subscriber.start(handler)

    async def drain(self) -> None:
        self._subscriber.break_off()

    async def stop(self) -> None:
        for feed in self._own.values():
            feed.log.break_off()
        publishers = list(self._publishers.values())
        for publisher in publishers:
            publisher.cancel()
        await asyncio.gather(*publishers, return_exceptions=True)
        await self._subscriber.stop()

    async def create(
        self, job: Job, *, predecessor: int | None = None, limit: int | None = None
    ) -> tuple[Job, Job | None]:
        job.owner = self.worker
        names = self._keys
        answer = await self._create(
            keys=[
                names.job(job.stream_id),
                names.last(job.stream_id),
                names.user(job.user),
                names.running,
            ],
            args=[
                job.stream_id,
                job.user,
                int(time.time() * 1000),
                "" if predecessor is None else predecessor,
                "" if limit is None else limit,
                LIFE_SECONDS * 1000,
                LAST_MS,
                *fields_of(job),
            ],
        )
        what = text(answer[0])
        if what == "foreign":
            raise ForeignJob
        if what == "predecessor":
            raise PredecessorMismatch(int(answer[1]), bool(answer[2]), bool(answer[3]))
        if what == "limit":
            raise TooManyJobs(int(answer[1]))
        job.created_at = int(answer[1])
        return job, job_of(pairs(answer[2]))

    async def get(self, stream_id: str) -> Job | None:
        job = job_of(pairs(await self._redis.hgetall(self._keys.job(stream_id))))
        own = None if job is None else self._own.get(job.key)
        if job is not None and own is not None:
            job.record = own.job.record
        return job

    async def _many(self, stream_ids: Sequence[Any]) -> list[Job | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for stream_id in stream_ids:
                pipe.hgetall(self._keys.job(text(stream_id)))
            return [job_of(pairs(found)) for found in await pipe.execute()]

    async def active(self, user: str) -> Sequence[Job]:
        key = self._keys.user(user)
        stream_ids = list(await self._redis.smembers(key))
        if not stream_ids:
            return []
        found = await self._many(stream_ids)
        gone = [text(name) for name, job in zip(stream_ids, found, strict=True) if job is None]
        if gone:
            await self._redis.srem(key, *gone)
        return [job for job in found if job is not None and job.active and job.user == user]

    async def update(self, job: Job) -> None:
        details = record_bytes(job.record)
        await self._update(keys=[self._keys.job(job.stream_id)], args=[job.created_at, details])

    async def settle(self, job: Job, status: str) -> bool:
        names = self._keys
        won = await self._settle(
            keys=[names.job(job.stream_id), names.user(job.user)],
            args=[job.created_at, status, job.stream_id],
        )
        if won:
            job.status = status
            job.saving = True
        return bool(won)

    async def finish(self, job: Job, terminal: Terminal, keep: float) -> None:
        names = self._keys
        kept = max(keep, UNSEEN)
        await self._finish(
            keys=[names.job(job.stream_id), names.running],
            args=[job.created_at, int(kept * 1000), job.stream_id],
        )
        job.saving = False
        feed, publisher = self._own.pop(job.key, None), self._publishers.pop(job.key, None)
        if feed is not None:
            feed.log.close(terminal)
        if publisher is not None:
            _, late = await asyncio.wait({publisher}, timeout=PUBLISH_SECONDS)
            if late:
                self._log.warning("chat.log_not_shipped", conversation=job.stream_id)
        if feed is None:
            await self._redis.xadd(names.log(job), {"v1": terminal.v1, "v2": terminal.v2})
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.expire(names.log(job), int(kept) + 60)
            pipe.expire(names.snapshot(job), int(kept) + 60)
            await pipe.execute()

    async def attach(self, feed: Feed) -> None:
        job = feed.job
        self._own[job.key] = feed
        names = self._keys
        publisher = RedisPublisher(
            self._redis, names.log(job), names.snapshot(job), feed, self._pause, self._log
        )
        self._publishers[job.key] = asyncio.create_task(publisher.run())

    async def follow(self, job: Job) -> Feed | None:
        return self._own.get(job.key) or await self._subscriber.follow(job)

    async def leave(self, feed: Feed) -> None:
        if isinstance(feed, RemoteFeed):
            self._subscriber.leave(feed)

    async def ask(self, job: Job, command: Command, timeout: float) -> Mapping[str, Any] | None:
        if job.owner == self.worker:
            return None if self._handler is None else await self._handler(*job.key, command)
        return await self._subscriber.ask(job, command, timeout)

    async def _lost(self, job: Job) -> bool:
        """``True`` when a followed job has been replaced or dropped."""
        current = await self.get(job.stream_id)
        return current is None or current.created_at != job.created_at

    async def orphans(self) -> Sequence[Job]:
        stream_ids = list(await self._redis.zrange(self._keys.running, 0, -1))
        if not stream_ids:
            return []
        jobs = await self._many(stream_ids)
        gone = [text(name) for name, job in zip(stream_ids, jobs, strict=True) if job is None]
        if gone:
            await self._redis.zrem(self._keys.running, *gone)
        others = [job for job in jobs if job is not None and job.owner != self.worker]
        owners = sorted({job.owner for job in others})
        async with self._redis.pipeline(transaction=False) as pipe:
            for owner in owners:
                pipe.exists(self._keys.alive(owner))
            alive = dict(zip(owners, await pipe.execute(), strict=True)) if owners else {}
        return [job for job in others if (job.active or job.saving) and not alive[job.owner]]
