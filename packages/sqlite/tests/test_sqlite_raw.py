"""Raw documents and snapshots: what a backup reads and a restore writes."""

import asyncio
from typing import Any

import bson
import pytest
from bson import DatetimeMS, ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, OperationFailure

from locutory_sqlite import Client, Database

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
FAR = DatetimeMS(2**60)


def raw(document: dict[str, Any]) -> RawBSONDocument:
    return RawBSONDocument(bson.encode(document))


async def test_bytes_stay_as_they_are(database: Database) -> None:
    given = [raw({"_id": n, "v": value}) for n, value in enumerate([1, 1.0, FAR, {"b": 1, "a": 2}])]
    notes = database.get_collection("notes", codec_options=RAW)
    assert (await notes.insert_many(given)).inserted_ids == []
    assert (await notes.insert_one(raw({"_id": "x"}))).inserted_id is None
    found: list[Any] = [document async for document in notes.find()]
    assert all(isinstance(document, RawBSONDocument) for document in found)
    assert [document.raw for document in found] == [
        *(one.raw for one in given),
        raw({"_id": "x"}).raw,
    ]
    assert await notes.count_documents({"v": 1}) == 2
    assert await notes.distinct("v", {"_id": {"$in": [0, 1]}}) == [1]


async def test_an_id_is_made_and_comes_first(database: Database) -> None:
    notes = database.get_collection("notes", codec_options=RAW)
    await notes.insert_many([raw({"a": 1}), raw({"a": 2, "_id": 7})])
    plain = await database["notes"].find().to_list()
    assert [list(document) for document in plain] == [["_id", "a"], ["_id", "a"]]
    assert isinstance(plain[0]["_id"], ObjectId)


async def test_doubles_are_told(database: Database) -> None:
    notes = database.get_collection("notes", codec_options=RAW)
    with pytest.raises(BulkWriteError) as caught:
        await notes.insert_many([raw({"_id": 1}), raw({"_id": 1}), raw({"_id": 2})], ordered=False)
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [1]
    assert await notes.count_documents({}) == 2


@pytest.mark.parametrize("index", [False, True])
async def test_every_query_finds_the_same_raw(database: Database, index: bool) -> None:
    plain = database["notes"]
    await plain.insert_many([{"n": n % 10, "tags": [n, n + 1]} for n in range(300)])
    if index:
        await plain.create_index("n")
        await plain.create_index("tags")
    notes = database.get_collection("notes", codec_options=RAW)
    queries: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),
        ({}, {"skip": 290}),
        ({}, {"skip": 5, "limit": 7}),
        ({}, {"sort": [("n", -1)], "limit": 40}),
        ({}, {"sort": [("_id", -1)], "skip": 3}),
        ({}, {"sort": [("tags", 1)]}),
        ({"n": {"$in": [3, 5]}}, {"sort": [("n", 1)]}),
        ({"$or": [{"n": 1}, {"tags": 9}]}, {}),
        ({"n": 4}, {"projection": {"_id": 0, "tags": {"$slice": 1}}}),
        ({"n": 99}, {}),
    ]
    for query, options in queries:
        wanted = await plain.find(query, **options).to_list()
        found: list[Any] = await notes.find(query, **options).to_list()
        assert [bson.decode(document.raw) for document in found] == wanted
    one: Any = await notes.find_one({"n": 1})
    assert bson.decode(one.raw)["n"] == 1
    counted: Any
    (counted,) = await (await notes.aggregate([{"$count": "n"}])).to_list()
    assert counted.raw == bson.encode({"n": 300})
    changed: Any = await notes.find_one_and_update({"n": 2}, {"$set": {"n": 1000}})
    assert bson.decode(changed.raw)["n"] == 2


async def test_a_batch_of_large_documents_is_short(database: Database) -> None:
    notes = database.get_collection("notes", codec_options=RAW)
    for number in range(8):
        await notes.insert_one(raw({"_id": number, "v": b"x" * 9_000_000}))
    cursor = notes.find({}, batch_size=100)
    await cursor.next()
    assert len(cursor._batch) == 2
    assert len(await cursor.to_list(5)) == 5
    assert len(await cursor.to_list(5)) == 2
    assert len(await notes.find({}).to_list()) == 8


async def test_a_snapshot_sees_one_state(database: Database, client: Client) -> None:
    await database["a"].insert_many([{"_id": n} for n in range(500)])
    async with database.snapshot() as frozen:
        cursor = frozen["a"].find({}, batch_size=10)
        await cursor.next()
        await database["a"].delete_many({"_id": {"$gt": 300}})
        await database["b"].insert_one({})
        await database["a"].create_index("n")
        assert len(await cursor.to_list()) == 499
        assert await frozen["a"].count_documents({}) == 500
        assert await frozen.list_collection_names() == ["a"]
        assert set(await frozen["a"].index_information()) == {"_id_"}
        counts = await asyncio.gather(
            *(frozen["a"].count_documents({"_id": {"$gte": n}}) for n in range(20))
        )
        assert counts == list(range(500, 480, -1))
        with pytest.raises(OperationFailure, match="can only be read"):
            await frozen["a"].insert_one({})
        left = frozen["a"].find({}, batch_size=10)
        await left.next()
    with pytest.raises(OperationFailure, match="has ended"):
        await left.to_list()
    with pytest.raises(OperationFailure, match="has ended"):
        await frozen["a"].find_one({})
    assert await database["a"].count_documents({}) == 301
    assert len(client.engine.readers._idle) >= 1


async def test_a_cancelled_read_leaves_the_snapshot_usable(database: Database) -> None:
    await database["a"].insert_many([{"_id": n, "v": "x" * 100} for n in range(20_000)])
    async with database.snapshot() as frozen:
        task = asyncio.create_task(frozen["a"].find({"v": {"$regex": "y$"}}).to_list())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await frozen["a"].estimated_document_count() == 20_000
        assert len(await frozen["a"].find({"v": {"$regex": "x$"}}).to_list()) == 20_000
