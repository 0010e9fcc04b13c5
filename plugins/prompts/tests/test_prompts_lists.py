"""Lists and pages (contract prompts §4, routes 1 and 2)."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory_prompts.listing.lists import MINE, Selection
from locutory_prompts.listing.order import SORT, Position

ANN = "a" * 24
BEN = "b" * 24
GROUPS = "/api/prompts/groups"
BOTH = pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])


async def fill(s: Any, number: int, user: str = ANN, **fields: Any) -> list[ObjectId]:
    """Groups with uses that decrease, three a step, written as LibreChat would."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    groups, prompts, entries = [], [], []
    for at in range(number):
        group, prompt = ObjectId(), ObjectId()
        groups.append(
            {
                "_id": group,
                "name": f"P{at}",
                "numberOfGenerations": (number - at) // 3,
                "productionId": prompt,
                "author": ObjectId(user),
                "authorName": "Somebody",
                "createdAt": start,
                "updatedAt": start + timedelta(minutes=at % 2),
                "__v": 0,
                **fields,
            }
        )
        prompts.append(
            {
                "_id": prompt,
                "groupId": group,
                "author": ObjectId(user),
                "prompt": f"text {at}",
                "type": "text",
                "createdAt": start,
                "updatedAt": start,
                "__v": 0,
            }
        )
        entries.append(
            {
                "principalType": "user",
                "principalId": ObjectId(user),
                "principalModel": "User",
                "resourceType": "promptGroup",
                "resourceId": group,
                "permBits": 15,
                "grantedAt": start,
                "createdAt": start,
                "updatedAt": start,
                "__v": 0,
            }
        )
    for name, rows in (("promptgroups", groups), ("prompts", prompts), ("aclentries", entries)):
        await s.collection(name).insert_many(rows)
    return [group["_id"] for group in groups]


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Uses descending, last change descending, id ascending."""
    by_id = sorted(rows, key=lambda row: row["_id"])
    by_date = sorted(by_id, key=lambda row: row["updatedAt"], reverse=True)
    return sorted(by_date, key=lambda row: row["numberOfGenerations"], reverse=True)


@BOTH
async def test_rows_hold_what_the_client_shows(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        assert (await s.ann.get("/api/prompts/all")).json() == []
        group = await s.make()
        (row,) = (await s.ann.get("/api/prompts/all")).json()
        assert row == {
            **{key: value for key, value in group.items() if key != "productionPrompt"},
            "productionPrompt": {"_id": group["productionId"], "prompt": "Say hi to {{name}}"},
        }
        assert row["author"] == ANN
        page = (await s.ann.get(GROUPS)).json()
        assert page == {
            "promptGroups": [row],
            "pageNumber": "1",
            "pageSize": "10",
            "pages": "1",
            "has_more": False,
            "after": None,
        }
        assert (await s.ben.get(GROUPS)).json()["promptGroups"] == []


@BOTH
@pytest.mark.parametrize("number", [25, 350])
async def test_pages_cover_everything_once_in_order(stage: Any, roles: bool, number: int) -> None:
    async with stage(roles=roles) as s:
        await fill(s, number)
        await fill(s, 7, BEN, name="Foreign")
        every = (await s.ann.get("/api/prompts/all")).json()
        assert len(every) == number
        assert every == expected(every)
        assert every[0]["oneliner"] == every[0]["category"] == ""
        collected: list[Any] = []
        cursor = None
        while True:
            query = {"limit": 10, **({"cursor": cursor} if cursor else {})}
            page = (await s.ann.get(GROUPS, params=query)).json()
            collected += page["promptGroups"]
            assert page["pageNumber"] == "1"
            assert page["pages"] == ("9999" if page["has_more"] else "1")
            if not page["has_more"]:
                assert page["after"] is None
                break
            cursor = page["after"]
            place = json.loads(b64decode(cursor))
            last = page["promptGroups"][-1]
            assert place == {key: last[key] for key in ("numberOfGenerations", "updatedAt", "_id")}
        assert collected == every


SIZES: list[Any] = [
    ("", 10),
    ("limit=3", 3),
    ("pageSize=4", 4),
    ("limit=3&pageSize=4", 3),
    ("limit=&pageSize=4", 4),
    ("limit=500", 100),
    ("limit=0", 1),
    ("limit=-5", 1),
    ("limit=abc", 20),
    ("limit=7abc", 7),
    ("limit=99999999999999999999999999", 100),
    ("limit=3&limit=9", 3),
    ("limit[$gt]=3", 10),
    ("pageNumber=9&pageSize=2", 2),
]


async def test_sizes_of_pages(stage: Any) -> None:
    async with stage() as s:
        await fill(s, 120)
        for query, size in SIZES:
            page = (await s.ann.get(f"{GROUPS}?{query}")).json()
            assert page["pageSize"] == str(size)
            assert len(page["promptGroups"]) == size
            assert page["pages"] == "9999"


def _cursor(**place: Any) -> str:
    return b64encode(json.dumps(place).encode()).decode()


BAD_CURSORS = [
    "undefined",
    "null",
    "",
    "%%%",
    "bm90IGpzb24=",
    "\u00e4",
    "W10=",
    "NQ==",
    "bnVsbA==",
    _cursor(numberOfGenerations=0),
    _cursor(numberOfGenerations="5", updatedAt="2026-01-01T00:00:00Z", _id=ANN),
    _cursor(numberOfGenerations=True, updatedAt="2026-01-01T00:00:00Z", _id=ANN),
    _cursor(numberOfGenerations=0, updatedAt="yesterday", _id=ANN),
    _cursor(numberOfGenerations=0, updatedAt=5, _id=ANN),
    _cursor(numberOfGenerations=0, updatedAt={"$gt": ""}, _id=ANN),
    _cursor(numberOfGenerations=0, updatedAt="2026-01-01T00:00:00Z", _id="x"),
    _cursor(numberOfGenerations=0, updatedAt="2026-01-01T00:00:00Z", _id={"$ne": None}),
    _cursor(numberOfGenerations=1e400, updatedAt="2026-01-01T00:00:00Z", _id=ANN),
]


async def test_a_bad_cursor_does_not_count(stage: Any) -> None:
    async with stage() as s:
        await fill(s, 5)
        first = await s.names(s.ann, "groups")
        for cursor in BAD_CURSORS:
            assert await s.names(s.ann, "groups", cursor=cursor) == first, cursor


@BOTH
async def test_a_part_of_the_name_in_any_case(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        for name in ("Alpha one", "ALPHA two", "Beta (x)", "50% off", "Ärger"):
            await s.make(name=name)
        for where in ("all", "groups"):
            assert set(await s.names(s.ann, where, name="alpha")) == {"Alpha one", "ALPHA two"}
            assert await s.names(s.ann, where, name="(x") == ["Beta (x)"]
            assert await s.names(s.ann, where, name="ÄRG") == ["Ärger"]
            for text in (".*", "^A", "[", "x\0", "\\", "a" * 5000, "$where"):
                assert await s.names(s.ann, where, name=text) == [], text
            assert len(await s.names(s.ann, where, name="")) == 5
        answer = await s.ann.get("/api/prompts/all?name[$regex]=.*&name=beta&name=x")
        assert [row["name"] for row in answer.json()] == ["Beta (x)"]


async def test_categories_of_lists(stage: Any) -> None:
    async with stage() as s:
        await s.make(name="mine", category="code")
        await s.make(name="plain", category="")
        shared = await s.make(s.ben, name="shared", category="code")
        common = await s.make(s.ben, name="common", category="")
        await s.make(s.ben, name="secret", category="code")
        await s.share(shared["_id"], ANN, "viewer", s.ben)
        everybody = {"public": True, "publicAccessRoleId": "promptGroup_viewer"}
        await s.permissions(common["_id"], {"updated": [], "removed": [], **everybody}, s.ben)
        for where in ("all", "groups"):

            async def seen(category: str, where: str = where) -> set[str]:
                return set(await s.names(s.ann, where, category=category))

            assert await seen("") == {"mine", "plain", "shared", "common"}
            assert await seen("sys__my__prompts__sys") == {"mine", "plain"}
            assert await seen("sys__shared__prompts__sys") == {"shared", "common"}
            assert await seen("sys__no__category__sys") == {"plain", "common"}
            assert await seen("code") == {"mine", "shared"}
            assert await seen("nothing") == set()
        rows = {row["name"]: row for row in (await s.ann.get("/api/prompts/all")).json()}
        assert rows["common"]["isPublic"] is True
        assert [name for name, row in rows.items() if "isPublic" in row] == ["common"]


async def test_everybodys_rows_among_many(stage: Any) -> None:
    async with stage() as s:
        await fill(s, 320)
        common = await s.make(s.ben, name="common")
        everybody = {"public": True, "publicAccessRoleId": "promptGroup_viewer"}
        await s.permissions(common["_id"], {"updated": [], "removed": [], **everybody}, s.ben)
        rows = (await s.ann.get("/api/prompts/all")).json()
        assert len(rows) == 321
        assert [row["name"] for row in rows if "isPublic" in row] == ["common"]
        assert await s.names(s.ann, "groups", name="common") == ["common"]
        # Eve sees one of very many: a page still finds it.
        assert await s.names(s.eve, "groups") == ["common"]


async def test_old_documents(stage: Any) -> None:
    """Rows of other versions: missing members, null, fields that are gone."""
    async with stage() as s:
        (whole, *_) = await fill(s, 3, projectIds=[ObjectId()], isActive=True, command=None)
        groups = s.collection("promptgroups")
        await groups.update_one(
            {"_id": whole},
            {"$unset": {"numberOfGenerations": "", "updatedAt": "", "productionId": ""}},
        )
        for where in ("all", "groups"):
            answer = await s.ann.get(f"/api/prompts/{where}")
            assert answer.status_code == 200
        rows = {row["_id"]: row for row in (await s.ann.get("/api/prompts/all")).json()}
        assert rows[str(whole)]["productionPrompt"] is None
        assert rows[str(whole)]["numberOfGenerations"] == 0
        for row in rows.values():
            assert not {"projectIds", "isActive", "command"} & row.keys()
        one = await s.ann.get(f"{GROUPS}/{whole}")
        assert one.status_code == 200
        assert "productionPrompt" not in one.json()


async def test_pages_hold_groups_without_dates_and_uses(stage: Any) -> None:
    """They come last, and each is on one page."""
    async with stage() as s:
        ids = await fill(s, 12)
        groups = s.collection("promptgroups")
        for field, some in (("numberOfGenerations", ids[3:7]), ("updatedAt", ids[5:10])):
            await groups.update_many({"_id": {"$in": some}}, {"$unset": {field: ""}})
        every = await s.names(s.ann)
        assert every[-4:] == ["P3", "P4", "P5", "P6"]
        collected: list[str] = []
        cursor = None
        for _ in ids:
            query = {"limit": 1, **({"cursor": cursor} if cursor else {})}
            page = (await s.ann.get(GROUPS, params=query)).json()
            collected += [row["name"] for row in page["promptGroups"]]
            cursor = page["after"]
        assert cursor is None
        assert collected == every


async def test_a_page_is_read_by_the_ids_that_the_caller_reaches(stage: Any) -> None:
    """Or, where nothing is shared, by an index: never all groups."""
    place = Position(1.0, datetime(2026, 1, 1, tzinfo=UTC), ObjectId())
    async with stage() as s:
        ids = await fill(s, 30)
        for reached in ({"_id": {"$in": ids}}, {"author": ObjectId(ANN), "tenantId": None}):
            for selection in (Selection(), Selection("p1", MINE), Selection("", "code")):
                for after in (None, place):
                    wanted = {"$and": [reached, selection.filter(ObjectId(ANN), after)]}
                    found = s.collection("promptgroups").find(wanted).sort(SORT).limit(11)
                    plan = (await found.explain())["queryPlanner"]["winningPlan"]
                    assert plan["stage"] == ("IDHACK" if "_id" in reached else "IXSCAN"), plan


async def test_what_another_server_does_is_seen(stage: Any) -> None:
    """Two servers with one database: each sees the other's changes at once."""
    async with stage() as s:
        group = await s.make()
        async with stage(database=s.server.database) as t:
            assert await t.names(t.ann) == ["Greeter"]
            await s.make(name="Second")
            assert set(await t.names(t.ann)) == {"Greeter", "Second"}
            await t.ann.patch(f"{GROUPS}/{group['_id']}", json={"name": "Changed"})
            assert set(await s.names(s.ann, "groups")) == {"Changed", "Second"}
            await t.ann.post(f"{GROUPS}/{group['_id']}/use")
            assert await s.names(s.ann, "groups") == ["Changed", "Second"]
            await t.ann.delete(f"{GROUPS}/{group['_id']}")
            assert await s.names(s.ann, "groups") == ["Second"]
            assert await s.names(s.ann) == ["Second"]
