"""The event stream of one reader: raw ASGI, one send for all that is new (chat-stream §6)."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import PING, Terminal
from locutory_agents.stream.protocol import HEADER

HEARTBEAT_SECONDS = 7.5
"""A stream gets a keep-alive when it was silent for one to two beats."""

STUCK_TICKS = 8
"""A reader that has taken nothing of one write for this long is dropped."""


class Heartbeat:
    """One timer for the keep-alives of all streams."""

    def __init__(self, seconds: float = HEARTBEAT_SECONDS) -> None:
        self._seconds = seconds
        self._streams: set[EventStream] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def join(self, stream: "EventStream") -> None:
        """Keep a stream alive until it leaves."""
        self._streams.add(stream)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tick)

    def leave(self, stream: "EventStream") -> None:
        """Keep it alive no longer."""
        self._streams.discard(stream)
        if not self._streams and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tick)
        for stream in self._streams:
            stream.tick()


class EventStream(Response):
    """Sends a feed to one reader until the feed ends or the reader disconnects.

    A reader that is too slow loses its position in the log and continues from a snapshot. When the
    feed breaks off (its store was not available, this worker shuts down) the stream continues with
    the feed that ``again`` returns, else the reader is asked to reconnect: some proxies turn a
    dropped connection into a clean end, and the reader would wait for ever (§6.10).
    """

    def __init__(
        self,
        feed: Feed,
        version: int,
        *,
        resume: bool,
        heartbeat: Heartbeat,
        left: Callable[[Feed], Awaitable[None]],
        again: Callable[[Feed], Awaitable[Feed | Terminal]],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.raw_headers = [
            (b"content-type", b"text/event-stream"),
            (b"content-encoding", b"identity"),
            (b"cache-control", b"no-cache, no-transform"),
            (b"connection", b"keep-alive"),
            (b"x-accel-buffering", b"no"),
            (HEADER.encode(), str(version).encode()),
        ]
        self._feed = feed
        self._version = version
        self._resume = resume
        self._heartbeat = heartbeat
        self._left = left
        self._again = again
        self._gone = False
        self._idle = False
        self._writing = False
        self._writes = 0
        self._seen_writes = 0
        self._stuck = 0
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[None] | None = None

    def tick(self) -> None:
        """A beat: send a keep-alive, unless something was sent since the last one; drop a
        reader that does not read."""
        if self._idle:
            self._wake()
        self._idle = True
        self._stuck = self._stuck + 1 if self._writing and self._writes == self._seen_writes else 0
        self._seen_writes = self._writes
        if self._stuck >= STUCK_TICKS and self._task is not None:
            self._gone = True
            self._task.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._feed.log.watchers += 1
        self._task = asyncio.current_task()
        listening = asyncio.create_task(self._listen(receive))
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            self._heartbeat.join(self)
            await self._relay(send)
        except asyncio.CancelledError:
            if not self._gone:
                raise
        finally:
            self._heartbeat.leave(self)
            listening.cancel()
            self._feed.log.watchers -= 1
            await self._left(self._feed)

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake()

    async def _relay(self, send: Send) -> None:
        message = {"type": "http.response.body", "body": b"", "more_body": True}
        position = 0
        resume = self._resume
        while not self._gone:
            feed, log = self._feed, self._feed.log
            frames = None if resume else log.read(position)
            resume = False
            if frames is None:
                snapshot, position = feed.sync()
                frames = [snapshot]
            else:
                position += len(frames)
            terminal = log.terminal
            if terminal is not None:
                frames.append(terminal.frame(self._version))
                self._writing = True
                await send({**message, "body": b"".join(frames), "more_body": False})
                return
            if frames:
                self._idle = False
                self._writing = True
                await send({**message, "body": frames[0] if len(frames) == 1 else b"".join(frames)})
                self._writing = False
                self._writes += 1
                continue
            if not log.broken:
                await self._wait(send, position)
                continue
            found = await self._again(feed)
            if isinstance(found, Terminal):
                await send({**message, "body": found.frame(self._version), "more_body": False})
                return
            log.watchers -= 1
            found.log.watchers += 1
            self._feed, resume = found, True

    async def _wait(self, send: Send, position: int) -> None:
        """Until something happens; nothing new means that a keep-alive is due."""
        log = self._feed.log
        if log.news(position) or self._gone:
            return
        self._waiting = log.waiting()
        await self._waiting
        self._waiting = None
        if not log.news(position) and not self._gone:
            await send({"type": "http.response.body", "body": PING, "more_body": True})
