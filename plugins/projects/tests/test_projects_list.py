"""Pages of the list: order, cursors, search."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory_projects.listing import Cursor, Page

DATES = {"b": 3, "a": 3, "d": 1, "c": None, "e": None, "Z": 2}
"""Name → day of its last conversation."""


@pytest.fixture
async def filled(world: Any) -> Any:
    """Six projects of Alice's, one of Bob's."""
    for number, (name, day) in enumerate(DATES.items(), 1):
        last = None if day is None else datetime(2026, 1, day, tzinfo=UTC)
        await world.collection.insert_one(
            {
                "_id": ObjectId(f"{number:024x}"),
                "name": name,
                "description": f"about {name}",
                "user": world.alice.id,
                "conversationCount": 0,
                "lastConversationAt": last,
                "lastConversationId": None,
                "createdAt": datetime(2026, 2, 10 - number, tzinfo=UTC),
                "updatedAt": datetime(2026, 2, 10, tzinfo=UTC),
                "__v": 0,
            }
        )
    await world.bob.create("theirs")
    return world


@pytest.mark.parametrize(
    ("field", "direction", "order"),
    [
        (None, None, "abZdec"),
        ("lastConversationAt", "desc", "abZdec"),
        ("lastConversationAt", "asc", "cedZba"),
        ("name", "asc", "Zabcde"),
        ("name", "desc", "edcbaZ"),
        ("createdAt", "asc", "Zecdab"),
        ("createdAt", "desc", "badceZ"),
        ("user", "x", "abZdec"),
    ],
)
async def test_every_order_and_page_size(
    filled: Any, field: str | None, direction: str | None, order: str
) -> None:
    """Every project once, in order, whatever the size of a page."""
    query = {} if field is None else {"sortBy": field, "sortDirection": direction}
    for limit in (1, 2, 3, 4, 5, 6, 100):
        assert "".join(await filled.alice.names(**query, limit=limit)) == order


async def test_a_cursor_is_what_librechat_makes(filled: Any) -> None:
    """Base64 of the last row's value and id, so that either server goes on from it."""
    page = await filled.alice.page(limit=1)
    assert json.loads(base64.b64decode(page["nextCursor"])) == {
        "primary": "2026-01-03T00:00:00.000Z",
        "id": f"{2:024x}",
    }
    page = await filled.alice.page(limit=5)
    assert json.loads(base64.b64decode(page["nextCursor"]))["primary"] is None
    page = await filled.alice.page(limit=1, sortBy="name", sortDirection="asc")
    assert json.loads(base64.b64decode(page["nextCursor"]))["primary"] == "Z"
    assert (await filled.alice.page())["nextCursor"] is None
    assert (await filled.alice.page(limit=6))["nextCursor"] is None


def packed(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "%%%", "e30=", "null", "\0", "A" * 10_000, packed(None), packed([]), packed("x")),
        packed({"primary": "no date", "id": "0" * 24}),
        packed({"primary": 5, "id": "0" * 24}),
        packed({"primary": {"$gt": ""}, "id": "0" * 24}),
        packed({"primary": "2026-01-03T00:00:00.000Z", "id": "x"}),
        packed({"primary": "2026-01-03T00:00:00.000Z", "id": {"$ne": 1}}),
        packed({"primary": "2026-01-03T00:00:00.000Z"}),
        packed({"primary": "2026-01-03", "id": 5}),
        packed({"primary": "\ud800", "id": "0" * 24}),
        base64.b64encode(b"\xff\xfe").decode(),
    ],
    ids=lambda value: value[:24],
)
async def test_a_bad_cursor_is_the_first_page(filled: Any, cursor: str) -> None:
    found = await filled.alice.page(cursor=cursor)
    assert [row["name"] for row in found["projects"]] == list("abZdec")
    for field in ("name", "createdAt"):
        await filled.alice.page(cursor=cursor, sortBy=field)


