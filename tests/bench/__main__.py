"""``make bench``: every benchmark, each a table."""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from locutory_testing.database import Databases, session_databases
from tests.bench import (
    bench_history,
    bench_search,
    bench_strangers,
    bench_stream,
    bundle,
    growth,
    routes,
    turns,
)

BENCHES: dict[str, Callable[[Databases, Path], str]] = {
    "Work on hostile or large input": lambda _databases, _folder: growth.run(),
    "CPU of a request": routes.run,
    "Ten plugins against all of them": bundle.run,
    "History against bare handlers": bench_history.run,
    "Search against the bare FTS5 query": lambda _databases, folder: bench_search.run(folder),
    "Requests of strangers while 50 chats stream": bench_strangers.run,
    f"Chats of {turns.TOKENS} tokens, one every 20 ms": turns.run,
}


def main() -> int:
    for title, run in BENCHES.items():
        with tempfile.TemporaryDirectory() as name, session_databases(durable=True) as databases:
            sys.stdout.write(f"{title}\n\n{run(databases, Path(name))}\n\n")
            sys.stdout.flush()
    asyncio.run(bench_stream.measure([1, 10, 100], 150, 20))
    return 0


if __name__ == "__main__":
    sys.exit(main())
