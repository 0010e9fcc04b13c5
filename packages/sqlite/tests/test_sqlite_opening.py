"""Addresses, the file and its folder, and processes that make the same file at once."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from locutory_sqlite import Client, StorageError, open_address
from locutory_sqlite.opening import parse_address


def test_addresses(tmp_path: Path) -> None:
    for address, path in (
        ("sqlite:", tmp_path / "database.sqlite"),
        ("sqlite:other.db", tmp_path / "other.db"),
        ("sqlite:a/b.db", tmp_path / "a/b.db"),
        ("sqlite:/x/y.db", Path("/x/y.db")),
        ("sqlite:///x/y.db", Path("/x/y.db")),
        ("SQLITE:a b%20#.db", tmp_path / "a b%20#.db"),
    ):
        assert parse_address(address, tmp_path) == (path, True)
        assert parse_address(f"{address}?synchronous=off", tmp_path) == (path, False)
    for address in (
        "sqlite", "mongodb://x", "sqlite://host/x.db", "sqlite:?database=x", "sqlite:x?",
        "sqlite:x?synchronous=full", "sqlite:x\0y",
    ):  # fmt: skip
        with pytest.raises(ValueError, match="SQLite"):
            parse_address(address, tmp_path)


async def test_a_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match="no database"):
        await open_address("sqlite:", data, create=False)
    assert not data.exists()
    client = await open_address("sqlite:with space?synchronous=off", data)
    try:
        await client["x"]["c"].insert_one({"_id": 1})
        assert data.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in data.iterdir()} == {0o600}
    finally:
        await client.close()
    async with await open_address("sqlite:with space", data, create=False) as client:
        assert await client["x"]["c"].find_one() == {"_id": 1}


async def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="not a file"):
        await open_address("sqlite:.", tmp_path)
    with pytest.raises(StorageError, match="cannot be opened"):
        await open_address("sqlite:file/database", tmp_path)
    async with await open_address("sqlite:file", tmp_path) as client:  # an empty file is a new one
        assert await client["x"].list_collection_names() == []


async def test_dropping_a_database(tmp_path: Path) -> None:
    async with await open_address("sqlite:", tmp_path) as client:
        for name in ("a", "b"):
            await client["x"][name].create_index("n")
            await client["x"][name].insert_one({"n": 1})
        await client.drop_database("x")
        assert await client["x"].list_collection_names() == []
        await client["x"]["a"].insert_one({"n": 1})
        await client.drop_database(client["x"])
        assert await client["x"]["a"].find_one() is None


STARTER = """
import asyncio, sys
from pathlib import Path
from locutory_sqlite import open_address

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with await open_address("sqlite:new/database", Path(sys.argv[1])) as client:
        for number in range(5):
            c = client["x"][f"c{number}"]
            await c.create_index("n", unique=True)
            await c.create_index([("n", 1), ("m", -1)])
            for n in range(10):
                await c.update_one({"n": n}, {"$inc": {"m": 1}}, upsert=True)

asyncio.run(main())
"""


async def test_processes_that_make_the_same_file_at_the_same_moment(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", STARTER, str(tmp_path), env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    for process in processes:
        await process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    async with await open_address("sqlite:new/database", tmp_path, create=False) as client:
        for number in range(5):
            c = client["x"][f"c{number}"]
            assert len(await c.index_information()) == 3
            assert await c.find({}, {"_id": 0}).sort("n").to_list() == [
                {"n": n, "m": 4} for n in range(10)
            ]


def test_clients_of_several_loops(tmp_path: Path) -> None:
    """Each loop has clients of its own; all of them see the one file."""
    path = tmp_path / "data.db"

    async def add(number: int) -> None:
        async with Client(path) as one, Client(path) as two:
            await one["x"]["c"].insert_one({"_id": number})
            await two["x"]["c"].update_one({"_id": "all"}, {"$inc": {"n": 1}}, upsert=True)

    async def both() -> None:
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, add(n)) for n in range(6)))
        async with Client(path) as client:
            assert await client["x"]["c"].count_documents({}) == 7
            assert await client["x"]["c"].find_one("all") == {"_id": "all", "n": 6}

    asyncio.run(both())
