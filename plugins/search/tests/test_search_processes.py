"""Several processes on one index; processes that are killed."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from locutory_testing import Serve
from locutory_testing.waiting import PATIENCE, wait_until

COUNT = 3000

# A process that follows a feed of COUNT messages by two users, told of none.
PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
import structlog
from locutory_contracts.conversations import FeedPage
from locutory_search.embedded.index import EmbeddedIndex

COUNT, PAUSE, STOP = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

class Feed:
    async def changes(self, kind, position, limit):
        start, count = int(position or 0), COUNT if kind == "messages" else 0
        back = max(0, start - 5)  # a few come twice
        numbers = range(back, min(count, start + limit))
        found = [
            {"messageId": f"m{n}", "conversationId": f"c{n // 10}", "user": f"user{n % 2}",
             "sender": "User", "text": f"lighthouse word{n}", "isTemporary": False,
             "updatedAt": MOMENT}
            for n in numbers
        ]
        await asyncio.sleep(PAUSE if start < STOP else 3600)
        end = max(start, min(count, start + limit))
        return FeedPage(found, str(end), end < count)

class Sources:
    feed = Feed()
    async def identity(self):
        return "one"

async def main():
    log = structlog.get_logger()
    index = EmbeddedIndex(Path(sys.argv[1]), Sources(), log, follow_seconds=0.2, purge_hours=24)
    await index.start()
    print("started", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


class Followers:
    """Processes that follow, to be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._script = folder / "follow.py"
        self._script.write_text(PROGRAM)
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, pause: float = 0.0, stop: int = COUNT) -> subprocess.Popen[bytes]:
        """A follower that waits a moment for each page, and for ever from a position on."""
        words = [self._script, self.folder / "index", COUNT, pause, stop]
        process = subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE)
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.running.remove(process)

    def rows(self) -> list[tuple[Any, ...]]:
        return self.look("SELECT id, second FROM messages")

    def look(self, query: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.folder / "index" / "index-1.sqlite3", timeout=PATIENCE)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.rows()) >= count, f"there are no {count} messages")


@pytest.fixture
def followers(tmp_path: Path) -> Any:
    found = Followers(tmp_path)
    yield found
    for process in list(found.running):
        found.kill(process)


def test_kill_loses_and_duplicates_nothing(followers: Followers) -> None:
    chance, reached = random.Random(), 0
    for _ in range(6):
        process = followers.start(pause=0.01, stop=reached + 360)
        followers.wait_for(reached + chance.randint(1, 350))
        time.sleep(chance.uniform(0, 0.02))
        followers.kill(process)
        assert reached < len(followers.rows()) < COUNT, "it must be killed while it works"
        reached = len(followers.rows())
    followers.start()
    followers.wait_for(COUNT)
    time.sleep(0.3)
    rows = followers.rows()
    assert sorted(rows) == sorted((f"m{n}", f"lighthouse word{n}") for n in range(COUNT))
    # The words themselves, too: each message stands once under each of its words.
    counts = dict(followers.look("SELECT term, doc FROM messages_terms"))
    assert counts["0001:lighthouse"] == counts["0002:lighthouse"] == COUNT // 2
    assert sum(count for term, count in counts.items() if ":word" in term) == COUNT
    connection = sqlite3.connect(followers.folder / "index" / "index-1.sqlite3")
    connection.execute("INSERT INTO messages_words (messages_words) VALUES ('integrity-check')")
    connection.close()


def test_processes_that_start_at_once(followers: Followers) -> None:
    moment = time.time() + 2
    script = (
        "import sys, time; from pathlib import Path\n"
        "from locutory_search.embedded.file import IndexFile\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "IndexFile(Path(sys.argv[1])).open(make=True).connection.close()\n"
    )
    command = [sys.executable, "-c", script, str(followers.folder / "index"), str(moment)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(PATIENCE) for process in processes] == [0, 0, 0, 0]


def test_one_follows_and_another_takes_over(followers: Followers) -> None:
    first = followers.start(pause=0.1)
    second = followers.start(pause=0.1)
    followers.wait_for(1)
    os.kill(first.pid, signal.SIGKILL)
    followers.wait_for(COUNT)
    assert len(followers.rows()) == COUNT
    assert second.poll() is None


async def test_two_servers_write_and_read_one_index(
    serve: Serve, kit: Any, user: str, tmp_path: Path
) -> None:
    """As ``locutory serve --workers 2``: each writes what it is told, one follows."""
    left, right = kit.history(), kit.history()
    right.changed = left.changed
    database = f"test_{user}"
    async with (
        serve("search", left, yaml=kit.FAST, database=database) as one,
        serve("search", right, yaml=kit.FAST, database=database) as two,
    ):

        async def chat(history: Any, name: str) -> list[str]:
            return [(await history.say(user, f"{name} {n}"))["messageId"] for n in range(150)]

        told = await asyncio.gather(chat(left, "lighthouse"), chat(right, "lighthouse"))
        expected = [own for part in told for own in part]

        async def seen(server: Any) -> set[str]:
            return set(await kit.ids(server, user, "lighthouse", 500))

        for server in (one, two):
            await kit.until(lambda server=server: seen(server), set(expected))
        await one.kernel.database.client.drop_database(database)
