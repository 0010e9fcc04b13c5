"""Work on hostile or large input must grow with the input, not with its square.

``python -m tests.bench.growth``. Each row measures the processor time of one function of this
process on an input and on one that is four times as large, the least of three each: in linear
time the ratio is about 4, in quadratic time 16. Work that must not depend on how much is stored
has a ratio of about 1.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from locutory import Principal
from locutory.http.limiting import Limit, RateLimits
from locutory.responses import encode
from locutory_conversations.editing.artifacts import artifacts_of, without_display_escapes
from locutory_endpoints.tokens import O200kCounter
from locutory_users.profile import profile
from tests.bench.measure import table

TIMES = 4
LINEAR = 8.0
CONSTANT = 3.0


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of a call, the least of three."""
    found = []
    for _ in range(3):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def artifact(pattern: str, tail: str = "") -> Callable[[int], Callable[[], Any]]:
    """Finding and changing artifacts in a text that repeats a pattern."""

    def of(size: int) -> Callable[[], Any]:
        text = ":::artifact\n" + pattern * (size // len(pattern)) + tail

        def work() -> None:
            for found in artifacts_of({"text": text})[:3]:
                found.replace("zz", "y")
                found.replace("`", "y")

        return work

    return of


def escapes(pattern: str) -> Callable[[int], Callable[[], Any]]:
    """Removing the escapes that are only for display."""
    return lambda size: lambda: without_display_escapes(pattern * (size // len(pattern)))


def tokens(pattern: str) -> Callable[[int], Callable[[], Any]]:
    """Counting tokens; a counter of its own each time, so that nothing is remembered."""
    return lambda size: lambda: O200kCounter().count(pattern * (size // len(pattern)))


def rate_limits(size: int) -> Callable[[], Any]:
    """Two thousand checks while so many other addresses are counted."""
    limits, limit = RateLimits(), Limit("crowd", 5, 3600, {})

    async def check(first: int, count: int) -> None:
        for key in range(first, first + count):
            await limits.check(limit, str(key))

    asyncio.run(check(0, size))
    first = [size]

    def work() -> None:
        first[0] += 2000
        asyncio.run(check(first[0], 2000))

    return work


def profiles(size: int) -> Callable[[], Any]:
    """The answer of ``GET /api/user`` for an account with so many favourites, 200 times."""
    account = {"_id": "0" * 24, "favorites": [{"model": "m", "endpoint": "e"}] * size}
    principal: Any = Principal("0" * 24, account=account)
    return lambda: [encode(profile(principal)) for _ in range(200)]


ROWS: dict[str, tuple[Callable[[int], Callable[[], Any]], int, float]] = {
    "artifacts, an open fence": (artifact("`"), 200_000, LINEAR),
    "artifacts, many fences": (artifact("\n``` \n \n", "\n"), 200_000, LINEAR),
    "artifacts, blanks": (artifact(" ", ":::"), 200_000, LINEAR),
    "display escapes": (escapes(r"$$\\ce{"), 200_000, LINEAR),
    "display escapes, closing": (escapes("}$$"), 200_000, LINEAR),
    "tokens of one long word": (tokens("a"), 50_000, LINEAR),
    "tokens of line ends": (tokens("\n"), 50_000, LINEAR),
    "tokens of words": (tokens("word and "), 50_000, LINEAR),
    "2,000 rate limits among others": (rate_limits, 5_000, CONSTANT),
    "200 profiles": (profiles, 20, LINEAR),
}


def run() -> str:
    """The table; a row beyond its limit says so."""
    rows = []
    for name, (make, size, limit) in ROWS.items():
        small, large = seconds(make(size)), seconds(make(size * TIMES))
        ratio = large / max(small, 1e-6)
        verdict = "" if ratio <= limit else "TOO MUCH"
        took = [f"{each * 1000:.1f}" for each in (small, large)]
        rows.append([name, f"{size:,}", *took, f"{ratio:.1f}", f"{limit:.0f}", verdict])
    head = ["work", "size", "ms", f"ms at {TIMES} times", "ratio", "limit", ""]
    return table(head, rows)


if __name__ == "__main__":
    sys.stdout.write(run() + "\n")
