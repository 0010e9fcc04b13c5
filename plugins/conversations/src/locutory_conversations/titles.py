"""The one-shot hand-over of generated titles (contract convos §2.3)."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from locutory import Cache
from locutory_contracts.conversations import TITLE_NAMESPACE

_STEP = 0.5


class Titles:
    """Waits for the title that the chat puts into the cache when its model has made one."""

    def __init__(self, cache: Cache, hold_seconds: float) -> None:
        self._cache = cache
        self._hold = hold_seconds

    async def wait(
        self, user: str, conversation_id: str, gone: Callable[[], Awaitable[bool]]
    ) -> str | None:
        """The title, once; ``None`` after the hold, or when the client has hung up.

        Looks twice a second, more often than upstream (0.5, 1, 2, 4, 8 s), so that a title
        shows as soon as it is there; a look costs a dictionary or a Redis read.
        """
        key = f"{user}-{conversation_id}"
        deadline = time.monotonic() + self._hold
        while True:
            title = await self._cache.pop(TITLE_NAMESPACE, key)
            if title is not None:
                return str(title)
            left = deadline - time.monotonic()
            if left <= 0 or await gone():
                return None
            await asyncio.sleep(min(_STEP, left))
