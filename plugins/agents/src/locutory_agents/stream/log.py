"""The event log of one job, shared by all its readers.

A reader has its own position, so that events are stored once and a slow reader affects nobody else.
The log is bounded: old events are dropped, and a reader that still needs them starts again from a
snapshot (chat-stream §6).
"""

import asyncio
from collections.abc import Callable

from locutory_agents.stream.frames import Terminal

MAX_EVENTS = 5_000
MAX_BYTES = 8 * 1024 * 1024


class EventLog:
    """Frames of one job, oldest first, and the event that ended it.

    ``pending`` is set by a writer that holds back text; it appends that text. A log is
    used by one event loop only.
    """

    __slots__ = (
        "_base",
        "_bytes",
        "_frames",
        "_max_bytes",
        "_max_events",
        "_readers",
        "broken",
        "dirty",
        "dropping",
        "pending",
        "terminal",
        "watchers",
    )

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._frames: list[bytes] = []
        self._base = 0
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._readers: list[asyncio.Future[None]] = []
        self.dirty = False
        self.pending: Callable[[], None] | None = None
        self.dropping: Callable[[], None] | None = None
        self.terminal: Terminal | None = None
        self.broken = False
        self.watchers = 0

    @property
    def end(self) -> int:
        """The position after the newest frame."""
        return self._base + len(self._frames)

    def append(self, frame: bytes) -> None:
        """Add a frame and wake the readers."""
        self._frames.append(frame)
        self._bytes += len(frame)
        if self._bytes > self._max_bytes or len(self._frames) > self._max_events:
            self._drop()
        if self._readers:
            self.wake()

    def _drop(self) -> None:
        if self.dropping is not None:
            self.dropping()
        count = max(1, len(self._frames) // 2)
        dropped = self._frames[:count]
        del self._frames[:count]
        self._base += count
        self._bytes -= sum(map(len, dropped))

    def skip(self) -> None:
        """Mark the events before this log as known from a snapshot, which readers from the start
        receive."""
        self._base = max(1, self._base)

    def touch(self) -> None:
        """Text is pending: a reader that comes now finds something."""
        self.dirty = True
        if self._readers:
            self.wake()

    def wake(self) -> None:
        """Let every waiting reader look again."""
        readers, self._readers = self._readers, []
        for reader in readers:
            if not reader.done():
                reader.set_result(None)

    def read(self, position: int) -> list[bytes] | None:
        """The frames from a position on; ``None`` when some of them are gone."""
        if self.dirty and self.pending is not None:
            self.pending()
        offset = position - self._base
        return None if offset < 0 else self._frames[offset:]

    def news(self, position: int) -> bool:
        """True when there is something for a reader at this position."""
        return self.dirty or self.end > position or self.terminal is not None or self.broken

    def waiting(self) -> "asyncio.Future[None]":
        """A future that is done when something happens; for one reader, for one wait."""
        reader: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readers.append(reader)
        return reader

    async def wait(self, position: int) -> None:
        """Wait until `news`."""
        while not self.news(position):
            await self.waiting()

    def close(self, terminal: Terminal) -> None:
        """End the log; the first end counts."""
        if self.dirty and self.pending is not None:
            self.pending()
        if self.terminal is None:
            self.terminal = terminal
        self.wake()

    def break_off(self) -> None:
        """No more events can be had here; readers go on elsewhere."""
        self.broken = True
        self.wake()
