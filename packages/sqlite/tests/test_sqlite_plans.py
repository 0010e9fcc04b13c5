"""Which index a query reads, and how many documents."""

from typing import Any, ClassVar

import pytest
from bson.codec_options import CodecOptions
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from locutory_sqlite import Client, Database

NEWEST = [("updatedAt", -1), ("_id", -1)]
BY_TITLE = [("title", 1), ("updatedAt", 1), ("_id", 1)]
SHOWN = {"user": "u1", "isArchived": {"$in": [False, None]}}


class Read(dict[str, Any]):
    """A document; tells which are read (a read that takes long begins again)."""

    seen: ClassVar[set[int]] = set()

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name == "_id" and isinstance(value, int):  # not that of a filter
            Read.seen.add(value)


async def winning(cursor: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await cursor.explain())["queryPlanner"]["winningPlan"]
    return found


async def read(collection: Any, *query: Any, **options: Any) -> tuple[list[Any], int]:
    """The ids of the matches, and how many documents were read for them."""
    counting = collection.with_options(CodecOptions(document_class=Read, tz_aware=True))
    Read.seen.clear()
    rows = await counting.find(*query, **options).to_list()
    return [row["_id"] for row in rows], len(Read.seen)


@pytest.fixture
async def chats(database: Database) -> Any:
    collection = database["chats"]
    await collection.create_indexes(
        [
            IndexModel([("user", 1), ("isArchived", 1), *NEWEST], name="newest"),
            IndexModel(
                [("user", 1), ("isArchived", 1), ("title", 1), ("updatedAt", 1)], name="titles"
            ),
            IndexModel([("user", 1), ("conversationId", 1)], unique=True, name="key"),
            IndexModel([("user", 1), ("tags", 1)], name="tags"),
            IndexModel([("expiredAt", 1)], expireAfterSeconds=0, name="expiry"),
            IndexModel("number", unique=True, name="number"),
        ]
    )
    await collection.insert_many(
        [
            {
                "_id": n, "user": f"u{n % 3}", "updatedAt": n // 7, "title": f"t{n % 11}", "number": n,
                "conversationId": f"c{n}", "tags": ["x", f"y{n % 50}"] if n % 5 == 0 else [],
                **({} if n % 4 == 0 else {"isArchived": n % 4 == 1}),
            }
            for n in range(3000)
        ]
    )  # fmt: skip
    return collection


def sorted_by_hand(rows: list[Any], order: list[tuple[str, int]]) -> list[Any]:
    for path, way in reversed(order):
        rows = sorted(rows, key=lambda row: row[path], reverse=way == -1)
    return [row["_id"] for row in rows]


async def expected(chats: Any, query: Any, order: Any, limit: int) -> list[Any]:
    """By a whole scan."""
    return sorted_by_hand(await chats.find(query).hint({"$natural": 1}).to_list(), order)[:limit]


async def test_equality_sort_and_limit(chats: Any) -> None:
    query = {"user": "u1", "isArchived": True}
    for order in (NEWEST, [(path, -way) for path, way in NEWEST]):
        plan = await winning(chats.find(query, sort=order, limit=10))
        assert (plan["indexName"], plan["sortedFields"], plan["ranges"]) == ("newest", 2, 1)
        ids, number = await read(chats, query, sort=order, limit=10)
        assert ids == await expected(chats, query, order, 10)
        assert number <= 11


@pytest.mark.parametrize(
    ("order", "index", "done", "most"), [(NEWEST, "newest", 2, 28), (BY_TITLE, "titles", 2, 40)]
)
async def test_ranges_of_in_are_merged_in_order(
    chats: Any, order: Any, index: str, done: int, most: int
) -> None:
    query = {**SHOWN, "$and": [{"$or": [{"expiredAt": None}, {"expiredAt": {"$gt": 5}}]}]}
    plan = await winning(chats.find(query, sort=order, limit=25))
    assert (plan["indexName"], plan["sortedFields"], plan["ranges"]) == (index, done, 2)
    ids, number = await read(chats, query, sort=order, limit=25)
    assert ids == await expected(chats, query, order, 25)
    assert number <= most


async def test_a_page_begins_behind_the_last_one(chats: Any) -> None:
    after = {"$or": [{"updatedAt": {"$lt": 200}}, {"updatedAt": 200, "_id": {"$lt": 1403}}]}
    query = {**SHOWN, "$and": [{"$or": [{"expiredAt": None}, {"expiredAt": {"$gt": 5}}]}, after]}
    plan = await winning(chats.find(query, sort=NEWEST, limit=25))
    assert (plan["indexName"], plan["sortedFields"], plan["ranges"]) == ("newest", 2, 2)
    ids, number = await read(chats, query, sort=NEWEST, limit=25)
    assert ids == await expected(chats, query, NEWEST, 25)
    assert number <= 32  # those of the moment itself lie before it too


async def test_points_of_in_that_the_sort_names_need_no_merge(chats: Any) -> None:
    order = [("isArchived", 1), *NEWEST]
    plan = await winning(chats.find(SHOWN, sort=[("isArchived", 1), ("updatedAt", -1)], limit=5))
    assert (plan["indexName"], plan["sortedFields"]) == ("newest", 2)
    assert (await winning(chats.find(SHOWN, sort=order, limit=5)))["sortedFields"] == 3


