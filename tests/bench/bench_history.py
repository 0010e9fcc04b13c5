"""History reads at several sizes: ours against bare handlers, CPU and time, in one run.

``python -m tests.bench.bench_history``: lists of 500, 10,000 and 100,000 conversations of one
user beside as many of others, conversations of 50 and 1,000 messages. The bare handlers are those
of `tests.bench.bare` on the same file; ours run in a server with every bundled plugin. The database
works in both: there is no other process.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from locutory_testing.database import Databases, session_databases
from tests.bench.measure import Running, _requests, cost, free_port, locutory, process, table
from tests.bench.routes import BROWSER, bare_handlers, seed, sign_in

LISTS = (500, 10_000, 100_000)
CONVERSATIONS = (50, 1_000, 1)  # 1: not measured
REQUESTS = (300, 60, 6)  # the bare handler needs seconds for the longest list
LIMITS = {"list": 2.0, "messages": 2.5}


def milliseconds(server: Running, path: str, count: int, headers: Mapping[str, str]) -> float:
    """Median time of a request, one after another on one connection."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        asyncio.run(_requests(server.url, path, count, headers))
        times.append((time.perf_counter() - started) * 1000 / count)
    return sorted(times)[1]


def compare(
    name: str, limit: float, pair: tuple[Running, Running], path: str, token: str, count: int
) -> list[str]:
    """One row: CPU of both servers, their ratio, its limit, time of both."""
    headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER}
    (mine, size), (other, _) = (cost(server, path, count, headers) for server in pair)
    ours, bare = (milliseconds(server, path, max(3, count // 20), headers) for server in pair)
    ratio = f"{mine / other:.2f}" if other else "–"
    return [
        *(name, f"{size / 1024:.1f}", f"{mine:.2f}", f"{other:.2f}", ratio, f"≤ {limit}"),
        *(f"{ours:.1f}", f"{bare:.1f}", f"{ours / bare:.2f}"),
    ]


def run(databases: Databases, folder: Path) -> str:
    """The whole benchmark as text."""
    rows: list[list[str]] = []
    database = f"bench_{uuid4().hex[:8]}"
    port = free_port()
    environment = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MONGO_URI": databases.address(database),
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        "ALLOW_REGISTRATION": "true",
        "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true",
    }
    with process([locutory(), "serve"], port, environment, folder / "ours.log") as ours:
        for conversations, messages, count in zip(LISTS, CONVERSATIONS, REQUESTS, strict=True):
            user, token = sign_in(ours.url)
            chosen = seed(databases, database, user, conversations, messages)
            log = folder / f"bare{conversations}.log"
            with bare_handlers(databases.address(database), user, log) as bare:
                pair = (ours, bare)
                label, path = f"25 of {conversations}", "/api/convos"
                rows.append(compare(label, LIMITS["list"], pair, path, token, count))
                if messages == 1:
                    continue
                label, path = f"{messages} messages", f"/api/messages/{chosen}"
                rows.append(compare(label, LIMITS["messages"], pair, path, token, count))
    head = ("read", "kB", "CPU ms", "bare", "ratio", "limit", "ms", "bare", "ratio")
    return table(head, rows)


def main() -> int:
    with tempfile.TemporaryDirectory() as name, session_databases(durable=True) as databases:
        sys.stdout.write(f"History reads: CPU, and time\n\n{run(databases, Path(name))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
