"""Copies: between both kinds, broken off at any moment, of sources that change."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Int64
from pymongo import AsyncMongoClient

from locutory_sqlite import Client
from locutory_transfer import Progress, TransferError, backup, copy, unfinished
from locutory_transfer.copying import ROUNDS
from locutory_transfer.indexes import make_indexes


async def test_a_copy_holds_all(
    filled: Any, kinds: tuple[str, str], opened: Any, raw_documents: Any
) -> None:
    if kinds[0] == "mongodb":
        await filled.create_collection("view", viewOn="numbers", pipeline=[])
    target = await opened(kinds[1], "target")
    seen: list[Progress] = []
    report = await copy(filled, target, origin="source", progress=seen.append)
    assert report.complete
    assert report.changed == report.notes == []
    assert report.left_out == (["view (a view)"] if kinds[0] == "mongodb" else [])
    assert report.collections["numbers"].documents == 3000
    assert {each.stage for each in seen} == {"writing", "verifying"}
    assert max(each.done for each in seen if each.collection == "numbers") == 3000
    if kinds[0] == "mongodb":
        await filled.drop_collection("view")
    assert await raw_documents.contents(target) == await raw_documents.contents(filled)
    assert await unfinished(target) is None


async def test_a_target_must_be_empty_or_of_the_same_source(opened: Any, tmp_path: Path) -> None:
    source, target, other = [await opened("sqlite", name) for name in "abc"]
    await source["notes"].insert_many([{"n": n} for n in range(2500)])
    await target["users"].insert_one({})
    with pytest.raises(TransferError, match="not empty: there are documents in users"):
        await copy(source, target, origin="a")
    await target["users"].drop()

    def fail(progress: Progress) -> None:
        if progress.done:
            raise KeyError("broken off")

    with pytest.raises(KeyError):
        await copy(source, target, origin="a", progress=fail)
    assert await unfinished(target) == "an unfinished copy of a"
    with pytest.raises(TransferError, match="is an unfinished copy of a, not of b"):
        await copy(source, target, origin="b")
    with pytest.raises(TransferError, match="is an unfinished copy of a: finish that first"):
        await copy(target, other, origin="c")
    with pytest.raises(TransferError, match="is an unfinished copy of a: finish that first"):
        await backup(target, tmp_path / "x.zip")
    assert (await copy(source, target, origin="a")).complete
    assert await target["notes"].count_documents({}) == 2500


class Writer:
    """Another process, so to say, that changes a source while it is copied: adds, replaces and
    removes, each time when a thousand documents of ``busy`` were written."""

    def __init__(self, address: str, name: str, times: int) -> None:
        self.address, self.name, self.times = address, name, times

    def __call__(self, progress: Progress) -> None:
        seen = (progress.collection, progress.stage, progress.done)
        if self.times and seen == ("busy", "writing", 1000):
            self.times -= 1
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, self.write()).result()

    async def write(self) -> None:
        mongodb = self.address.startswith("mongodb:")
        made: Any = AsyncMongoClient(self.address) if mongodb else Client(Path(self.address))
        async with made as client:
            collection = client[self.name]["busy"]
            await collection.insert_one({"_id": f"new {self.times}"})
            await collection.update_one({"_id": 10 + self.times}, {"$set": {"changed": True}})
            await collection.delete_one({"_id": 2000 + self.times})


async def test_what_changes_meanwhile_is_told(
    kinds: tuple[str, str], opened: Any, address: Callable[[str, str], str], raw_documents: Any
) -> None:
    source, target = await opened(kinds[0], "source"), await opened(kinds[1], "target")
    await source["busy"].insert_many([{"_id": n} for n in range(3000)])
    await source["busy"].create_index("changed")
    await source["calm"].insert_many([{"_id": n} for n in range(10)])
    writer = Writer(address(kinds[0], "source"), source.name, 10)
    report = await copy(source, target, origin="source", progress=writer)
    assert writer.times == 10 - ROUNDS
    assert report.changed == ["busy"]
    assert not report.complete
    assert "the source changed in busy" in report.lines()[-1]
    assert await unfinished(target) == "an unfinished copy of source"

    await source["later"].insert_one({"_id": 1})
    report = await copy(source, target, origin="source")
    assert report.complete
    assert await raw_documents.contents(target) == await raw_documents.contents(source)


async def test_a_short_change_is_caught_up_at_once(
    kinds: tuple[str, str], opened: Any, address: Callable[[str, str], str], raw_documents: Any
) -> None:
    source, target = await opened(kinds[0], "source"), await opened(kinds[1], "target")
    await source["busy"].insert_many([{"_id": n} for n in range(3000)])
    writer = Writer(address(kinds[0], "source"), source.name, 1)
    report = await copy(source, target, origin="source", progress=writer)
    assert writer.times == 0
    assert report.complete
    assert await raw_documents.contents(target) == await raw_documents.contents(source)


async def test_an_id_of_another_type_replaces_its_equal(opened: Any, raw_documents: Any) -> None:
    source, target = await opened("sqlite", "a"), await opened("sqlite", "b")
    await source["x"].insert_many([{"_id": 1, "v": "a"}, {"_id": 2}])
    with pytest.raises(KeyError):
        await copy(source, target, origin="a", progress=_fail_when_verifying)
    await source["x"].delete_one({"_id": 1})
    await source["x"].insert_one({"_id": 1.0, "v": "b"})
    await source["x"].delete_one({"_id": 2})
    await source["x"].insert_one({"_id": Int64(2)})
    assert (await copy(source, target, origin="a")).complete
    assert await raw_documents.contents(target) == await raw_documents.contents(source)


def _fail_when_verifying(progress: Progress) -> None:
    if progress.stage == "verifying":
        raise KeyError("broken off")


async def test_collections_that_are_gone_or_new_are_caught_up(
    opened: Any, raw_documents: Any
) -> None:
    source, target = await opened("sqlite", "a"), await opened("sqlite", "b")
    await source["old"].insert_one({"_id": 1})
    await source["same"].insert_one({"_id": 1})
    with pytest.raises(KeyError):
        await copy(source, target, origin="a", progress=_fail_when_verifying)
    await source["old"].rename("new")
    assert (await copy(source, target, origin="a")).complete
    assert await raw_documents.contents(target) == await raw_documents.contents(source)


async def test_a_document_that_is_refused_is_named(opened: Any) -> None:
    """Stored by an earlier version, or by another kind of database."""
    source, target = await opened("sqlite", "a"), await opened("sqlite", "b")
    await source["x"].insert_one({"_id": "text"})
    invalid = bson.encode({"_id": "text", "v": "abcd"}).replace(b"abcd", b"ab\xff\xfe")
    await source.client.engine.write(
        lambda writer: writer.sql.execute("UPDATE c1 SET document = ?", (invalid,))
    )
    with pytest.raises(TransferError, match="of x are refused"):
        await copy(source, target, origin="a")


async def test_indexes_that_are_refused(opened: Any) -> None:
    database = await opened("sqlite", "a")
    await database["x"].insert_many([{"a": 1}, {"a": 1}])
    definitions: list[dict[str, Any]] = [
        {"v": 2, "key": {"_id": 1}, "name": "_id_"},
        {"v": 2, "key": {"a": "hashed"}, "name": "a_hashed"},
        {"v": 2, "key": {"a": 1.0}, "name": "good"},
        {"v": 2, "key": {"a": True}, "name": "odd", "sparse": True},
    ]
    notes = await make_indexes(database, "x", definitions, {})
    assert len(notes) == 2
    assert notes[0].startswith("The index a_hashed of x is refused: ")
    definitions = [
        {"key": {"a": 1, "b": 1}, "name": "doubles", "unique": True},
        {"key": {"b": 1}, "name": "b"},
    ]
    with pytest.raises(TransferError, match="The unique index doubles of x is refused: E11000"):
        await make_indexes(database, "x", definitions, {})
    assert set(await database["x"].index_information()) == {"_id_", "good", "b"}


@pytest.mark.slow
async def test_what_the_target_does_not_have_is_told(opened: Any) -> None:
    source, target = await opened("mongodb", "a"), await opened("sqlite", "b")
    await source.create_collection("capped", capped=True, size=4096)
    await source["capped"].insert_one({"_id": 1})
    await source["places"].insert_one({"_id": 1})
    await source["places"].create_index([("at", "2dsphere")])
    report = await copy(source, target, origin="a")
    assert report.complete
    assert [note.partition(":")[0] for note in report.notes] == [
        "capped was made without its options (capped, size)",
        "The index at_2dsphere of places is refused",
    ]


SCRIPT = """
import asyncio, sys
from pathlib import Path
from contextlib import AsyncExitStack
from pymongo import AsyncMongoClient
from locutory_sqlite import Client
from locutory_transfer import copy

