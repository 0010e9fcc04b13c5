"""The list of one's own links (contract share §5)."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from bson import ObjectId

from locutory import Provide
from locutory_contracts.search import SEARCH, SearchFailed
from locutory_share.listing import Order, Position

START = datetime(2026, 1, 1, tzinfo=UTC)
TITLES = ["b", None, "a", "b", "é", None, "B", "a", "b", "", "c"]


async def fill(world: Any, user: str) -> list[dict[str, Any]]:
    """Links of all sorts: equal titles, no title, equal dates."""
    links = [
        {
            "_id": ObjectId(),
            "shareId": f"share-{number}",
            "conversationId": str(uuid4()),
            "user": user,
            "createdAt": START + timedelta(days=number // 3),
            "updatedAt": START,
            **({} if title is None else {"title": title}),
        }
        for number, title in enumerate(TITLES)
    ]
    links[5]["title"] = None  # null beside absent
    await world.collection("sharedlinks").insert_many(links)
    return links


async def walk(person: Any, **query: Any) -> list[str]:
    """Public ids of every page."""
    found: list[str] = []
    for _ in range(30):
        answer = await person.get("/api/share", **query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += [link["shareId"] for link in body["links"]]
        assert body["hasNextPage"] == ("nextCursor" in body)
        if not body["hasNextPage"]:
            return found
        query["cursor"] = body["nextCursor"]
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("field", ["title", "createdAt"])
async def test_a_page_reads_ones_own_links(world: Any, field: str) -> None:
    """From whichever place: never those of others."""
    for value in (START, "b", None):
        for descending in (True, False):
            position = Position(value, ObjectId())
            key = {"user": "x", **Order(field, descending).after(position)}
            way = -1 if descending else 1
            found = world.collection("sharedlinks").find(key).sort({field: way, "_id": way})
            plan = (await found.limit(6).explain())["queryPlanner"]["winningPlan"]
            assert plan["indexName"] == f"user_1_{field}_1__id_1", plan


def expected(links: list[dict[str, Any]], field: str, descending: bool) -> list[str]:
    def key(link: dict[str, Any]) -> Any:
        value = link.get(field)
        if field == "createdAt":
            return value, link["_id"]
        return value is not None, (value or "").encode(), link["_id"]

    return [link["shareId"] for link in sorted(links, key=key, reverse=descending)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_every_link_once_in_order(world: Any, direction: str, size: int) -> None:
    links = await fill(world, world.alice.id)
    await fill(world, world.bob.id)
    for field in ("createdAt", "title"):
        query = {"sortBy": field, "sortDirection": direction, "pageSize": size}
        assert await walk(world.alice, **query) == expected(links, field, direction == "desc")


async def test_rows(world: Any) -> None:
    links = await fill(world, world.alice.id)
    body = (await world.alice.get("/api/share", pageSize=2, sortDirection="asc")).json()
    assert body["links"] == [
        {
            "shareId": link["shareId"],
            "title": link.get("title") or "Untitled",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "conversationId": link["conversationId"],
        }
        for link in links[:2]
    ]
    assert orjson.loads(b64decode(body["nextCursor"])) == {
        "primary": "2026-01-01T00:00:00.000Z",
        "id": str(links[1]["_id"]),
    }


async def test_cursors_of_old_servers(world: Any) -> None:
    await fill(world, world.alice.id)
    query = {"sortDirection": "asc", "cursor": "2026-01-01T00:00:00.000Z", "pageSize": 100}
    later = await walk(world.alice, **query)
    assert later == [f"share-{number}" for number in range(3, 11)]
    query["cursor"] = "Thu Jan 01 2026 01:00:00 GMT+0100 (Central European Standard Time)"
    assert await walk(world.alice, **query) == later
    query = {"sortBy": "title", "sortDirection": "asc", "cursor": "b", "pageSize": 100}
    assert await walk(world.alice, **query) == ["share-10", "share-4"]
    query["sortDirection"] = "desc"
    below = await walk(world.alice, **query)
    assert below[:4] == ["share-7", "share-2", "share-6", "share-9"]
    assert set(below[4:]) == {"share-1", "share-5"}


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ("3", 3),
        ("0", 1),
        ("-5", 1),
        ("1000", 11),
        ("x", 10),
        ("3.5", 10),
        ("", 10),
        ("9" * 500, 10),
        ("٣", 10),
    ],
)
async def test_page_sizes(world: Any, size: str, count: int) -> None:
    await fill(world, world.alice.id)
    answer = await world.alice.get("/api/share", pageSize=size)
    assert len(answer.json()["links"]) == count


def cursor(primary: Any, row: Any) -> str:
    return b64encode(orjson.dumps({"primary": primary, "id": row})).decode()


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "x" * 8193,
        cursor(None, "a" * 24),
        cursor("yesterday", "a" * 24),
        cursor({"$gt": ""}, "a" * 24),
        cursor("2026-01-01", "a" * 23),
        cursor("2026-01-01", {"$gt": ""}),
        "eyJwcmltYXJ5Ijo",
        "%00",
        "ü",
    ],
)
async def test_cursors_that_make_no_sense(world: Any, text: str) -> None:
    answer = await world.alice.get("/api/share", cursor=text)
    assert (answer.status_code, answer.json()) == (
        400,
        {"message": "cursor is not valid for this sort"},
    )


@pytest.mark.parametrize(
    "query",
    [
        {"sortBy": "user"},
        {"sortBy": "$where"},
        {"sortDirection": "sideways"},
        {"search[$ne]": "x"},
        {"cursor[$gt]": ""},
        {"sortBy": ["title", "createdAt"]},
        {"pageSize": ["1", "2"]},
        {"cursor": ["a", "b"]},
        {"search": ["a", "b"]},
        {"sortBy": "title", "cursor": "x" * 8192},
    ],
)
async def test_odd_queries(world: Any, query: dict[str, Any]) -> None:
    await fill(world, world.bob.id)
    answer = await world.alice.get("/api/share", **query)
    assert (answer.status_code, answer.json()) == (200, {"links": [], "hasNextPage": False})


class Index:
    """A search that knows what to find."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.found: list[str] = []

    async def conversations(self, user: str, text: str, limit: int) -> list[str]:
        self.asked.append((user, text, limit))
        if text == "broken":
            raise SearchFailed
        return self.found


