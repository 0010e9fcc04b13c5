"""What a query does not look at is not decoded, and nothing else changes."""

import re
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from locutory_sqlite import reading, trimming
from locutory_sqlite.database import Database
from locutory_sqlite.trimming import Needed, needed_by, trimmed

VALUES: tuple[Any, ...] = (
    *(None, True, False, 7, 2**40, Int64(9), 1.5, "text", "", "ä" * 300, b"bytes", Binary(b"x", 5)),
    *(ObjectId("6b0e1c565236a4610ab347ff"), datetime(2026, 1, 2, tzinfo=UTC), MinKey(), MaxKey()),
    *(Timestamp(5, 6), Decimal128("1.25"), Code("f()"), Code("f()", {"a": 1}), {"a": {"b": []}}),
    *([ObjectId("6b0e1c565236a4610ab347ff")] * 40, DBRef("c", 5), [], {}),
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["a", "b", "ab", "c", "", "ä"]), st.sampled_from(VALUES), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.sets(st.sampled_from(["a", "b", "ab", "ä", "x"])), st.booleans())
def test_exactly_what_is_needed_is_left(
    document: dict[str, Any], names: set[str], named: bool
) -> None:
    needed = Needed(frozenset(name.encode() for name in names), named)
    found = bson.decode(trimmed(bson.encode(document), needed))
    whole = bson.decode(bson.encode(document))
    assert found == {name: value for name, value in whole.items() if (name in names) is named}


def test_what_cannot_be_looked_through_is_left_as_it_is() -> None:
    needed = Needed(frozenset((b"a",)), True)
    raw = bson.encode({"b": 1, "a": Regex("x", re.I), "c": 2})
    assert trimmed(raw, needed) == raw
    whole = bson.encode({"b": "x" * 100, "a": 1})
    for cut in (
        whole[:-1],
        whole[:20],
        whole[:10] + b"\xff\xff\xff\xff" + whole[14:],
        b"\x05\0\0\0\0",
    ):
        assert trimmed(cut, needed) in (cut, bson.encode({"a": 1}))


@pytest.mark.parametrize(
    ("projection", "kept", "dropped"),
    [
        ({"title": 1}, {"_id", "title", "user", "at"}, {"messages", "big"}),
        ({"title": True, "_id": 0}, {"title", "user", "at"}, {"messages"}),
        ({"a.b": 1}, {"a", "user"}, {"b", "messages"}),
        (["title"], {"_id", "title", "user"}, {"messages"}),
        ({"_id": 1}, {"_id", "user"}, {"title"}),
        ({"messages": 0}, {"title", "user"}, {"messages"}),
        ({"user": 0, "a.b": 0}, {"user", "a", "messages"}, set()),
        ({"_id": 0}, {"_id", "messages"}, set()),
        ({}, {"messages"}, set()),
        (None, {"messages"}, set()),
        ({"title": {"$slice": 1}}, {"messages"}, set()),
        ({"title": "$messages"}, {"messages"}, set()),
    ],
)
def test_what_is_needed(projection: Any, kept: set[str], dropped: set[str]) -> None:
    needed = needed_by(projection, ("user",), ["at.x"])
    for names, wanted in ((kept, True), (dropped, False)):
        for name in names:
            is_kept = needed is None or (name.encode() in needed.names) is needed.named
            assert is_kept is wanted, name


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"a": 1, "$or": [{"b.c": 2}, {"e": {"$exists": True}}]},
        {"$nor": [{"b.c": 3}]},
        {"$expr": {"$eq": ["$b.c", 2]}},
        {"$and": [{"e": None}, {"$expr": {"$gt": ["$f", 1]}}]},
    ],
)
async def test_filters_and_sorts_see_what_the_projection_leaves_out(
    database: Database, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]
) -> None:
    c = database["c"]
    await c.create_index([("a", 1), ("f", -1)])
    await c.insert_many(
        {"_id": n, "a": n % 2, "b": {"c": n % 4}, "f": n % 5, "e": [n], "pad": [ObjectId()] * 60}
        for n in range(30)
    )
    await c.update_many({"_id": {"$gt": 20}}, {"$unset": {"e": 1}})

    async def all_of() -> list[Any]:
        return [
            await c.find(query, projection).sort(sort).to_list()
            for projection in ({"a": 1}, {"pad": 0}, {"e": 0, "pad": 0}, ["f"])
            for sort in ({"_id": 1}, {"f": -1, "_id": 1}, {"b.c": 1, "f": 1, "_id": -1})
        ]

    found = await all_of()
    for module in (reading, trimming):
        monkeypatch.setattr(module, "SMALL", 10**9)
    assert await all_of() == found
    assert found[0]
