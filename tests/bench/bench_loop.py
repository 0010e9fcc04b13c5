"""How long reads of the built-in database hold the event loop.

``python -m tests.bench.bench_loop``: a file of 20,000 conversations and 100,000 messages of one user;
each read thirty times while another task asks for its turn again and again. What it waited at
most in one read counts, and of the reads the median and the least of several rounds' longest: the
operating system interrupts a process for longer than that now and then.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId

from locutory_cli.building import tune_process
from locutory_sqlite import Client, Database
from tests.bench.measure import table

CONVERSATIONS, EACH = 20_000, 5
HELD_MS = 2.0
"""The aim."""

_ROUNDS, _READS = 3, 10
_USER = "6b0e1c565236a4610ab347ff"
_START = datetime(2026, 1, 1, tzinfo=UTC)

Read = Callable[[Database], Awaitable[Any]]


async def fill(database: Database) -> None:
    """The conversations and their messages, with the indexes of the lists."""
    conversations, messages = database["conversations"], database["messages"]
    await conversations.create_index([("user", 1), ("updatedAt", -1), ("_id", -1)])
    await messages.create_index([("conversationId", 1), ("user", 1), ("createdAt", 1)])
    await messages.create_index("user")
    for start in range(0, CONVERSATIONS, 500):
        numbers = range(start, start + 500)
        await conversations.insert_many(
            {
                "conversationId": f"c{number}",
                "user": _USER,
                "title": f"About {number % 977} things",
                "tags": ["a", "b"][: number % 3],
                "messages": [ObjectId() for _ in range(EACH)],
                "updatedAt": _START + timedelta(minutes=number),
            }
            for number in numbers
        )
        await messages.insert_many(
            {
                "messageId": f"m{number}-{place}",
                "conversationId": f"c{number}",
                "user": _USER,
                "text": f"{number} " + "some words of an answer " * 20,
                "createdAt": _START + timedelta(minutes=number, seconds=place),
            }
            for number in numbers
            for place in range(EACH)
        )


def _page(database: Database, **more: Any) -> Awaitable[Any]:
    found = database["conversations"].find({"user": _USER, **more}, {"messages": 0})
    return found.sort([("updatedAt", -1), ("_id", -1)]).limit(26).to_list()


async def _grouped(database: Database) -> Any:
    pipeline: list[dict[str, Any]] = [
        {"$match": {"user": _USER}},
        {"$unwind": "$tags"},
        {"$group": {"_id": "$tags", "count": {"$sum": 1}}},
    ]
    return await (await database["conversations"].aggregate(pipeline)).to_list()


READS: dict[str, Read] = {
    "one by its index": lambda db: db["messages"].find_one({"conversationId": "c7", "user": _USER}),
    "a page of 26": _page,
    "a page of 1 in 977": lambda db: _page(db, title="About 5 things"),
    "a page that an expression finds": lambda db: _page(db, title={"$regex": "5 thin"}),
    "5 messages": lambda db: (
        db["messages"].find({"conversationId": "c9", "user": _USER}).sort("createdAt", 1).to_list()
    ),
    "2,000 messages": lambda db: db["messages"].find({"user": _USER}).limit(2000).to_list(),
    "20,000 conversations, sorted by title": lambda db: (
        db["conversations"].find({"user": _USER}, {"title": 1}).sort("title", 1).to_list()
    ),
    "a count of 100,000": lambda db: db["messages"].count_documents({"user": _USER}),
    "a count that nothing helps with": lambda db: db["conversations"].count_documents(
        {"title": "About 6 things"}
    ),
    "distinct tags of 20,000": lambda db: db["conversations"].distinct("tags", {"user": _USER}),
    "20,000 in groups": _grouped,
}


async def _longest_wait(read: Awaitable[Any]) -> float:
    """Milliseconds that another task waited at most for its turn during a read."""
    longest = 0.0
    done = False

    async def ask() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    found = await read
    done = True
    await asking
    del found  # freeing it is not part of the read
    return longest * 1000


async def measure() -> str:
    """The table."""
    tune_process()  # as a server is
    with tempfile.TemporaryDirectory() as name:
        async with Client(Path(name) / "data.db") as client:
            database = client["x"]
            await fill(database)
            rows = []
            for what, read in READS.items():
                await read(database)
                rounds = [
                    [await _longest_wait(read(database)) for _ in range(_READS)]
                    for _ in range(_ROUNDS)
                ]
                middle = statistics.median(each for one in rounds for each in one)
                least = min(map(max, rounds))
                verdict = "" if middle <= HELD_MS else "missed"
                rows.append([what, f"{middle:.2f}", f"{least:.2f}", verdict])
    head = ("read", "held, ms, median", "longest of 10, least of 3", f"≤ {HELD_MS:.0f} ms")
    return table(head, rows)


if __name__ == "__main__":
    print(asyncio.run(measure()))