async def test_searching(make_world: Any, kit: Any) -> None:
    index = Index()
    async with make_world(kit.offer(Provide(SEARCH, index))) as world:
        links = await fill(world, world.alice.id)
        foreign = await fill(world, world.bob.id)
        empty = {"links": [], "hasNextPage": False}
        assert (await world.alice.get("/api/share", search=" x ")).json() == empty
        assert index.asked == [(world.alice.id, "x", 20)]
        index.found = [links[4]["conversationId"], foreign[0]["conversationId"], "unknown"]
        assert await walk(world.alice, search="x") == ["share-4"]
        index.found = [link["conversationId"] for link in links]
        assert len(await walk(world.alice, search="x", pageSize=2)) == len(links)
        assert (await world.alice.get("/api/share", search="broken")).json() == empty
        assert len((await world.alice.get("/api/share", search="  ")).json()["links"]) == 10
        assert (await world.alice.get("/api/share", search="x" * 256)).status_code == 200
        answer = await world.alice.get("/api/share", search="x" * 257)
        assert (answer.status_code, answer.json()) == (
            400,
            {"message": "search must be 256 characters or fewer"},
        )


async def test_without_search_nothing_is_found(world: Any) -> None:
    await fill(world, world.alice.id)
    answer = await world.alice.get("/api/share", search="b")
    assert (answer.status_code, answer.json()) == (200, {"links": [], "hasNextPage": False})
