"""The built-in search against the bare FTS5 query, and how fast it indexes, in one run.

``python -m tests.bench.bench_search``: 50,000 messages of 40 words, once of one user and once
of a hundred. *Bare* is the simplest table that answers the same question: FTS5 with the user
as an indexed column and a prefix index, asked in the calling thread. *Ours* is what a route
awaits: `locutory_contracts.search.Search` with its threads and fallbacks. The two are asked in
turn; the times are lower quartiles, as a busy machine only ever adds to them.
"""

import asyncio
import contextlib
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import structlog

from locutory_contracts.conversations import FeedPage
from locutory_search.backend import now_ms
from locutory_search.embedded.index import EmbeddedIndex
from locutory_search.entries import entry_of
from locutory_search.indexing_queue import MAX_DOCUMENTS
from tests.bench.measure import table

MESSAGES = 50_000
WORDS = 40
USERS = (1, 100)
LIMIT = 20
TARGET = 3.0
TARGET_RATE = 200
MINIMUM_ROUNDS, SECONDS_A_QUERY = 7, 1.0
PATIENCE = 30.0

Document = dict[str, Any]


class Corpus:
    """Messages of made-up words whose frequencies fall as in a language."""

    def __init__(self, users: int) -> None:
        self._chance = random.Random(1)
        letters = "eeeetttaaaooiinnsshhrrdlcumwfgypbvkjxqz"
        self.vocabulary = [
            "".join(self._chance.choices(letters, k=self._chance.randint(3, 11)))
            for _ in range(30_000)
        ]
        self._weights = [1 / (place + 3) for place in range(len(self.vocabulary))]
        self.users = users
        self.texts = [self.text() for _ in range(MESSAGES)]

    def text(self) -> str:
        return " ".join(self._chance.choices(self.vocabulary, self._weights, k=WORDS))

    def document(self, number: int, text: str | None = None) -> Document:
        return {
            "messageId": f"{number:08x}-0000-4000-8000-000000000000",
            "conversationId": f"{number // 20:08x}-0000-4000-9000-000000000000",
            "user": f"user{number % self.users}",
            "sender": "User" if number % 2 else "GPT",
            "text": self.texts[number] if text is None else text,
            "isTemporary": False,
            "updatedAt": datetime.now(UTC),
        }

    def queries(self) -> dict[str, Sequence[str]]:
        """Words that are in a message of the first user."""
        words = sorted(set(self.texts[0].split()), key=self.vocabulary.index)
        common, middle, rare = words[2], words[len(words) // 2], words[-1]
        return {
            "a rare word": [rare],
            "two words": [middle, words[-2]],
            "a word, a beginning": [middle, rare[:3]],
            "three words": [common, middle, rare],
            "a common word": [common],
            "three letters": [middle[:3]],
            "two letters": [common[:2]],
        }


class CorpusFeed:
    """The corpus as a history."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    async def changes(
        self, kind: Literal["conversations", "messages"], position: str | None, limit: int
    ) -> FeedPage:
        start, count = int(position or 0), MESSAGES if kind == "messages" else 0
        end = max(start, min(count, start + limit))
        found = [self._corpus.document(number) for number in range(start, end)]
        return FeedPage(found, str(end), end < count)


class CorpusSources:
    """What the index asks for."""

    def __init__(self, corpus: Corpus) -> None:
        self.feed = CorpusFeed(corpus)

    async def identity(self) -> str:
        return "bench"


@contextlib.contextmanager
def bare_table(corpus: Corpus, path: Path) -> Iterator[sqlite3.Connection]:
    """FTS5 and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "CREATE VIRTUAL TABLE bare USING fts5(user, sender, text, id UNINDEXED, prefix='2 3')"
    )
    connection.execute("BEGIN")
    documents = map(corpus.document, range(MESSAGES))
    rows = ([row[key] for key in ("user", "sender", "text", "messageId")] for row in documents)
    connection.executemany("INSERT INTO bare VALUES (?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    try:
        yield connection
    finally:
        connection.close()


def ask_bare(connection: sqlite3.Connection, words: Sequence[str]) -> int:
    *whole, last = words
    wanted = " AND ".join(['user:"user0"', *(f'"{word}"' for word in whole), f'"{last}" *'])
    query = "SELECT id FROM bare WHERE bare MATCH ? ORDER BY rank LIMIT ?"
    return len(connection.execute(query, (wanted, LIMIT)).fetchall())


class LoopLag:
    """The longest time that the event loop was held up, ms."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, (time.perf_counter() - before - 0.005) * 1000)


async def wait_until_indexed(index: EmbeddedIndex, count: int) -> None:
    """Until this many messages are in the index."""
    path = index._file.path
    connection = sqlite3.connect(path, timeout=30)
    try:
        while connection.execute("SELECT count(*) FROM messages").fetchone()[0] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    finally:
        connection.close()


async def compare(index: EmbeddedIndex, bare: sqlite3.Connection, corpus: Corpus) -> list[Any]:
    """Rows: query, hits, times, ratio."""
    rows: list[Any] = []
    totals = [0.0, 0.0]
    for name, words in corpus.queries().items():
        text, times = " ".join(words), ([], [])  # type: tuple[str, tuple[list[float], list[float]]]
        until, hits = time.perf_counter() + SECONDS_A_QUERY, [0, 0]
        await index.messages("user0", text, LIMIT)
        while time.perf_counter() < until or len(times[0]) < MINIMUM_ROUNDS:
            started = time.perf_counter()
            hits[0] = len(await index.messages("user0", text, LIMIT))
            between = time.perf_counter()
            hits[1] = ask_bare(bare, words)
            times[0].append(between - started)
            times[1].append(time.perf_counter() - between)
        ours, other = (statistics.quantiles(part)[0] * 1000 for part in times)
        totals[0] += ours
        totals[1] += other
        rows.append(
            [name, hits[0], hits[1], f"{ours:.2f}", f"{other:.2f}", f"{ours / other:.2f}", ""]
        )
    ratio = f"{totals[0] / totals[1]:.2f}"
    rows.append(["all", "", "", f"{totals[0]:.1f}", f"{totals[1]:.1f}", ratio, f"≤ {TARGET}"])
    return rows


async def saves(index: EmbeddedIndex, corpus: Corpus, rate: int, count: int) -> list[Any]:
    """Messages told at a rate (0: all at once): how many were found, and how long after the
    last was told."""
    mark, users = f"x{rate}x", {f"user{number}" for number in range(corpus.users)}
    documents = [
        corpus.document(MESSAGES * (rate + 1) + number, f"{corpus.texts[number]} {mark}")
        for number in range(count)
    ]
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    started = time.perf_counter()
    for number, document in enumerate(documents):
        entry = entry_of("messages", document, now_ms())
        if entry is not None:
            index.take(entry)
        ahead = started + (number + 1) / rate - time.perf_counter() if rate else 0
        if ahead > 0:
            await asyncio.sleep(ahead)
    told = time.perf_counter()
    rates = f"{count / (told - started):.0f}/s" if rate else "at once"
    found = 0
    while found < count and time.perf_counter() < told + PATIENCE:
        found = sum([len(await index.messages(user, mark, count)) for user in sorted(users)])
        await asyncio.sleep(0.01)
    watching.cancel()
    behind = (time.perf_counter() - told) * 1000
    return [f"told {rates}", f"{found} of {count}", f"{behind:.0f}", f"{lag.worst:.0f}"]


async def measure(users: int, folder: Path) -> str:
    """The two tables of one layout."""
    corpus = Corpus(users)
    log = structlog.get_logger()
    index = EmbeddedIndex(
        folder / "index",
        CorpusSources(corpus),  # type: ignore[arg-type]
        log,
        follow_seconds=3600,
        purge_hours=24,
    )
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    started = time.perf_counter()
    await index.start()
    await wait_until_indexed(index, MESSAGES)
    seconds = time.perf_counter() - started
    watching.cancel()
    with bare_table(corpus, folder / "bare.sqlite3") as bare:
        head = ("search", "hits", "bare", "ms", "bare", "ratio", "limit")
        found = table(head, await compare(index, bare, corpus))
    rows = [[f"{MESSAGES} from the feed", f"{MESSAGES / seconds:.0f}/s", "", f"{lag.worst:.0f}"]]
    rows.append(await saves(index, corpus, TARGET_RATE, 5 * TARGET_RATE))
    rows.append(await saves(index, corpus, 0, MAX_DOCUMENTS))
    await index.stop()
    size = (folder / "index" / index._file.path.name).stat().st_size / 1e6
    written = table(("saves", "messages", "behind, ms", "loop held up, ms"), rows)
    title = f"{MESSAGES:,} messages of {users} user(s), {size:.0f} MB"
    return f"{title}\n\n{found}\n\n{written}"


def run(folder: Path) -> str:
    """The whole benchmark as text; it needs no database."""
    assert MAX_DOCUMENTS < MESSAGES
    parts = []
    for users in USERS:
        place = folder / str(users)
        place.mkdir()
        parts.append(asyncio.run(measure(users, place)))
    return "\n\n".join(parts)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(f"Search: built in, against the bare query\n\n{run(Path(name))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
