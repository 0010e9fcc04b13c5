"""Ships the log of a job of this worker to Redis."""

import asyncio
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.stdlib import BoundLogger

from locutory_agents.stream.feed import Feed
from locutory_agents.stream.log import MAX_BYTES, MAX_EVENTS

LIFE_SECONDS = 86_400
RETRY_SECONDS = 0.5
RETRIES = 20


class RedisPublisher:
    """A reader of a feed's log that writes batches: whatever came while the last write was
    under way. Each entry has a number, so that a `RemoteFeed` notices a gap. When the log in
    Redis has grown too long a snapshot takes the place of what it has so far."""

    def __init__(
        self,
        redis: Redis,
        log_key: str,
        snapshot_key: str,
        feed: Feed,
        pause: float,
        log: BoundLogger,
    ) -> None:
        self._redis = redis
        self._log_key = log_key
        self._snapshot_key = snapshot_key
        self._feed = feed
        self._pause = pause
        self._log = log
        self._number = 0
        self._bytes = 0
        self._events = 0

    async def run(self) -> None:
        """Until the job has ended and everything is shipped."""
        position = 0
        log = self._feed.log
        while True:
            await log.wait(position)
            if self._pause and log.terminal is None:
                await asyncio.sleep(self._pause)
            frames = log.read(position)
            position = log.end
            fields: dict[Any, Any] = {}
            if frames is None:
                # Too much has happened while Redis was away: remote feeds start over.
                fields["restart"] = "1"
            elif frames:
                fields["frames"] = b"".join(frames)
                self._bytes += len(fields["frames"])
                self._events += len(frames)
            snapshot = None
            if frames is None or self._bytes > MAX_BYTES or self._events > MAX_EVENTS:
                # Taken before anything else can happen: it says what the log says up to here.
                snapshot = self._feed.transcript.dump()
            terminal = log.terminal
            if terminal is not None:
                fields |= {"v1": terminal.v1, "v2": terminal.v2}
            if fields and not await self._ship(fields, snapshot):
                return
            if terminal is not None:
                return

    async def _ship(self, fields: dict[Any, Any], snapshot: dict[str, Any] | None) -> bool:
        number = self._number
        self._number += 1
        fields["n"] = str(number)
        for _ in range(RETRIES):
            try:
                entry = await self._redis.xadd(self._log_key, fields)
                if number == 0:
                    await self._redis.expire(self._log_key, LIFE_SECONDS)
                if snapshot is not None:
                    await self._cut(number, entry, snapshot)
                return True
            except (RedisError, OSError) as error:
                self._log.warning("chat.redis_write_failed", reason=repr(error)[:200])
                await asyncio.sleep(RETRY_SECONDS)
        return False

    async def _cut(self, number: int, entry: Any, snapshot: dict[str, Any]) -> None:
        """A snapshot takes the place of all entries before the one it was taken with."""
        content = orjson.dumps({"n": number, "transcript": snapshot}, default=str)
        await self._redis.set(self._snapshot_key, content, ex=LIFE_SECONDS)
        await self._redis.xtrim(self._log_key, minid=entry, approximate=False)
        self._bytes = self._events = 0
