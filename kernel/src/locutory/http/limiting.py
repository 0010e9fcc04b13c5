"""Rate limits: declared on routes, counted by the `limits` library in memory or Redis.

Fixed windows, legacy ``X-RateLimit-*`` headers and bodies of contract kernel §11.
"""

import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter

from locutory.events import Fact

if TYPE_CHECKING:
    from locutory.http.request import Request

_SWEEP_SECONDS = 60.0


def by_ip(request: "Request") -> str | None:
    """The caller's address; an IPv6 address by its /64 network, since one caller owns at least that
    much."""
    try:
        address = ipaddress.ip_address(request.ip)
    except ValueError:
        return request.ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return str(address)


def by_user(request: "Request") -> str | None:
    """The caller's account id; ``None``, which is not counted, for anonymous requests."""
    return None if request.principal is None else request.principal.id


@dataclass(frozen=True, slots=True)
class Limit:
    """A fixed window: ``amount`` requests per ``seconds`` for each ``key``.

    ``body`` is the JSON of the 429. ``violation`` and ``score`` go into
    `LimitExceeded`, for plugins that count them. Limits with one name share a counter.
    """

    name: str
    amount: int
    seconds: int
    body: Mapping[str, Any]
    key: Callable[["Request"], str | None] = by_ip
    violation: str = ""
    score: float = 1


@dataclass(frozen=True, slots=True)
class LimitExceeded(Fact):
    """A request was refused by a rate limit. ``user`` is an account id or None."""

    limit: str
    violation: str
    score: float
    user: str | None
    ip: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one limit: ``allowed``, and the headers to send."""

    allowed: bool
    headers: dict[str, str]


class LocalWindows(MemoryStorage):
    """The library's storage without its sweep over all keys at every hit, with which many addresses
    would slow down every request. It needs no lock, since it never awaits."""

    _swept = 0.0

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        moment = time.time()
        if moment - self._swept > _SWEEP_SECONDS:
            self._swept = moment
            for old in [key for key, end in self.expirations.items() if end <= moment]:
                del self.expirations[old]
                self.storage.pop(old, None)
        if self.expirations.get(key, 0) <= moment:
            self.expirations[key] = moment + expiry
            self.storage[key] = 0
        self.storage[key] += amount
        return self.storage[key]


class RateLimits:
    """Counts requests against the limits of one kernel, in the process or in a storage that all
    workers share."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._strategy = FixedWindowRateLimiter(storage or LocalWindows())

    async def check(self, limit: Limit, key: str) -> Verdict:
        """Count one request of ``key`` against ``limit``."""
        item = RateLimitItemPerSecond(limit.amount, limit.seconds, namespace=limit.name)
        allowed = await self._strategy.hit(item, key)
        stats = await self._strategy.get_window_stats(item, key)
        headers = {
            "x-ratelimit-limit": str(limit.amount),
            "x-ratelimit-remaining": str(max(0, stats.remaining)),
            "x-ratelimit-reset": str(math.ceil(stats.reset_time)),
        }
        if not allowed:
            headers["retry-after"] = str(max(1, math.ceil(stats.reset_time - time.time())))
        return Verdict(allowed, headers)

    async def clear(self, limit: Limit, key: str) -> None:
        """Reset the count of ``key`` for ``limit``."""
        item = RateLimitItemPerSecond(limit.amount, limit.seconds, namespace=limit.name)
        await self._strategy.clear(item, key)
