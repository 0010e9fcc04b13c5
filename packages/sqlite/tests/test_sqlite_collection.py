"""The methods of a collection, in the words of the driver."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from beanie import Document, init_beanie
from bson import MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.decimal128 import Decimal128
from pymongo import DeleteMany, InsertOne, ReplaceOne, ReturnDocument, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

from locutory_sqlite import Client, Database
from locutory_sqlite.ordering import encode

IN_ORDER: list[Any] = [
    MinKey(), None, float("nan"), float("-inf"), -(2**63), -1.5, 0, 0.5, 2**53, 2**53 + 1,
    float("inf"), "", "a", "a\0", "aa", "b", {}, {"a": 1}, {"a": 2}, {"b": 1}, {"a": "x"}, [], [1],
    [1, 2], [2], b"", b"b", b"aa", ObjectId("0" * 24), ObjectId("f" * 24), False, True,
    datetime(1960, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC), Timestamp(1, 1),
    Timestamp(1, 2), Regex("a"), Regex("a", "i"), MaxKey(),
]  # fmt: skip


def test_values_have_mongodbs_order() -> None:
    keys = [encode(value) for value in IN_ORDER]
    # {"b": 1} comes before {"a": "x"}: the type of a field counts before its name.
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert encode(1) == encode(1.0) == encode(Decimal128("1"))
    assert encode(True) != encode(1)


async def test_sorted_across_types(database: Database) -> None:
    values = [v for v in IN_ORDER if not isinstance(v, list) and v == v]
    for name in ("plain", "indexed"):
        c = database[name]
        if name == "indexed":
            await c.create_index("v")
        await c.insert_many([{"_id": n, "v": v} for n, v in reversed(list(enumerate(values)))])
        rows = await c.find().sort("v", 1).to_list()
        assert [row["_id"] for row in rows] == list(range(len(values)))
        rows = await c.find().sort("v", -1).limit(3).to_list()
        assert [row["_id"] for row in rows] == [len(values) - n for n in (1, 2, 3)]


async def test_bulk_ordered_and_unordered(database: Database) -> None:
    requests = [
        InsertOne({"_id": 1, "n": 1}),
        InsertOne({"_id": 1}),
        UpdateOne({"_id": 1}, {"$inc": {"n": 1}}),
        UpdateOne({"_id": 2}, {"$set": {"n": 5}}, upsert=True),
        ReplaceOne({"_id": 2}, {"n": 6}),
        UpdateMany({}, {"$set": {"z": 1}}),
        DeleteMany({"n": 6}),
    ]
    with pytest.raises(BulkWriteError) as caught:
        await database["ordered"].bulk_write(requests)
    assert [e["index"] for e in caught.value.details["writeErrors"]] == [1]
    assert caught.value.details["writeErrors"][0]["code"] == 11000
    assert await database["ordered"].find().to_list() == [{"_id": 1, "n": 1}]
    with pytest.raises(BulkWriteError) as caught:
        await database["any"].bulk_write(requests, ordered=False)
    details = caught.value.details
    counts = [details[k] for k in ("nInserted", "nMatched", "nModified", "nUpserted", "nRemoved")]
    assert counts == [1, 4, 4, 1, 1]
    assert details["upserted"] == [{"index": 3, "_id": 2}]
    assert await database["any"].find().to_list() == [{"_id": 1, "n": 2, "z": 1}]
    with pytest.raises(BulkWriteError):
        await database["any"].insert_many([{"_id": 7}, {"_id": 7}, {"_id": 8}], ordered=False)
    assert await database["any"].count_documents({}) == 3


async def test_find_one_and(database: Database) -> None:
    c = database["c"]
    await c.insert_many([{"_id": n, "n": n} for n in range(3)])
    assert await c.find_one_and_update({}, {"$inc": {"n": 10}}, sort=[("n", -1)]) == {
        "_id": 2, "n": 2
    }  # fmt: skip
    after = ReturnDocument.AFTER
    assert await c.find_one_and_update(
        {"_id": 2}, {"$inc": {"n": 1}}, {"n": 1, "_id": 0}, return_document=after
    ) == {"n": 13}
    assert await c.find_one_and_update({"_id": 9}, {"$set": {"n": 1}}) is None
    assert await c.find_one_and_update(
        {"_id": 9, "$or": [{"a.b": 1}], "a.c": 2}, {"$setOnInsert": {"n": 1}}, upsert=True,
        return_document=after,
    ) == {"_id": 9, "a": {"c": 2, "b": 1}, "n": 1}  # fmt: skip
    assert await c.find_one_and_replace({"_id": 9}, {"k": 1}, return_document=after) == {
        "_id": 9, "k": 1
    }  # fmt: skip
    assert await c.find_one_and_delete({"_id": 9}) == {"_id": 9, "k": 1}
    assert await c.find_one_and_delete({"_id": 9}) is None


async def test_distinct_and_counts(database: Database) -> None:
    c = database["c"]
    assert await c.estimated_document_count() == 0
    await c.insert_many([{"x": [1, 2]}, {"x": 2.0}, {"x": "a"}, {}])
    assert await c.distinct("x") == [1, 2, "a"]
    assert await c.distinct("x", {"x": "a"}) == ["a"]
    assert await c.count_documents({"x": 2}) == 2
    assert await c.count_documents({}, skip=1, limit=2) == 2
    assert await c.estimated_document_count() == 4


async def test_aggregate(database: Database) -> None:
    c = database["c"]
    await c.insert_many([{"_id": n, "k": n % 2, "n": n, "t": ["x"] * n} for n in range(4)])
    await database["names"].insert_many([{"_id": 0, "name": "even"}, {"_id": 1, "name": "odd"}])

    async def run(*stages: dict[str, Any]) -> list[dict[str, Any]]:
        return await (await c.aggregate(stages)).to_list()

    assert await run(
        {"$match": {"n": {"$gt": 0}}}, {"$sort": {"n": -1}}, {"$skip": 1}, {"$limit": 1},
        {"$project": {"n": 1, "double": {"$add": ["$n", "$n"]}}},
    ) == [{"_id": 2, "n": 2, "double": 4}]  # fmt: skip
    assert await run(
        {"$group": {"_id": "$k", "sum": {"$sum": "$n"}, "all": {"$push": "$n"}}},
        {"$sort": {"_id": 1}},
        {"$lookup": {"from": "names", "localField": "_id", "foreignField": "_id", "as": "who"}},
        {"$addFields": {"who": {"$arrayElemAt": ["$who.name", 0]}}},
    ) == [
        {"_id": 0, "sum": 2, "all": [0, 2], "who": "even"},
        {"_id": 1, "sum": 4, "all": [1, 3], "who": "odd"},
    ]
    assert await run({"$unwind": "$t"}, {"$count": "all"}) == [{"all": 6}]
    assert await run(
        {"$facet": {"count": [{"$count": "n"}], "first": [{"$limit": 1}, {"$unset": "t"}]}}
    ) == [{"count": [{"n": 4}], "first": [{"_id": 0, "k": 0, "n": 0}]}]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda c: c.find({"a": {"$geoWithin": {}}}).to_list(), "$geoWithin"),
        (lambda c: c.find({"$text": {"$search": "a"}}).to_list(), "$text"),
        (lambda c: c.find({"$where": "1"}).to_list(), "$where"),
        (lambda c: c.update_one({}, {"$bit": {"a": {"or": 1}}}), "$bit"),
        (lambda c: c.update_one({}, {"$set": {"a.$": 1}}), r"positional operator \$"),
        (lambda c: c.update_one({}, [{"$set": {"a": 1}}]), "pipeline"),
        (lambda c: c.aggregate([{"$graphLookup": {}}]), "$graphLookup"),
        (lambda c: c.aggregate([{"$group": {"_id": 1, "a": {"$stdDevPop": 1}}}]), "$stdDevPop"),
        (lambda c: c.aggregate([{"$project": {"a": {"$sin": 1}}}]), "$sin"),
        (lambda c: c.find({}, collation={"locale": "de"}).to_list(), "collation"),
    ],
)
async def test_what_is_not_supported_is_named(database: Database, call: Any, name: str) -> None:
    with pytest.raises(OperationFailure) as caught:
        await call(database["c"])
    assert name.removeprefix("positional operator \\") in str(caught.value)


async def test_what_does_not_fit(database: Database) -> None:
    c = database["c"]
    await c.insert_one({"_id": 1, "s": "text", "a": [1]})
    for update in ({"$inc": {"s": 1}}, {"$push": {"s": 1}}, {"$set": {"s.t": 1}}, {"$set": {"_id": 2}}):  # fmt: skip
        with pytest.raises(WriteError):
            await c.update_one({"_id": 1}, update)
    with pytest.raises(OperationFailure):
        await c.update_one({}, {"$set": {"a": 1}, "$inc": {"a.b": 1}})
    with pytest.raises(ValueError, match="operators"):
        await c.update_one({}, {"a": 1})
    assert await c.find_one(1) == {"_id": 1, "s": "text", "a": [1]}


class Note(Document):
    title: str
    number: int = 0

    class Settings:
        name = "notes"
        indexes = ("number",)


async def test_beanie(client: Client) -> None:
    await init_beanie(database=cast(Any, client["LibreChat"]), document_models=[Note])
    for number in (2, 1, 3):
        await Note(title=f"n{number}", number=number).insert()
    notes = await Note.find(Note.number > 1).sort("-number").to_list()
    assert [note.number for note in notes] == [3, 2]
    note = notes[0]
    note.title = "changed"
    await note.save()
    await note.set({"number": 7})
    found = await Note.find_one(Note.title == "changed")
    assert found is not None
    assert (found.id, found.number) == (note.id, 7)
    assert await Note.find().count() == 3
    assert await Note.find_all().aggregate([{"$group": {"_id": None, "n": {"$sum": "$number"}}}]).to_list() == [
        {"_id": None, "n": 10}
    ]  # fmt: skip
    await found.delete()
    await Note.find(Note.number == 1).delete()
    assert [n.number for n in await Note.find_all().to_list()] == [2]
    assert "number_1" in await client["LibreChat"]["notes"].index_information()


async def test_many_documents_are_counted(client: Client) -> None:
    """More than are counted on the event loop."""
    notes = client["LibreChat"]["many"]
    await notes.create_index("user")
    await notes.insert_many([{"user": "ann", "number": number} for number in range(2_500)])
    assert await notes.count_documents({}) == 2_500
    assert await notes.count_documents({"user": "ann"}) == 2_500
    assert await notes.count_documents({"user": "ann"}, limit=2_400) == 2_400
    assert await notes.distinct("user") == ["ann"]
