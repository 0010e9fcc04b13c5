"""Pages of agents: order, cursors, filters (contract agents §2)."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory_agentbuilder.listing.lists import Selection
from locutory_agentbuilder.listing.order import SORT, Position

ANN, BEN = ("a" * 24, "b" * 24)
START = datetime(2026, 1, 1, tzinfo=UTC)
BOTH = pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])


async def fill(s: Any, number: int, **fields: Any) -> list[ObjectId]:
    """Agents of Ann, two of each date, written as LibreChat would."""
    agents = [
        {
            "_id": ObjectId(),
            "id": f"agent_{at}",
            "name": f"A{at}",
            "provider": "Fake",
            "model": "fake",
            "author": ObjectId(ANN),
            "versions": [],
            "createdAt": START,
            "updatedAt": START - timedelta(minutes=at // 2),
            **fields,
        }
        for at in range(number)
    ]
    entries = [
        {
            "principalType": "user",
            "principalId": ObjectId(ANN),
            "principalModel": "User",
            "resourceType": "agent",
            "resourceId": agent["_id"],
            "permBits": 15,
            "grantedAt": START,
        }
        for agent in agents
    ]
    await s.collection("agents").insert_many(agents)
    await s.collection("aclentries").insert_many(entries)
    return [agent["_id"] for agent in agents]


async def pages(s: Any, limit: int) -> list[list[dict[str, Any]]]:
    """Every page of Ann's list."""
    found: list[list[dict[str, Any]]] = []
    cursor = None
    while True:
        query = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        page = (await s.ann.get("/api/agents", params=query)).json()
        found.append(page["data"])
        assert page["has_more"] is (page["after"] is not None)
        if page["after"] is None:
            return found
        cursor = page["after"]
        last = page["data"][-1]
        place = json.loads(b64decode(cursor))
        assert place == {"updatedAt": last.get("updatedAt"), "_id": last["_id"]}


@BOTH
async def test_pages_hold_every_agent_once_in_order(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        ids = await fill(s, 9)
        undated = ids[3:5]
        await s.collection("agents").update_many(
            {"_id": {"$in": undated}}, {"$unset": {"updatedAt": ""}}
        )
        expected = [str(key) for key in (*ids[:3], *ids[5:], *undated)]
        for limit in (1, 2, 4, 100):
            rows = [row["_id"] for page in await pages(s, limit) for row in page]
            assert rows == expected, limit


BAD = [
    "undefined",
    "null",
    "%%%",
    "NQ==",
    *(
        b64encode(json.dumps(place).encode()).decode()
        for place in (
            {"updatedAt": "yesterday", "_id": ANN},
            {"updatedAt": 5, "_id": ANN},
            {"updatedAt": {"$gt": ""}, "_id": ANN},
            {"updatedAt": "0001-01-01T00:00:00+23:00", "_id": ANN},
            {"updatedAt": "2026-01-01T00:00:00Z", "_id": "x"},
            {"updatedAt": "2026-01-01T00:00:00Z", "_id": {"$ne": None}},
            {"_id": ANN},
        )
    ),
]


async def test_a_bad_cursor_does_not_count(stage: Any) -> None:
    async with stage() as s:
        await fill(s, 3)
        for cursor in BAD:
            assert await s.names(s.ann, cursor=cursor) == ["A0", "A1", "A2"], cursor


@BOTH
async def test_filters(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        await fill(s, 4)
        for at, change in enumerate(
            (
                {"name": "Ärger", "category": "hr"},
                {"description": "all about (x", "is_promoted": True},
                {"description": "ABOUT dogs", "is_promoted": False},
                {"name": 5},
            )
        ):
            await s.collection("agents").update_one({"id": f"agent_{at}"}, {"$set": change})

        async def found(**query: Any) -> set[int]:
            rows = (await s.ann.get("/api/agents", params=query)).json()["data"]
            return {int(row["id"].partition("_")[2]) for row in rows}

        assert await found(search="about") == {1, 2}
        assert await found(search="äRG") == {0}
        assert await found(search="(X") == {1}
        for text in (".*", "^A", "[", "x\0", "\\", "$where", "5"):
            assert await found(search=text) == set(), text
        assert await found(category="hr") == {0}
        assert await found(category=" ") == {0, 1, 2, 3}
        assert await found(promoted="1") == {1}
        assert await found(promoted="0") == {0, 2, 3}
        assert await found(search="about", promoted="0") == {2}
        nothing = await found(requiredPermission="16"), await found(requiredPermission="0")
        assert nothing == (set(), set())


async def test_a_page_is_read_by_the_ids_that_the_caller_reaches(stage: Any) -> None:
    """Or, where nothing is shared, by an index: never all agents."""
    async with stage() as s:
        ids = await fill(s, 30)
        for reached in ({"_id": {"$in": ids}}, {"author": ObjectId(ANN)}):
            for selection in (Selection(), Selection(category="hr", search="a", promoted=False)):
                for after in (None, Position(START, ids[0]), Position(None, ids[0])):
                    wanted = {**reached, "tenantId": None, **selection.filter(after)}
                    found = s.collection("agents").find(wanted).sort(SORT).limit(11)
                    plan = (await found.explain())["queryPlanner"]["winningPlan"]
                    assert plan["stage"] in ("IDHACK", "IXSCAN", "SORT_MERGE", "OR"), plan