async def test_an_or_of_indexed_branches_is_merged_in_order(database: Database) -> None:
    c = database["c"]
    await c.create_indexes(
        [IndexModel([("owner", 1), ("at", -1)]), IndexModel([("guest", 1), ("at", -1)])]
    )
    await c.insert_many([{"_id": n, "owner": n % 10, "guest": n % 7, "at": n} for n in range(2000)])
    query = {"$or": [{"owner": 3}, {"guest": 3}]}
    cursor = c.find(query, sort=[("at", -1)], limit=10)
    plan = await winning(cursor)
    assert (plan["stage"], plan["sortedFields"]) == ("SORT_MERGE", 1)
    assert [part["indexName"] for part in plan["inputStages"]] == ["owner_1_at_-1", "guest_1_at_-1"]
    ids, number = await read(c, query, sort=[("at", -1)], limit=10)
    assert ids == [n for n in reversed(range(2000)) if n % 10 == 3 or n % 7 == 3][:10]
    assert number <= 14
    assert (await winning(c.find(query)))["stage"] == "OR"


async def test_multikey_indexes_find_and_never_sort(chats: Any) -> None:
    plan = await winning(chats.find({"user": "u1", "tags": "y5"}))
    assert (plan["indexName"], plan["isMultiKey"], plan["sortedFields"]) == ("tags", True, 0)
    ids, number = await read(chats, {"user": "u1", "tags": "y5"})
    assert number == len(ids) == 20
    plan = await winning(chats.find({"user": "u1"}, sort=[("tags", 1)], limit=5))
    assert plan["sortedFields"] == 0


async def test_a_thousand_keys(chats: Any) -> None:
    wanted = list(range(0, 3000, 3))
    plan = await winning(chats.find({"number": {"$in": wanted}}))
    assert (plan["indexName"], plan["ranges"]) == ("number", 1000)
    ids, number = await read(chats, {"number": {"$in": wanted}}, sort=[("number", 1)], limit=5)
    assert (ids, number) == (wanted[:5], 5)
    assert (await winning(chats.find({"_id": {"$in": wanted}})))["keys"] == 1000


async def test_the_key_of_a_unique_index(chats: Any) -> None:
    query = {"user": "u1", "conversationId": "c1", "isArchived": True}
    assert (await winning(chats.find(query)))["indexName"] == "key"
    assert (await read(chats, query))[1] == 1
    assert (await winning(chats.find({"_id": 1, **query})))["stage"] == "IDHACK"


async def test_conditions_in_elements_are_bounds(database: Database) -> None:
    c = database["c"]
    await c.create_index("members.id")
    await c.insert_many(
        [{"_id": n, "members": [{"id": n, "r": 1}, {"id": n + 1, "r": 2}]} for n in range(50)]
    )
    query = {"members": {"$elemMatch": {"id": 7, "r": 2}}}
    assert (await winning(c.find(query)))["indexName"] == "members.id_1"
    assert await read(c, query) == ([6], 2)


async def test_counts_read_no_document(chats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = chats.with_options(CodecOptions(document_class=Read, tz_aware=True))
    for query, number in (
        ({"user": "u1"}, 1000),
        ({"user": "u1", "isArchived": {"$in": [False, None]}}, 750),
        ({"user": "u1", "isArchived": True, "updatedAt": {"$gte": 200}}, 133),
        ({"number": {"$lt": 10}}, 10),
        ({}, 3000),
    ):
        Read.seen.clear()
        assert await counting.count_documents(query) == number
        assert not Read.seen
        assert await chats.count_documents(query, skip=3, limit=4) == 4
    assert await counting.count_documents({"user": "u1", "title": "t1"}) == 91
    assert Read.seen


async def test_distinct_values_read_one_document_each(chats: Any) -> None:
    counting = chats.with_options(CodecOptions(document_class=Read, tz_aware=True))
    for path, query, values in (
        ("isArchived", {"user": "u1"}, [False, True]),
        ("title", {"user": "u1", "isArchived": True}, sorted(f"t{n}" for n in range(11))),
        ("number", {"number": {"$lt": 5}}, [0, 1, 2, 3, 4]),
    ):
        Read.seen.clear()
        assert await counting.distinct(path, query) == values
        # What has no such field is looked at whether it holds null.
        assert len(Read.seen) <= (len(values) if path != "isArchived" else 255)


async def test_a_hint(chats: Any) -> None:
    assert (await winning(chats.find({"user": "u1"}).hint("titles")))["indexName"] == "titles"
    assert (await winning(chats.find({"number": 1}).hint([("$natural", 1)])))["stage"] == "COLLSCAN"
    with pytest.raises(OperationFailure, match="hint"):
        await chats.find({"user": "u1"}).hint("none").to_list()


async def test_partial_indexes_serve_only_what_implies_them(client: Client) -> None:
    cases: list[tuple[Any, list[Any], list[Any]]] = [
        ({"a": True}, [{"a": True}], [{"a": 1}, {"a": {"$in": [True, False]}}]),
        ({"a": {"$exists": True}}, [{"a": 1}, {"a": {"$gt": 1}}, {"a": {"$in": [1, 2]}}, {"a": {"$type": "string"}}],
         [{"a": None}, {"a": {"$ne": 1}}, {"a": {"$in": [1, None]}}]),
        ({"a": {"$gt": 5}}, [{"a": 6}, {"a": {"$gt": 5}}, {"a": {"$gte": 6}}], [{"a": 5}, {"a": {"$gte": 5}}, {"a": {"$lt": 9}}]),
        ({"a": {"$type": "int"}}, [{"a": {"$type": "int"}}], [{"a": 1}]),
        ({"a": {"$type": "string"}}, [{"a": "x"}], [{"a": 1}, {"a": None}]),
    ]  # fmt: skip
    for number, (condition, serves, not_) in enumerate(cases):
        c = client["x"][f"c{number}"]
        await c.create_index("k", partialFilterExpression=condition)
        await c.insert_one({"k": 1})
        for queries, stage in ((serves, "IXSCAN"), (not_, "COLLSCAN")):
            for query in queries:
                assert (await winning(c.find({"k": 1, **query})))["stage"] == stage, (
                    condition,
                    query,
                )
