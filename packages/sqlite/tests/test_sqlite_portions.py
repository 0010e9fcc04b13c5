"""Writes of many documents: done in portions, between which others get their turn."""

import asyncio
import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import DeleteMany, InsertOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, WriteError

from locutory_sqlite import Client, Database
from locutory_sqlite import connection as connection_module
from locutory_sqlite import search as search_module
from locutory_sqlite import writing as writing_module
from locutory_sqlite.indexes import Index


@pytest.fixture(params=["found by the writer", "found by a reader"])
def smallest(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Portions of one document each; in the second case every search takes too long."""
    monkeypatch.setattr(connection_module, "PORTION_SECONDS", -1.0)
    monkeypatch.setattr(connection_module, "LONGEST_PORTION_SECONDS", -1.0)
    if request.param == "found by a reader":
        monkeypatch.setattr(search_module, "SEARCH_SECONDS", -1.0)


pytestmark = pytest.mark.usefixtures("smallest")


async def stored(database: Database, count: int = 60) -> Any:
    c = database["c"]
    await c.create_index("n")
    await c.create_index("u", unique=True)
    await c.insert_many([{"_id": n, "n": n % 3, "u": n, "k": 0} for n in range(count)])
    return c


async def test_others_write_in_between(database: Database) -> None:
    c = await stored(database)
    for long in (
        c.update_many({"k": 0}, {"$set": {"n": 9}}),
        c.bulk_write([InsertOne({"u": 1000 + n}) for n in range(50)]),
        c.bulk_write([UpdateMany({"k": 0}, {"$set": {"z": 1}}), DeleteMany({"u": {"$lt": 30}})]),
        c.delete_many({"k": 0}),
    ):
        task = asyncio.create_task(long)
        between = 0
        while not task.done():
            await database["other"].insert_one({})
            between += 1
        await task
        assert between > 10
    assert await c.count_documents({}) == 50
    assert await database.check() == []


async def test_no_document_is_changed_twice(database: Database) -> None:
    c = await stored(database)
    done = await asyncio.gather(
        *(c.update_many({"n": {"$gte": 0}}, {"$inc": {"n": 3, "k": 1}}) for _ in range(3))
    )
    assert [(one.matched_count, one.modified_count) for one in done] == [(60, 60)] * 3
    assert await c.distinct("k") == [3]
    assert await c.distinct("n") == [9, 10, 11]
    assert await database.check() == []


async def test_what_has_stopped_to_match_is_left(database: Database) -> None:
    """Each of two claims what the other has not: together they have everything once."""
    c = await stored(database)
    done = await asyncio.gather(
        *(c.update_many({"k": 0}, {"$set": {"k": name}}) for name in ("one", "two"))
    )
    assert sum(one.modified_count for one in done) == 60
    deleted = await asyncio.gather(c.delete_many({"n": 1}), c.delete_many({"n": {"$in": [1, 2]}}))
    assert sum(one.deleted_count for one in deleted) == 40
    claims = [c.find_one_and_update({"n": 0}, {"$set": {"n": 5}}) for _ in range(25)]
    found = [row["_id"] for row in await asyncio.gather(*claims) if row is not None]
    assert sorted(found) == list(range(0, 60, 3))
    removed = await asyncio.gather(*(c.find_one_and_delete({"n": 5}) for _ in range(25)))
    assert len({row["_id"] for row in removed if row is not None}) == 20


async def test_upserts_insert_once(database: Database) -> None:
    c = database["c"]
    for many in (False, True):
        update = c.update_many if many else c.update_one
        await asyncio.gather(
            *(update({"name": many}, {"$inc": {"n": 1}}, upsert=True) for _ in range(20))
        )
    assert await c.find({}, {"_id": 0}).sort("name").to_list() == [
        {"name": False, "n": 20}, {"name": True, "n": 20}
    ]  # fmt: skip


async def test_a_refused_document_ends_it_as_on_the_server(database: Database) -> None:
    """What was changed before it stays, and the document itself is whole."""
    c = await stored(database)
    await c.update_one({"_id": 30}, {"$set": {"k": "text"}})
    with pytest.raises(WriteError):
        await c.update_many({}, {"$inc": {"k": 1, "n": 1}})
    assert await c.count_documents({"k": 1}) == 30
    assert await c.count_documents({"k": 0}) == 29
    with pytest.raises(DuplicateKeyError):
        await c.update_many({"_id": {"$gte": 40}}, {"$set": {"u": "same", "n": 7}})
    assert await c.count_documents({"u": "same"}) == 1
    assert await c.count_documents({"n": 7}) == 1
    assert await database.check() == []


async def test_bulks_count_as_one(database: Database) -> None:
    c = await stored(database)
    requests: list[Any] = [
        InsertOne({"_id": 100, "u": 100}),
        InsertOne({"_id": 101, "u": 5}),
        UpdateMany({"n": 1}, {"$inc": {"k": 1}}),
        UpdateMany({}, {"$set": {"u": 1}}),
        DeleteMany({"n": 2}),
        UpdateOne({"_id": 200}, {"$set": {"u": 200}}, upsert=True),
        InsertOne({"_id": 102, "u": 102}),
    ]
    with pytest.raises(BulkWriteError) as caught:
        await c.bulk_write(requests, ordered=False)
    details = caught.value.details
    counts = ("nInserted", "nMatched", "nModified", "nRemoved", "nUpserted")
    assert [details[name] for name in counts] == [2, 20, 20, 20, 1]
    assert [error["index"] for error in details["writeErrors"]] == [1, 3]
    assert details["upserted"] == [{"index": 5, "_id": 200}]
    with pytest.raises(BulkWriteError) as caught:
        await c.bulk_write(requests)
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [0]
    assert await database.check() == []


async def test_one_that_is_cancelled_is_done_all_the_same(database: Database) -> None:
    c = await stored(database)
    task = asyncio.create_task(c.delete_many({"k": 0}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await database.client.close()
    async with Client(database.client.engine.path) as client:
        assert await client["LibreChat"]["c"].count_documents({}) == 0


async def test_an_index_is_filled_while_others_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two clients at once, and one that was given up is finished later."""
    monkeypatch.setattr(writing_module, "_FILLED_AT_ONCE", 1)
    path = tmp_path / "data.db"
    async with Client(path) as one, Client(path) as two:
        ours, theirs = one["x"]["c"], two["x"]["c"]
        await ours.insert_many([{"_id": n, "n": n, "t": [n, -n]} for n in range(40)])
        both = [
            asyncio.create_task(c.create_index([("n", 1)], unique=True)) for c in (ours, theirs)
        ]
        number = 0
        while not all(task.done() for task in both):
            await theirs.update_one({"_id": number % 40}, {"$inc": {"n": 1000}})
            await ours.delete_one({"_id": (number * 7 + 3) % 40})
            await ours.insert_one({"_id": f"new{number}", "n": f"new{number}"})
            number += 1
            plan = (await ours.find({"n": 5}).explain())["queryPlanner"]["winningPlan"]
            assert plan["stage"] in ("COLLSCAN", "IXSCAN")
        await asyncio.gather(*both)
        assert number
        assert await one["x"].check() == []
        assert (await ours.find({"n": 5}).explain())["queryPlanner"]["winningPlan"]["stage"] == "IXSCAN"  # fmt: skip
        with pytest.raises(DuplicateKeyError):
            await ours.insert_one({"n": "new0"})

        await ours.insert_many([{"_id": f"same{n}", "n": -n, "s": n // 2} for n in range(1, 20)])
        with pytest.raises(DuplicateKeyError):
            await ours.create_index("s", unique=True)
        assert sorted(await theirs.index_information()) == ["_id_", "n_1"]

        index = Index("t_1", (("t", 1),))
        left, _ = await two.engine.write(partial(theirs._mutations._fill, [index]))
        assert left  # as a process leaves it that ends here
        assert "t_1" not in await ours.index_information()
        await ours.update_many({}, {"$set": {"t": [1, 2]}})
        await ours.delete_many({"_id": {"$in": [0, 1, 2]}})
        assert await one["x"].check() == []
    async with Client(path) as client:
        c = client["x"]["c"]
        await c.insert_one({"_id": "last", "n": "last", "t": 2})
        await c.create_index("t")
        assert await client["x"].check() == []
        assert await c.count_documents({"t": 2}) == await c.count_documents({}) > 30
        plan = (await c.find({"t": 2}).explain())["queryPlanner"]["winningPlan"]
        assert (plan["stage"], plan["isMultiKey"]) == ("IXSCAN", True)
