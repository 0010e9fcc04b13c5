"""Slows down guessing at one account, from however many addresses it comes."""

import hashlib

from locutory import Cache
from locutory_auth.address import counted

REMEMBERED_SECONDS = 15 * 60.0
KNOWN_SECONDS = 30 * 24 * 3600.0


class Throttle:
    """After some failures each further attempt on one account has to wait, twice as long
    every time, up to a limit. Nobody is locked out: whoever has signed in from the address
    before does not wait.

    Args:
        name: what is guessed at.
        free: attempts without waiting; 0 switches it off.
        longest: seconds to wait at most.
    """

    def __init__(self, cache: Cache, name: str, free: int, longest: float) -> None:
        self._cache = cache
        self._tries = f"{name}:tries"
        self._pause = f"{name}:pause"
        self._known = f"{name}:known"
        self._free = free
        self._longest = longest

    async def admit(self, who: str, ip: str = "") -> float:
        """Count an attempt before it is made: 0 when it may be, else seconds to wait."""
        if self._free == 0:
            return 0
        key = _key(who)
        tries = await self._cache.increment(self._tries, key, 1, REMEMBERED_SECONDS)
        if tries <= self._free or (ip and await self._cache.get(self._known, _place(key, ip))):
            return 0
        wait = min(self._longest, 2.0 ** min(tries - self._free - 1, 16))
        # Of attempts at the same time one passes.
        return 0 if await self._cache.add(self._pause, key, 1, wait) else wait

    async def succeeded(self, who: str, ip: str = "") -> None:
        """Reset the count after a successful attempt, and remember the address."""
        if self._free == 0:
            return
        key = _key(who)
        await self._cache.delete(self._tries, key)
        await self._cache.delete(self._pause, key)
        if ip:
            await self._cache.set(self._known, _place(key, ip), 1, KNOWN_SECONDS)


def _key(who: str) -> str:
    return hashlib.sha256(who.strip().lower().encode()).hexdigest()


def _place(key: str, ip: str) -> str:
    return f"{key}:{counted(ip)}"
