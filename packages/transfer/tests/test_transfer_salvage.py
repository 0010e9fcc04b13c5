"""Copies of databases that are damaged."""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import bson
import pytest
from pymongo.errors import ConnectionFailure

from locutory_transfer import Progress, TransferError, copy, unfinished


@pytest.fixture
async def damaged(opened: Any, address: Callable[[str, str], str]) -> Any:
    """A database with a document that is none, and a collection whose table is gone for the most
    part; ``sound`` can be read."""
    database = await opened("sqlite", "damaged")
    await database["sound"].insert_many([{"_id": n} for n in range(3)])
    await database["wrong"].insert_many([{"_id": n} for n in range(3)])
    await database["gone"].insert_many([{"_id": n, "pad": "x" * 900} for n in range(2000)])
    await database["gone"].create_index("pad")
    path = address("sqlite", "damaged")
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE c2 SET document = x'0500000001' WHERE row = 2")
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'c3'").fetchone()
    overwrite(path, (root - 1) * 4096)
    return database


def overwrite(path: str, at: int) -> None:
    """A page of the file with zeros."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes(4096))


async def test_what_can_be_read_is_copied(damaged: Any, opened: Any, raw_documents: Any) -> None:
    target = await opened("sqlite", "target")
    with pytest.raises(ConnectionFailure, match="damaged"):
        await copy(damaged, target, origin="a")
    assert await unfinished(target) == "an unfinished copy of a"
    seen: list[Progress] = []
    report = await copy(damaged, target, origin="a", skip_damaged=True, progress=seen.append)
    assert report.complete
    assert await unfinished(target) is None
    assert await raw_documents.read(target["wrong"]) == [bson.encode({"_id": n}) for n in (0, 2)]
    assert await raw_documents.read(target["sound"]) == [bson.encode({"_id": n}) for n in range(3)]
    assert await raw_documents.read(target["gone"]) == []
    assert "pad_1" in await target["gone"].index_information()
    assert [line.partition(":")[0] for line in report.damaged] == ["gone", "wrong"]
    assert "2,000 of 2,000 documents cannot be read, by _id: 0, 1, 2" in report.damaged[0]
    assert "the document with _id 1 (row 2) cannot be decoded" in report.damaged[1]
    assert [line for line in report.lines() if line.startswith("Left out: wrong: ")]
    assert {each.stage for each in seen} == {"writing", "verifying"}


async def test_nothing_is_left_out_of_a_sound_one(filled: Any, opened: Any, kinds: Any) -> None:
    target = await opened(kinds[1], "target")
    if kinds[0] != "sqlite":
        with pytest.raises(TransferError, match="Only what is damaged in the built-in database"):
            await copy(filled, target, origin="a", skip_damaged=True)
        return
    report = await copy(filled, target, origin="a", skip_damaged=True)
    assert report.complete
    assert report.damaged == []
    assert report.collections["numbers"].documents == 3000
