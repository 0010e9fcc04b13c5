"""The progress of a user's import, available on any worker."""

import time
from typing import Any

from locutory import Cache

NAMESPACE = "CONVERSATION_IMPORT"
_KEPT_SECONDS = 3600.0
_EVERY_SECONDS = 0.5


class Progress:
    """Keeps ``{state, imported, failed, total_bytes, read_bytes}`` in the cache for an hour;
    ``state`` is ``running``, ``done`` or ``failed``, then with a ``message``."""

    def __init__(self, cache: Cache, user: str, total_bytes: int) -> None:
        self._cache = cache
        self._user = user
        self._total = total_bytes
        self._last = 0.0
        self._counts = (0, 0, 0)

    async def update(self, imported: int, failed: int, read_bytes: int) -> None:
        """Record the progress of the import; written twice a second at most."""
        self._counts = (imported, failed, read_bytes)
        if time.monotonic() - self._last >= _EVERY_SECONDS:
            self._last = time.monotonic()
            await self._write("running", {})

    async def end(self, problem: str) -> None:
        """End the import; the problem is a sentence for the user, or empty."""
        if problem:
            await self._write("failed", {"message": problem})
        else:
            await self._write("done", {})

    async def _write(self, state: str, more: dict[str, str]) -> None:
        imported, failed, read_bytes = self._counts
        value = {
            "state": state,
            "imported": imported,
            "failed": failed,
            "total_bytes": self._total,
            "read_bytes": min(read_bytes, self._total),
            **more,
        }
        await self._cache.set(NAMESPACE, self._user, value, _KEPT_SECONDS)


async def progress_of(cache: Cache, user: str) -> Any:
    """The state of the last import of a user, ``None`` when there was none recently."""
    return await cache.get(NAMESPACE, user)
