"""A worker's subscriptions in Redis: commands for its jobs, and the logs that it follows.

One connection and one blocking read serve all of it. To follow another log the worker
writes to its own inbox, which makes the read return and start again with that log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.stdlib import BoundLogger

from locutory_agents.job import Job
from locutory_agents.stores.base import Command, Handler
from locutory_agents.stores.redis.keys import ALIVE_MS, RedisKeys, pairs, text
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Terminal, parse
from locutory_agents.stream.transcript import Transcript

BLOCK_MS = 2000
HEARTBEAT_SECONDS = 5.0
INBOX_LENGTH = 1000
PAGE = 200


class RemoteFeed(Feed):
    """The feed of a job of another worker. Its transcript is folded when somebody asks."""

    def __init__(self, job: Job, log_key: str) -> None:
        super().__init__(job)
        self.log_key = log_key
        self.last_id: Any = "0"
        self.readers = 0
        self._number = -1
        self._folded = 0
        self.log.dropping = self._fold

    def load(self, snapshot: Mapping[str, Any]) -> None:
        """Begin after a snapshot."""
        self._transcript = Transcript.load(snapshot["transcript"])
        self._number = snapshot["n"]
        self.log.skip()
        self._folded = self.log.end

    def take(self, entry_id: Any, fields: Mapping[str, Any]) -> None:
        """One entry of the log in Redis."""
        self.last_id = entry_id
        number = int(fields.get("n", self._number + 1))
        if number <= self._number:
            return
        if "restart" in fields or number != self._number + 1:
            self.log.break_off()
            return
        self._number = number
        if "frames" in fields:
            self.log.append(fields["frames"])
        if "v1" in fields:
            self.log.close(Terminal(fields["v1"], fields["v2"]))

    def _fold(self) -> None:
        for batch in self.log.read(self._folded) or ():
            for event in parse(batch):
                self._transcript.apply(event)
        self._folded = self.log.end

    @property
    def transcript(self) -> Transcript:
        """The transcript of the log, up to its end."""
        self._fold()
        return self._transcript


class RedisSubscriber:
    """Receives commands for this worker's jobs and the logs of other workers' jobs; sends commands
    to other workers. ``lost`` returns ``True`` when a followed job has been replaced or dropped."""

    def __init__(
        self,
        redis: Redis,
        keys: RedisKeys,
        worker: str,
        log: BoundLogger,
        lost: Callable[[Job], Awaitable[bool]],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._worker = worker
        self._log = log
        self._inbox = keys.inbox(worker)
        self._inbox_id: Any = "0"
        self._feeds: dict[tuple[str, int], RemoteFeed] = {}
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._handler: Handler | None = None
        self._lost = lost

    async def start(self, handler: Handler) -> None:
        """Begin to listen; commands for jobs of this worker go to ``handler``."""
        self._handler = handler
        await self._heartbeat()
        self._spawn(self._run_heartbeat())
        self._spawn(self._listen())

    async def stop(self) -> None:
        """Stop listening; the worker counts as dead from now on."""
        self.break_off()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.delete(self._keys.alive(self._worker), self._inbox)

    def break_off(self) -> None:
        """Readers of other workers' jobs shall go elsewhere."""
        for feed in self._feeds.values():
            feed.log.break_off()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _heartbeat(self) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._keys.alive(self._worker), "1", px=ALIVE_MS)
            pipe.pexpire(self._inbox, ALIVE_MS * 4)
            await pipe.execute()

    async def _run_heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._heartbeat()
                await self._drop_lost_feeds()
            except (RedisError, OSError) as error:
                self._log.warning("chat.redis_unreachable", reason=repr(error)[:200])

    async def _drop_lost_feeds(self) -> None:
        """End the feeds of lost jobs. A job may vanish without an end that its readers see; they
        reconnect then and learn its state."""
        for feed in list(self._feeds.values()):
            if feed.log.terminal is None and await self._lost(feed.job):
                feed.log.break_off()

    async def _listen(self) -> None:
        while True:
            try:
                await self._read()
            except (RedisError, OSError) as error:
                self._log.warning("chat.redis_unreachable", reason=repr(error)[:200])
                await asyncio.sleep(0.5)
            except Exception:
                self._log.exception("chat.redis_reader_failed")
                await asyncio.sleep(0.5)

    async def _read(self) -> None:
        feeds = {feed.log_key: feed for feed in self._feeds.values()}
        positions: dict[Any, Any] = {key: feed.last_id for key, feed in feeds.items()}
        positions[self._inbox] = self._inbox_id
        answer = await self._redis.xread(positions, count=PAGE, block=BLOCK_MS)
        streams = answer.items() if isinstance(answer, dict) else answer or ()
        for key, entries in streams:
            name = text(key)
            for entry_id, fields in _flat(entries):
                if name == self._inbox:
                    self._inbox_id = entry_id
                    self._receive(fields)
                elif name in feeds:
                    feeds[name].take(entry_id, pairs(fields))

    # -- commands ------------------------------------------------------------------------

    async def ask(self, job: Job, command: Command, timeout: float) -> Mapping[str, Any] | None:
        """Send a command to the job's owner; ``None`` when it is dead or slow."""
        if not await self._redis.exists(self._keys.alive(job.owner)):
            return None
        number = uuid4().hex
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        message = {
            "id": number,
            "from": self._worker,
            "stream": job.stream_id,
            "created": job.created_at,
            "command": dict(command),
        }
        try:
            await self._send(job.owner, message)
            async with asyncio.timeout(timeout):
                return dict(found) if (found := await waiting) is not None else None
        except TimeoutError:
            return None
        finally:
            self._answers.pop(number, None)

    async def _send(self, worker: str, message: Mapping[str, Any]) -> None:
        content = orjson.dumps(message, default=str)
        await self._redis.xadd(self._keys.inbox(worker), {"letter": content}, maxlen=INBOX_LENGTH)

    def _receive(self, fields: Any) -> None:
        content = pairs(fields).get("letter")
        if content is None:
            return
        message = orjson.loads(content)
        if "answer" in message:
            waiting = self._answers.get(message["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(message["answer"])
        else:
            self._spawn(self._run_command(message))

    async def _run_command(self, message: Mapping[str, Any]) -> None:
        answer = None
        try:
            if self._handler is not None:
                answer = await self._handler(
                    message["stream"], message["created"], message["command"]
                )
        except Exception:
            self._log.exception("chat.command_failed", conversation=message["stream"])
        try:
            await self._send(message["from"], {"id": message["id"], "answer": answer})
        except (RedisError, OSError) as error:
            self._log.warning("chat.redis_unreachable", reason=repr(error)[:200])

    # -- following -----------------------------------------------------------------------

    async def follow(self, job: Job) -> RemoteFeed | None:
        """The feed of another worker's job; ``None`` when its log is gone. Readers share it."""
        known = self._feeds.get(job.key)
        if known is not None and not known.log.broken:
            known.readers += 1
            return known
        feed = RemoteFeed(job, self._keys.log(job))
        snapshot = await self._redis.get(self._keys.snapshot(job))
        if snapshot is not None:
            feed.load(orjson.loads(snapshot))
        while entries := await self._page(feed):
            for entry_id, fields in entries:
                feed.take(entry_id, pairs(fields))
        if feed.last_id == "0" and snapshot is None and not job.active:
            return None
        known = self._feeds.get(job.key)
        if known is not None and not known.log.broken:
            feed = known  # another reader was faster
        elif feed.log.terminal is None:
            self._feeds[job.key] = feed
            await self._redis.xadd(self._inbox, {"wake": "1"}, maxlen=INBOX_LENGTH)
        feed.readers += 1
        return feed

    async def _page(self, feed: RemoteFeed) -> list[tuple[Any, Any]]:
        after = feed.last_id
        start = "-" if after == "0" else f"({text(after)}"
        return list(_flat(await self._redis.xrange(feed.log_key, min=start, count=PAGE)))

    def leave(self, feed: RemoteFeed) -> None:
        """Release a feed of `follow`; the last reader's release ends the subscription."""
        feed.readers -= 1
        if feed.readers <= 0 and self._feeds.get(feed.job.key) is feed:
            del self._feeds[feed.job.key]


def _flat(entries: Any) -> Any:
    """(id, fields) of a reply of XRANGE or XREAD, which some protocol versions nest."""
    if len(entries) == 1 and isinstance(entries[0], list):
        return entries[0]
    return entries
