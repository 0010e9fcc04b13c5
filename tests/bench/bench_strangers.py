"""Ten anonymous requests of each costly kind while 50 chats stream: how long others wait.

``python -m tests.bench.bench_strangers``
"""

import asyncio
import gzip
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from locutory_testing.database import Databases, session_databases
from tests.bench.measure import Running, cpu_seconds, resident_mb, table
from tests.bench.routes import BROWSER, sign_in
from tests.bench.turns import TOKENS, crowd, serving

CHATS = 50
REQUESTS = 10
# What nobody else should ever wait, in seconds.
LONGEST = 0.3
LOGIN, CLOSED, UNKNOWN = "/api/auth/login", "/api/user/plugins", "/api/unknown"


@dataclass(frozen=True, slots=True)
class Kind:
    """A request, sent without a token."""

    path: str
    body: bytes | None = None
    headers: Mapping[str, str] | None = None


def _kinds() -> dict[str, Kind]:
    json_ = {"content-type": "application/json"}
    packed = {**json_, "content-encoding": "gzip"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    objects = b'{"a":[' + b"{}," * 900_000 + b"1]}"
    half = rb'{"b":"\ud83d","a":[' + b"1," * 1_400_000 + b"1]}"
    most = rb'{"\u0061":[' + b"{}," * 2_490 + b'"' + b"x" * 240_000 + b'"]}'
    return {
        "gzip, a million objects, login": Kind(LOGIN, gzip.compress(objects), packed),
        "the same, no such path": Kind(UNKNOWN, gzip.compress(objects), packed),
        "the same, the page": Kind("/", gzip.compress(objects), packed),
        "the same, a closed route": Kind(CLOSED, gzip.compress(objects), packed),
        "2.7 MB of objects, login": Kind(LOGIN, objects, json_),
        "half a character, numbers, login": Kind(LOGIN, half, json_),
        "half a character, 60 kB, login": Kind(LOGIN, half[:60_000] + b"1]}", json_),
        "all that is allowed, login": Kind(LOGIN, most, json_),
        "deep, login": Kind(LOGIN, b"[" * 60_000, json_),
        "keys, 60 kB, login": Kind(
            LOGIN, b"{" + b",".join(b'"k%d":1' % n for n in range(4_900)) + b"}", json_
        ),
        "utf-32, login": Kind(
            LOGIN,
            objects[:700_000].decode().encode("utf-32le"),
            {"content-type": "application/json; charset=utf-32le"},
        ),
        "form of one long key, login": Kind(LOGIN, b"a" + b"[]" * 1_400_000 + b"=1", form),
        "form, 60 kB encoded, login": Kind(LOGIN, b"a=" + b"%41" * 16_000, form),
        "form, 999 deep fields, login": Kind(
            LOGIN, b"&".join(b"a[%d]" % n + b"[b]" * 31 for n in range(999)), form
        ),
        "a cookie of 60 kB": Kind("/", headers={"cookie": 'lang="' + '\\"' * 30_000 + '"'}),
        "a query of 30,000 pairs": Kind("/api/config?" + "a&" * 30_000),
        "an Accept-Language of 60 kB": Kind("/", headers={"accept-language": "en;q=0.1," * 6_000}),
        "an Authorization of 60 kB": Kind(
            "/api/user", headers={"authorization": "Bearer " + "W1tb" * 15_000 + ".e30.x"}
        ),
        "an X-Forwarded-For of 60 kB": Kind(
            UNKNOWN, headers={"x-forwarded-for": "1.2.3.4," * 7_500}
        ),
    }


async def _send(base: str, kind: Kind) -> list[int]:
    """The statuses of ten such requests."""
    statuses = []
    async with aiohttp.ClientSession(headers={"user-agent": BROWSER}) as session:
        for _ in range(REQUESTS):
            method = "GET" if kind.body is None else "POST"
            async with session.request(
                method, base + kind.path, data=kind.body, headers=kind.headers
            ) as answer:
                await answer.read()
                statuses.append(answer.status)
    return statuses


async def _wait(base: str, token: str, stop: asyncio.Event) -> float:
    """The longest time that a signed-in request took until ``stop``."""
    longest = 0.0
    headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER}
    async with aiohttp.ClientSession(headers=headers) as session:
        while not stop.is_set():
            started = time.perf_counter()
            async with session.get(f"{base}/api/user") as answer:
                await answer.read()
            longest = max(longest, time.perf_counter() - started)
            await asyncio.sleep(0.01)
    return longest


async def _beside(ours: Running, token: str, kind: Kind | None) -> tuple[float, list[int]]:
    """The longest wait of somebody else while 50 chats stream, the least of three, and the
    strangers' statuses."""
    chats = asyncio.create_task(crowd(ours.url, token, CHATS, "paced"))
    await asyncio.sleep(1.0)  # the turns have started
    longest, statuses = [], []
    for _ in range(3):
        stop = asyncio.Event()
        waiting = asyncio.create_task(_wait(ours.url, token, stop))
        await asyncio.sleep(0.1)
        statuses += [] if kind is None else await _send(ours.url, kind)
        await asyncio.sleep(0.1 if kind is not None else 0.5)
        stop.set()
        longest.append(await waiting)
    assert all(each.tokens == TOKENS for each in await chats)
    return min(longest), statuses


def run(databases: Databases, folder: Path) -> str:
    """The whole benchmark as text."""
    rows = []
    with serving(databases, folder) as ours:
        _, token = sign_in(ours.url)
        asyncio.run(crowd(ours.url, token, CHATS, "fast"))
        quiet = asyncio.run(_beside(ours, token, None))[0]
        start = resident_mb(ours.pid)
        for name, kind in _kinds().items():
            before = cpu_seconds(ours.pid)
            asyncio.run(_send(ours.url, kind))
            cpu = (cpu_seconds(ours.pid) - before) * 1000 / REQUESTS
            longest, statuses = asyncio.run(_beside(ours, token, kind))
            found = ", ".join(str(status) for status in sorted(set(statuses)))
            over = "over" if longest > LONGEST and longest > 2 * quiet else ""
            rows.append(
                [
                    name,
                    found,
                    f"{cpu:.1f}",
                    f"{longest * 1000:.0f}",
                    f"{longest / quiet:.1f}",
                    f"{resident_mb(ours.pid):.0f}",
                    over,
                ]
            )
    head = ("ten of", "status", "CPU ms each", "others wait ms", "ratio", "MB", "")
    return (
        f"{table(head, rows)}\n\nWithout strangers others wait {quiet * 1000:.0f} ms at most; "
        f"{start:.0f} MB before."
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, session_databases(durable=True) as databases:
        sys.stdout.write(f"{run(databases, Path(name))}\n")
