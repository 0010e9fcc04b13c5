"""The file under several clients, long reads, and groups of writes."""

import asyncio
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError, InvalidOperation, OperationFailure

from locutory_sqlite import Client, Database, StorageError
from locutory_sqlite import readers as readers_module
from locutory_sqlite import writer as writer_module


async def test_two_clients_see_each_others_writes_and_indexes(tmp_path: Path) -> None:
    async with Client(tmp_path / "data.db") as one, Client(tmp_path / "data.db") as two:
        ours, theirs = one["x"]["c"], two["x"]["c"]
        await ours.insert_one({"_id": 1, "n": 1})
        assert await theirs.find_one(1) == {"_id": 1, "n": 1}
        await ours.create_index("n", unique=True)
        with pytest.raises(DuplicateKeyError):
            await theirs.insert_one({"_id": 2, "n": 1})
        await theirs.insert_one({"_id": 3, "n": [5, 6]})  # makes the index multikey
        plan = (await ours.find({"n": 6}).explain())["queryPlanner"]["winningPlan"]
        assert (plan["indexName"], plan["isMultiKey"]) == ("n_1", True)
        assert await ours.count_documents({"n": 6}) == 1
        for _ in range(20):
            await asyncio.gather(
                *(c.update_one({"_id": 1}, {"$inc": {"k": 1}}) for c in (ours, theirs))
            )
        assert (await ours.find_one(1) or {})["k"] == 40
        await theirs.drop()
        assert await ours.find().to_list() == []


async def test_a_cursor_sees_one_state(database: Database) -> None:
    c = database["c"]
    await c.insert_many([{"_id": n} for n in range(300)])
    cursor = c.find().sort("_id", 1)
    assert await cursor.next() == {"_id": 0}
    await c.delete_many({})
    with pytest.raises(InvalidOperation):
        cursor.sort("x", 1)
    assert len([row async for row in cursor]) == 299
    assert await c.find_one() is None


async def test_concurrent_updates_share_commits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = database["c"]
    await c.insert_one({"_id": 1, "n": 0})
    groups: list[int] = []
    commit = writer_module.Writer._commit

    def counted(self: Any) -> Any:
        group = commit(self)
        groups.append(len(group))
        return group

    monkeypatch.setattr(writer_module.Writer, "_commit", counted)
    await asyncio.gather(*(c.update_one({"_id": 1}, {"$inc": {"n": 1}}) for _ in range(200)))
    assert await c.find_one(1) == {"_id": 1, "n": 200}
    assert sum(groups) >= 200  # more where a search was too long for the writer
    assert len(groups) < 100


async def held_back(database: Database, release: threading.Event) -> "asyncio.Task[None]":
    """Keeps the writer busy, so that what is written meanwhile becomes one group."""
    task = asyncio.create_task(database.client.engine.write(lambda _writer: _wait(release)))
    await asyncio.sleep(0.02)
    return task


def _wait(release: threading.Event) -> None:
    release.wait(10)


async def test_a_refused_write_undoes_only_itself(database: Database) -> None:
    """Also where it made the collection, or an index, that the next one of the group uses."""
    release = threading.Event()
    busy = await held_back(database, release)

    def fails(writer: Any) -> None:
        writer.catalog.create(writer.sql, "c")
        raise KeyError("on purpose")

    failing = asyncio.create_task(database.client.engine.write(fails))
    await asyncio.sleep(0)
    writes = [asyncio.create_task(database["c"].insert_one({"_id": n // 2})) for n in range(4)]
    await asyncio.sleep(0.02)
    release.set()
    await busy
    with pytest.raises(KeyError):
        await failing
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(one, DuplicateKeyError) for one in done] == [False, True, False, True]
    assert await database["c"].distinct("_id") == [0, 1]


async def test_a_long_read_leaves_the_loop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one that finds nothing, or that sorts: seen by the threads that its rows are read in."""
    c = database["c"]
    await c.insert_many([{"_id": n, "n": -n} for n in range(2000)])
    monkeypatch.setattr(readers_module, "LOOP_SECONDS", 0.0)
    threads: set[str] = set()
    told = readers_module._told

    def seen(*arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return told(*arguments)

    monkeypatch.setattr(readers_module, "_told", seen)
    for call in (
        c.find({"n": "none"}).to_list(),
        c.count_documents({"n": {"$gt": 5}}),
        (await c.aggregate([{"$match": {"n": 5}}])).to_list(),
    ):
        threads.clear()
        assert not await call
        assert len(threads) == 1
    rows = await c.find().sort("n", 1).to_list()
    assert [row["_id"] for row in rows] == list(range(1999, -1, -1))
    assert len([row async for row in c.find()]) == 2000


async def test_a_cancelled_read_gives_its_connection_back_clean(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = database["c"]
    await c.insert_many([{"_id": n, "n": n} for n in range(5000)])
    monkeypatch.setattr(readers_module, "LOOP_SECONDS", 0.0)
    for number in range(5):
        task = asyncio.create_task(c.find({"n": {"$lt": 0}}).to_list())
        await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await c.insert_one({"_id": f"new{number}"})
        assert await c.find_one(f"new{number}") is not None


async def test_closing(tmp_path: Path) -> None:
    client = await Client(tmp_path / "data.db").open()
    c = client["x"]["c"]
    writes = [asyncio.create_task(c.insert_one({"_id": n})) for n in range(20)]
    await asyncio.sleep(0)
    await client.close()
    await asyncio.gather(*writes)
    await client.close()
    for call in (c.find_one(), c.insert_one({})):
        with pytest.raises(StorageError, match="closed"):
            await call
    async with Client(tmp_path / "data.db") as again:
        assert await again["x"]["c"].count_documents({}) == 20
    assert (tmp_path / "data.db").stat().st_mode & 0o777 == 0o600


async def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(StorageError, match="damaged"):
        await Client(tmp_path / "text.db").open()
    with contextlib.closing(sqlite3.connect(tmp_path / "new.db")) as file:
        file.execute("CREATE TABLE locutory_format (number INTEGER NOT NULL)")
        file.execute("INSERT INTO locutory_format VALUES (99)")
        file.commit()
    with pytest.raises(StorageError, match="newer version"):
        await Client(tmp_path / "new.db").open()


async def test_a_read_that_fails_does_not_keep_its_state_of_the_file(database: Database) -> None:
    c = database["c"]
    await c.insert_many([{"_id": n} for n in range(5)])
    with pytest.raises(OperationFailure) as kept:  # with its traceback, and what that holds
        await c.find({"$expr": {"$divide": [1, 0]}}).to_list()
    await c.insert_one({"_id": 9})
    assert await c.count_documents({}) == 6
    del kept


async def test_keys_that_are_still_to_be_written_count_for_a_portion(
    client: Client, database: Database
) -> None:
    """They are written at its end, which takes most of the time."""
    c = database["c"]
    await c.create_index("n")
    await c.insert_many([{"_id": n, "n": n} for n in range(60)])
    assert client.engine._writer is not None
    writer = client.engine._writer._connection
    writer.key_seconds = 1.0
    task = asyncio.create_task(c.delete_many({}))
    between = 0
    while not task.done():
        await database["other"].insert_one({})
        between += 1
    assert (await task).deleted_count == 60
    assert between > 30
    assert writer.key_seconds == 1.0  # so few do not tell how long one takes
    await c.insert_many([{"_id": n, "n": n} for n in range(1000)])
    writer.key_seconds = 0.0002
    assert (await c.delete_many({})).deleted_count == 1000
    assert writer.key_seconds < 0.0002
    assert await database.check() == []
