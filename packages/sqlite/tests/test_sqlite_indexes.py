"""Indexes: uniqueness, what they cover, and which of them a query reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from locutory_sqlite import Client, Database


async def winning(cursor: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await cursor.explain())["queryPlanner"]["winningPlan"]
    return found


async def test_unique_tells_pattern_and_value(database: Database) -> None:
    users = database["users"]
    await users.create_index("email", unique=True)
    await users.insert_one({"_id": 1, "email": "a"})
    with pytest.raises(DuplicateKeyError) as caught:
        await users.insert_one({"_id": 2, "email": "a"})
    assert caught.value.code == 11000
    assert caught.value.details is not None
    assert caught.value.details["keyPattern"] == {"email": 1}
    assert caught.value.details["keyValue"] == {"email": "a"}
    with pytest.raises(DuplicateKeyError) as caught:
        await users.insert_one({"_id": 1})
    assert caught.value.details is not None
    assert caught.value.details["keyPattern"] == {"_id": 1}
    await users.insert_one({"_id": 3})  # null once
    with pytest.raises(DuplicateKeyError):
        await users.insert_one({"_id": 4})
    with pytest.raises(DuplicateKeyError):
        await users.update_one({"_id": 3}, {"$set": {"email": "a"}})
    assert await users.find_one({"_id": 3}) == {"_id": 3}
    await users.update_one({"_id": 1}, {"$set": {"email": "b"}})
    await users.insert_one({"_id": 5, "email": "a"})


async def test_sparse_partial_compound_and_multikey_unique(database: Database) -> None:
    sparse = database["sparse"]
    await sparse.create_index("x", unique=True, sparse=True)
    await sparse.insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3, "x": None}])
    with pytest.raises(DuplicateKeyError):
        await sparse.insert_one({"x": None})

    partial = database["partial"]
    await partial.create_index("x", unique=True, partialFilterExpression={"x": {"$exists": True}})
    await partial.insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3, "x": 1}])
    with pytest.raises(DuplicateKeyError):
        await partial.insert_one({"x": 1.0})
    assert (await winning(partial.find({"x": 1})))["stage"] == "IXSCAN"
    assert (await winning(partial.find({"x": None})))["stage"] == "COLLSCAN"
    assert await partial.count_documents({"x": None}) == 2

    pair = database["pair"]
    await pair.create_index([("a", 1), ("b", -1)], unique=True)
    await pair.insert_many([{"a": 1, "b": 1}, {"a": 1, "b": 2}])
    with pytest.raises(DuplicateKeyError) as caught:
        await pair.insert_one({"a": 1, "b": 2})
    assert caught.value.details is not None
    assert caught.value.details["keyValue"] == {"a": 1, "b": 2}

    tags = database["tags"]
    await tags.create_index("tags", unique=True)
    await tags.insert_one({"tags": ["x", "x", "y"]})  # within one document is fine
    with pytest.raises(DuplicateKeyError) as caught:
        await tags.insert_one({"tags": ["z", "y"]})
    assert caught.value.details is not None
    assert caught.value.details["keyValue"] == {"tags": "y"}
    await tags.insert_one({"tags": ["z"]})  # nothing of the refused one was kept


async def test_a_partial_index_by_a_date(database: Database) -> None:
    rows = database["rows"]
    new = datetime(2020, 1, 1, tzinfo=UTC)
    await rows.create_index("x", partialFilterExpression={"at": {"$gt": new}})
    await rows.insert_many([{"x": 1, "at": new + timedelta(days=n)} for n in range(3)])
    assert await rows.count_documents({"x": 1, "at": {"$gt": new}}) == 2
    assert (await winning(rows.find({"x": 1, "at": {"$gt": new}})))["stage"] == "IXSCAN"


async def test_parallel_arrays_are_refused(database: Database) -> None:
    await database["c"].create_index([("a", 1), ("b", 1)])
    with pytest.raises(OperationFailure, match="parallel arrays"):
        await database["c"].insert_one({"a": [1], "b": [2]})


async def test_on_existing_data_and_conflicts(database: Database) -> None:
    c = database["c"]
    await c.insert_many([{"_id": n, "x": n % 2, "y": [n]} for n in range(4)])
    with pytest.raises(DuplicateKeyError):
        await c.create_index("x", unique=True)
    assert list(await c.index_information()) == ["_id_"]
    assert await c.create_indexes([IndexModel("x"), IndexModel("y", name="why")]) == ["x_1", "why"]
    assert await c.create_indexes([IndexModel("x")]) == ["x_1"]  # again
    assert (await winning(c.find({"y": 2})))["isMultiKey"]
    assert await c.find({"y": 2}).to_list() == [{"_id": 2, "x": 0, "y": [2]}]
    with pytest.raises(OperationFailure) as caught:
        await c.create_index("x", unique=True)
    assert caught.value.code in (85, 86)
    with pytest.raises(OperationFailure) as caught:
        await c.create_index("z", name="why")
    assert caught.value.code == 86
    await c.drop_index("why")
    assert (await winning(c.find({"y": 2})))["stage"] == "COLLSCAN"
    with pytest.raises(OperationFailure) as caught:
        await c.drop_index("why")
    assert caught.value.code == 27
    with pytest.raises(OperationFailure, match=r"\$nor"):
        await c.create_index("z", partialFilterExpression={"$and": [{"$nor": [{"z": 1}]}]})
    with pytest.raises(OperationFailure, match="text"):
        await c.create_index([("x", "text")])


async def test_the_index_of_a_query(database: Database) -> None:
    c = database["c"]
    await c.create_indexes(
        [IndexModel([("user", 1), ("at", -1), ("_id", -1)]), IndexModel("at"), IndexModel("n")]
    )
    await c.insert_many(
        [{"_id": n, "user": f"u{n % 3}", "at": n // 2, "n": n, "free": n} for n in range(900)]
    )
    for query, index in (
        ({"n": 5}, "n_1"),
        ({"n": {"$gt": 5, "$lt": 9}}, "n_1"),
        ({"n": {"$in": [1, 2, 3]}}, "n_1"),
        ({"user": "u1"}, "user_1_at_-1__id_-1"),
        ({"user": "u1", "at": {"$lt": 10}}, "user_1_at_-1__id_-1"),
    ):
        assert (await winning(c.find(query)))["indexName"] == index
    assert (await winning(c.find({"free": 5})))["stage"] == "COLLSCAN"
    assert (await winning(c.find({"_id": 5})))["stage"] == "IDHACK"
    assert (await winning(c.find({"$or": [{"n": 1}, {"_id": 2}]})))["stage"] == "OR"
    assert (await winning(c.find().sort("n", -1)))["direction"] == "backward"

    # A page after a document, in the order of the index.
    page = c.find(
        {"user": "u1", "$or": [{"at": {"$lt": 200}}, {"at": 200, "_id": {"$lt": 401}}]},
        sort=[("at", -1), ("_id", -1)],
        limit=5,
    )
    plan = await winning(page)
    assert (plan["indexName"], plan["sortedFields"]) == ("user_1_at_-1__id_-1", 2)
    assert [row["_id"] for row in await page.to_list()] == [400, 397, 394, 391, 388]

    merged = c.find({"user": {"$in": ["u1", "u2"]}}, sort=[("at", -1), ("_id", -1)], limit=3)
    assert [row["_id"] for row in await merged.to_list()] == [899, 898, 896]


async def test_two_paths_of_one_array(database: Database) -> None:
    """Different elements may fulfil the two conditions, and no key of the index holds both."""
    c = database["c"]
    await c.create_index([("a.b", 1), ("a.c", 1)])
    await c.insert_one({"_id": 1, "a": [{"b": 1}, {"c": 2}]})
    assert await c.count_documents({"a.b": 1, "a.c": 2}) == 1
    assert await c.count_documents({"a": {"$elemMatch": {"b": 1, "c": 2}}}) == 0


async def test_documents_expire(client: Client, database: Database) -> None:
    c = database["c"]
    await c.create_index("at", expireAfterSeconds=60)
    now = datetime.now(UTC)
    await c.insert_many(
        [
            {"_id": 1, "at": now - timedelta(seconds=90)},
            {"_id": 2, "at": now},
            {"_id": 3, "at": "never"},
            {"_id": 4},
        ]
    )
    assert await client.remove_expired() == 1
    assert await c.distinct("_id") == [2, 3, 4]