async def main():
    async with AsyncExitStack() as stack:
        databases = []
        for where, name in (sys.argv[1:3], sys.argv[3:5]):
            mongodb = where.startswith("mongodb:")
            client = AsyncMongoClient(where) if mongodb else Client(Path(where))
            databases.append((await stack.enter_async_context(client))[name])
        await copy(*databases, origin="source", progress=lambda p: print(p.stage, flush=True))

asyncio.run(main())
"""


def kill_after(lines: int, command: list[str]) -> None:
    """Run a program until it has written some lines."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)


async def test_killed_at_any_moment(
    kinds: tuple[str, str], opened: Any, address: Callable[[str, str], str], raw_documents: Any
) -> None:
    """50,000 documents (fewer where a server is slow): none is lost, none is there twice."""
    source, target = await opened(kinds[0], "source"), await opened(kinds[1], "target")
    number = 50_000 if kinds == ("sqlite", "sqlite") else 8000
    documents = [bson.encode({"_id": n, "text": f"text {n}"}) for n in range(number)]
    await raw_documents.put(source["many"], documents)
    await raw_documents.put(source["few"], documents[:1500])
    await source["many"].create_index("text", unique=True)
    command = [sys.executable, "-c", SCRIPT]
    for kind, name, database in (("source", "source", source), ("target", "target", target)):
        which = kinds[0] if kind == "source" else kinds[1]
        command += [address(which, name), database.name]
    generator = random.Random(3)
    steps = number // 1000
    for _ in range(5):
        kill_after(generator.randrange(1, 2 * steps), command)
    if await unfinished(target) is None:
        assert await target["many"].count_documents({}) in (0, number)
    report = await copy(source, target, origin="source")
    assert report.complete
    assert await raw_documents.contents(target) == await raw_documents.contents(source)
