"""Changed documents on their way into an index."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from locutory_search.entries import Entry, Kind

MAX_DOCUMENTS = 1000
"""Maximum waiting documents, and below that their characters. Others are dropped: the feed brings
them again."""
MAX_CHARACTERS = 8_000_000

BATCH_DELAY_SECONDS = 0.02


class IndexingQueue:
    """Keeps the newest state of each document until ``write`` has taken it, in batches.
    ``overflowed`` is called when something was not kept."""

    def __init__(
        self,
        write: Callable[[Sequence[Entry]], Awaitable[None]],
        overflowed: Callable[[], None],
        batch: int,
    ) -> None:
        self._write = write
        self._overflowed = overflowed
        self._batch = batch
        self._waiting: dict[tuple[Kind, str, str], Entry] = {}
        self._characters = 0
        self._filled = asyncio.Event()

    def put(self, entry: Entry) -> None:
        """Add a document, in place of an older state of it."""
        key = (entry.kind, entry.user, entry.id)
        replaced = self._waiting.get(key)
        characters = self._characters + entry.size - (replaced.size if replaced else 0)
        if characters > MAX_CHARACTERS or (
            replaced is None and len(self._waiting) >= MAX_DOCUMENTS
        ):
            self._overflowed()
            return
        self._waiting[key] = entry
        self._characters = characters
        self._filled.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(BATCH_DELAY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits."""
        while self._waiting:
            batch = [self._waiting.pop(key) for key in list(self._waiting)[: self._batch]]
            self._characters -= sum(entry.size for entry in batch)
            await self._write(batch)
        self._filled.clear()
