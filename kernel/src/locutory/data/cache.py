"""A small key-value cache with expiry, inside the process; `locutory_redis` has one that several
workers share."""

import asyncio
import time
from typing import Any, Protocol


class Cache(Protocol):
    """JSON values by namespace and key. ``ttl`` in seconds; ``None`` never expires."""

    async def get(self, namespace: str, key: str) -> Any: ...

    async def set(self, namespace: str, key: str, value: Any, ttl: float | None = None) -> None: ...

    async def add(self, namespace: str, key: str, value: Any, ttl: float | None = None) -> bool:
        """Set only when absent; ``True`` for the one caller that did."""
        ...

    async def pop(self, namespace: str, key: str) -> Any:
        """Return the value (``None`` when absent) and delete it, in one step."""
        ...

    async def delete(self, namespace: str, key: str) -> None: ...

    async def increment(
        self, namespace: str, key: str, by: float = 1, ttl: float | None = None
    ) -> float:
        """Add to a number (an absent one counts as 0) and return the sum. A ``ttl`` restarts the
        expiry, ``None`` keeps it."""
        ...


class MemoryCache:
    """`Cache` of one process; holds at most ``capacity`` entries, of which the oldest are dropped
    first."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._entries: dict[tuple[str, str], tuple[Any, float | None]] = {}
        self._capacity = capacity

    def _read(self, entry: tuple[str, str]) -> Any:
        found = self._entries.get(entry)
        if found is None:
            return None
        value, expires = found
        if expires is not None and expires <= time.monotonic():
            del self._entries[entry]
            return None
        return value

    async def get(self, namespace: str, key: str) -> Any:
        return self._read((namespace, key))

    async def set(self, namespace: str, key: str, value: Any, ttl: float | None = None) -> None:
        entry = (namespace, key)
        self._entries.pop(entry, None)
        if len(self._entries) >= self._capacity:
            del self._entries[next(iter(self._entries))]
        self._entries[entry] = (value, None if ttl is None else time.monotonic() + ttl)

    async def add(self, namespace: str, key: str, value: Any, ttl: float | None = None) -> bool:
        if self._read((namespace, key)) is not None:
            return False
        await self.set(namespace, key, value, ttl)
        return True

    async def pop(self, namespace: str, key: str) -> Any:
        value = self._read((namespace, key))
        self._entries.pop((namespace, key), None)
        return value

    async def delete(self, namespace: str, key: str) -> None:
        self._entries.pop((namespace, key), None)

    async def increment(
        self, namespace: str, key: str, by: float = 1, ttl: float | None = None
    ) -> float:
        entry = (namespace, key)
        total = float(self._read(entry) or 0) + by
        if ttl is None and entry in self._entries:  # keeps the end that it has
            self._entries[entry] = (total, self._entries[entry][1])
        else:
            await self.set(namespace, key, total, ttl)
        return total

    async def sweep(self) -> None:
        """Drop expired entries."""
        moment = time.monotonic()
        for position, (entry, (_, expires)) in enumerate(list(self._entries.items())):
            if expires is not None and expires <= moment:
                self._entries.pop(entry, None)
            if position % 1000 == 999:
                await asyncio.sleep(0)
