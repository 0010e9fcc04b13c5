"""A process that is killed while it writes: what it had acknowledged is there, and whole."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from locutory_sqlite import Client

WRITER = """
import asyncio, sys
from pathlib import Path
from locutory_sqlite import Client

async def main():
    async with Client(Path(sys.argv[1])) as client:
        c = client["x"]["c"]
        await c.create_index("n", unique=True)
        await c.create_index([("lane", 1), ("tags", -1)])
        await c.create_index("pad", sparse=True)

        async def write(lane):
            counter = {"_id": f"counter{lane}"}
            while True:
                found = await c.find_one_and_update(
                    counter, {"$inc": {"count": 1}, "$setOnInsert": {"n": f"counter{lane}"}},
                    upsert=True, return_document=True,
                )
                number = found["count"]
                print("count", lane, number, flush=True)
                await c.insert_one({"lane": lane, "n": f"{lane}-{number}", "pad": "x" * 500})
                print("one", lane, number, flush=True)
                await c.insert_many(
                    [{"lane": lane, "n": f"{lane}-{number}-{k}", "tags": [k, 7]} for k in range(5)]
                )
                print("many", lane, number, flush=True)
                await c.update_many(
                    {"lane": lane, "seen": None}, {"$set": {"seen": number}, "$inc": {"tags.0": 2}}
                )
                print("seen", lane, number, flush=True)
                await c.delete_many({"n": {"$in": [f"{lane}-{number}-{k}" for k in (0, 1)]}})
                print("gone", lane, number, flush=True)

        await asyncio.gather(*(write(lane) for lane in range(6)))

asyncio.run(main())
"""

Acknowledged = set[tuple[str, int, int]]


def killed_round(path: Path) -> Acknowledged:
    """Lets a process write, kills it, and returns what it had told before."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(120)]
    process.send_signal(signal.SIGKILL)
    told += list(process.stdout)
    process.wait()
    process.stdout.close()
    acknowledged = set()
    for line in told:
        if line.endswith("\n"):
            kind, lane, number = line.split()
            acknowledged.add((kind, int(lane), int(number)))
    return acknowledged


async def all_there(path: Path, acknowledged: Acknowledged) -> None:
    async with Client(path) as client:
        assert await client["x"].check() == []
        stored: dict[str, Any] = {row["n"]: row for row in await client["x"]["c"].find().to_list()}
        assert await client["x"]["c"].count_documents({}) == len(stored)
        newest: dict[int, int] = {}
        for kind, lane, number in acknowledged:
            name = f"{lane}-{number}"
            if kind == "count":
                assert stored[f"counter{lane}"]["count"] >= number
            elif kind == "one":
                assert name in stored
            elif kind == "many":
                assert {f"{name}-{k}" for k in (2, 3, 4)} <= set(stored)
            elif kind == "gone":
                assert not {f"{name}-{k}" for k in (0, 1)} & set(stored)
            else:
                newest[lane] = max(newest.get(lane, 0), number)
        for row in stored.values():
            if "lane" in row and int(row["n"].split("-")[1]) <= newest.get(row["lane"], 0):
                assert "seen" in row
                if "pad" not in row:  # changed once
                    assert row["tags"] == [int(row["n"].split("-")[2]) + 2, 7]


def killed(path: Path, rounds: int) -> None:
    acknowledged: Acknowledged = set()
    for _ in range(rounds):
        acknowledged |= killed_round(path)
        asyncio.run(all_there(path, acknowledged))


def test_a_killed_process_loses_nothing_acknowledged(tmp_path: Path) -> None:
    killed(tmp_path / "data.db", 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_process_that_is_killed_a_hundred_times(tmp_path: Path) -> None:
    killed(tmp_path / "data.db", 100)