async def test_a_cursor_without_a_value_of_another_order(filled: Any) -> None:
    cursor = packed({"primary": None, "id": "f" * 24})
    assert len((await filled.alice.page(cursor=cursor, sortBy="createdAt"))["projects"]) == 6
    assert len((await filled.alice.page(cursor=cursor))["projects"]) == 2


@pytest.mark.parametrize(
    ("limit", "rows"),
    [
        *(("0", 25), ("", 25), ("x", 25), ("-3", 1), ("2.9", 2), ("1000", 100), ("1e1", 10)),
        *(("NaN", 25), ("Infinity", 25), ("9" * 400, 25), (["2", "5"], 2)),
    ],
)
async def test_limits(world: Any, limit: Any, rows: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    await world.collection.insert_many(
        [
            {"name": str(number), "user": world.alice.id, "createdAt": moment}
            for number in range(120)
        ]
    )
    page = await world.alice.page(limit=limit)
    assert len(page["projects"]) == rows
    assert page["nextCursor"] is not None
    assert len(set(await world.alice.names(limit=limit if rows > 1 else 100))) == 120


@pytest.mark.parametrize(
    ("search", "found"),
    [
        *(("gar", ["Garden"]), ("GARDEN", ["Garden"]), ("  den ", ["Garden"]), ("", 4)),
        *((".*", ["a.*b"]), ("a.*b", ["a.*b"]), ("a+b", []), ("ünï", ["Ünï ☃"]), ("☃", ["Ünï ☃"])),
        *(("roses", ["Garden"]), ("$", []), ("(", []), ("\\", []), ("x y", [])),
        *(("\0", []), ("x" * 5000, []), ("^", []), ("[a-z]", []), ("theirs", [])),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_search(world: Any, search: str, found: Any) -> None:
    """A part of the name or description, in any case, taken literally."""
    await world.alice.create("Garden", description="Roses and\nweeds")
    for name in ("a.*b", "Ünï ☃", "Other"):
        await world.alice.create(name)
    await world.bob.create("theirs")
    names = await world.alice.names(search=search)
    assert len(names) == found if isinstance(found, int) else names == found


async def test_search_goes_on_from_a_cursor(world: Any) -> None:
    for number in range(9):
        await world.alice.create(f"{'odd' if number % 2 else 'even'} {number}")
    assert await world.alice.names(search="odd", limit=1, sortBy="name", sortDirection="asc") == [
        f"odd {number}" for number in (1, 3, 5, 7)
    ]


async def test_repeated_and_odd_queries(filled: Any) -> None:
    found = await filled.alice.page(sortBy=["name", "createdAt"], sortDirection=["asc", "desc"])
    assert [row["name"] for row in found["projects"]] == list("Zabcde")
    for name in ("limit", "cursor", "sortBy", "sortDirection", "search"):
        for query in ({f"{name}[$gt]": ""}, {f"{name}.x": "1"}, {f"{name}[]": "1"}):
            assert len((await filled.alice.page(**query))["projects"]) == 6


@pytest.mark.parametrize("field", ["name", "createdAt", "lastConversationAt"])
@pytest.mark.parametrize("descending", [True, False])
async def test_an_index_is_in_the_order_of_a_page(
    filled: Any, field: str, descending: bool
) -> None:
    """In whichever order, and from whichever place: nothing has to be sorted."""
    dated = "c" if field == "name" else datetime(2026, 2, 5, tzinfo=UTC)
    values = (dated, None) if field == "lastConversationAt" else (dated,)
    direction = -1 if descending else 1
    for cursor in (None, *(Cursor(value, ObjectId()) for value in values)):
        page = Page(5, field, descending, "about", cursor)
        found = filled.collection.find(page.filter(filled.alice.id))
        ordered = found.sort({field: direction, "_id": direction}).limit(6)
        plan = (await ordered.explain())["queryPlanner"]["winningPlan"]
        assert plan["indexName"].startswith(f"user_1_{field}_"), plan
        assert plan["sortedFields"] == 2, plan
