"""``GET /api/permissions/search-principals`` (contract roles §4.4)."""

import re
from typing import Any

import pytest

from locutory_roles.resources.principal_search import _rank

ME = "a" * 24
EVERYTHING = {"PEOPLE_PICKER": {"VIEW_USERS": True, "VIEW_GROUPS": True, "VIEW_ROLES": True}}
PATH = "search-principals"


async def search(s: Any, query: str, role: str = "PICKER") -> Any:
    return await s.get(f"{PATH}?{query}", ME, role)


async def test_the_recorded_search(stage: Any) -> None:
    """Golden search-principals."""
    yaml = {"interface": {"peoplePicker": {"users": True, "groups": True, "roles": True}}}
    async with stage(yaml=yaml) as s:
        other = await s.person("Other User")
        await s.person("Somebody Else")
        answer = await search(s, "q=other&limit=10", "USER")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.json() == {
            "query": "other",
            "limit": 10,
            "types": None,
            "results": [
                {
                    "id": other,
                    "type": "user",
                    "name": "Other User",
                    "email": "other@example.com",
                    "username": "other",
                    "avatar": None,
                    "provider": "local",
                    "source": "local",
                    "idOnTheSource": other,
                }
            ],
            "count": 1,
            "sources": {"local": 1, "entra": 0},
        }


async def test_groups_and_roles(stage: Any) -> None:
    async with stage() as s:
        await s.role("PICKER", EVERYTHING)
        await s.role("READERS", {})
        local = await s.group("Readers", "x", "y", email="r@example.com", avatar="/r.png")
        entra = await s.group("Staff", source="entra", idOnTheSource="e1", description="reads")
        person = await s.person("", email="reader@x.org", idOnTheSource="source-1")
        answer = await search(s, "q=%20READ%20")
        assert answer.json() == {
            "query": "READ",
            "limit": 20,
            "types": None,
            "results": [
                {
                    "id": person,
                    "type": "user",
                    "name": "reader@x.org",
                    "email": "reader@x.org",
                    "username": "",
                    "avatar": None,
                    "provider": "local",
                    "source": "local",
                    "idOnTheSource": "source-1",
                },
                {
                    "id": str(local),
                    "type": "group",
                    "name": "Readers",
                    "email": "r@example.com",
                    "avatar": "/r.png",
                    "memberCount": 2,
                    "source": "local",
                    "idOnTheSource": str(local),
                },
                {
                    "id": "READERS",
                    "type": "role",
                    "name": "READERS",
                    "source": "local",
                    "idOnTheSource": "READERS",
                },
                {
                    "id": str(entra),
                    "type": "group",
                    "name": "Staff",
                    "description": "reads",
                    "memberCount": 0,
                    "source": "entra",
                    "idOnTheSource": "e1",
                },
            ],
            "count": 4,
            "sources": {"local": 3, "entra": 1},
        }
        for secret in ("hash", "totp", "password", "memberIds"):
            assert secret not in answer.text


KINDS_OF_PRINCIPALS: list[Any] = [
    ("types=user", {"user"}, ["user"]),
    ("types=group,role", {"group", "role"}, ["group", "role"]),
    ("types=group&types=role", {"group", "role"}, ["group", "role"]),
    ("types=user,planet,user", {"user"}, ["user"]),
    ("type=role", {"role"}, ["role"]),
    ("types=planet", {"user", "group", "role"}, None),
    ("types=", {"user", "group", "role"}, None),
    ("types[$ne]=user", {"user", "group", "role"}, None),
]


async def test_kinds_of_principals(stage: Any) -> None:
    async with stage() as s:
        await s.role("PICKER", EVERYTHING)
        await s.role("SAME", {})
        await s.group("Same")
        await s.person("Same")
        for query, found, types in KINDS_OF_PRINCIPALS:
            body = (await search(s, f"q=same&{query}")).json()
            assert {item["type"] for item in body["results"]} == found
            assert body["types"] == types


@pytest.mark.parametrize("right", ["VIEW_USERS", "VIEW_GROUPS", "VIEW_ROLES"])
async def test_only_permitted_kinds(stage: Any, right: str) -> None:
    """Trap 11: without types, only what the caller may see."""
    kinds = {"VIEW_USERS": "user", "VIEW_GROUPS": "group", "VIEW_ROLES": "role"}
    async with stage() as s:
        await s.role("PICKER", {"PEOPLE_PICKER": {right: True}})
        await s.role("SAME", {})
        await s.group("Same")
        await s.person("Same")
        body = (await search(s, "q=same")).json()
        assert [item["type"] for item in body["results"]] == [kinds[right]]
        for kind in kinds.values():
            for query in (f"types={kind}", f"type={kind}", f"types={kinds[right]},{kind}"):
                answer = await search(s, f"q=same&{query}")
                if kind == kinds[right]:
                    assert answer.status_code == 200
                    continue
                assert answer.status_code == 403
                assert answer.json() == {
                    "error": "Forbidden",
                    "message": f"Insufficient permissions to search for {kind}s",
                }


async def test_the_gate(stage: Any) -> None:
    async with stage() as s:
        await s.role("ODD", {"PEOPLE_PICKER": {"VIEW_USERS": "true", "VIEW_GROUPS": 1}})
        await s.role("EMPTY", {})
        message = "Insufficient permissions to search for users, groups, or roles"
        for role, text in (
            ("USER", message),
            ("ODD", message),
            ("EMPTY", "No permissions configured for user role"),
            ("GHOST", "No permissions configured for user role"),
        ):
            for query in ("q=same", "q=s", ""):
                answer = await search(s, query, role)
                assert answer.status_code == 403, "the gate comes before the query"
                assert answer.json() == {"error": "Forbidden", "message": text}
        assert (await s.server.client.get(f"/api/permissions/{PATH}?q=same")).status_code == 401
        assert (await search(s, "q=same", "ADMIN")).status_code == 200


QUERIES_THAT_ARE_REFUSED: list[Any] = [
    ("", 'Query parameter "q" is required and must not be empty'),
    ("q=", 'Query parameter "q" is required and must not be empty'),
    ("q=%20%20", 'Query parameter "q" is required and must not be empty'),
    ("q[$ne]=x", 'Query parameter "q" is required and must not be empty'),
    ("q=ab&q=cd", 'Query parameter "q" is required and must not be empty'),
    ("q=o", "Query must be at least 2 characters long"),
    ("q=%20o%20", "Query must be at least 2 characters long"),
    ("q=" + "a" * 201, "Query must not exceed 200 characters"),
]


async def test_queries_that_are_refused(stage: Any) -> None:
    async with stage() as s:
        for query, error in QUERIES_THAT_ARE_REFUSED:
            answer = await search(s, query, "ADMIN")
            assert (answer.status_code, answer.json()) == (400, {"error": error})


LIMITS: list[Any] = [
    ("", 20),
    ("&limit=", 10),
    ("&limit=x", 10),
    ("&limit=0", 10),
    ("&limit=-3", 1),
    ("&limit=3", 3),
    ("&limit=7px", 7),
    ("&limit=1e3", 1),
    ("&limit=51", 50),
    ("&limit=99999999999999999999", 50),
    ("&limit=%D9%A3", 10),
    ("&limit=2&limit=9", 2),
]


async def test_limits(stage: Any) -> None:
    async with stage() as s:
        for number in range(60):
            await s.collection("test_people").insert_one({"name": f"Same {number}"})
        for limit, used in LIMITS:
            answer = await search(s, f"q=same&types=user{limit}", "ADMIN")
            assert answer.status_code == 200
            assert answer.json()["limit"] == used
            assert answer.json()["count"] == len(answer.json()["results"]) == used


THE_TEXT_IS_NO_PATTERN: list[Any] = [
    ".*",
    "^a",
    "a|b",
    "(a+)+$",
    "[a-z]",
    "\\\\",
    "\\w\\w",
    "$ne",
    "a\0b",
    "a\nb",
    "x" * 200,
    "𝒳𝒳",
    "((((((",
]


async def test_the_text_is_no_pattern(stage: Any) -> None:
    async with stage() as s:
        await s.person("abc def")
        await s.group("abc def", description="abc")
        for text in THE_TEXT_IS_NO_PATTERN:
            answer = await s.server.client.get(
                f"/api/permissions/{PATH}",
                params={"q": text},
                headers={"Authorization": f"Bearer {ME}:ADMIN"},
            )
            assert answer.status_code == 200
            assert answer.json()["results"] == []


NAMES_WITH_SPECIAL_CHARACTERS_ARE_FOUND: list[Any] = [
    "a.b*c",
    "O'Neil (ops)",
    "x+y=[z]",
    "Müßig",
    "日本語",
    "50% \\o/",
]


async def test_names_with_special_characters_are_found(stage: Any) -> None:
    async with stage() as s:
        for name in NAMES_WITH_SPECIAL_CHARACTERS_ARE_FOUND:
            await s.collection("test_people").insert_one({"name": name})
            await s.group(name)
            answer = await s.server.client.get(
                f"/api/permissions/{PATH}",
                params={"q": name},
                headers={"Authorization": f"Bearer {ME}:ADMIN"},
            )
            assert [item["name"] for item in answer.json()["results"]] == [name, name]


async def test_the_best_matches_come_first(stage: Any) -> None:
    async with stage() as s:
        names = {
            "Bob Annson": "contains, user",
            "Annette": "prefix, user",
            "anna": "prefix, user",
            "Ann": "equal, user",
        }
        for name in names:
            await s.collection("test_people").insert_one({"name": name})
        for name in ("Ann", "Annals", "Planners"):
            await s.group(name)
        body = (await search(s, "q=ann", "ADMIN")).json()
        assert [(item["type"], item["name"]) for item in body["results"]] == [
            ("user", "Ann"),
            ("group", "Ann"),
            ("user", "anna"),
            ("user", "Annette"),
            ("group", "Annals"),
            ("user", "Bob Annson"),
            ("group", "Planners"),
        ]


def test_ranking_looks_at_every_field() -> None:
    def score(kind: str, **fields: Any) -> int:
        return -_rank({"type": kind, **fields}, "ann")[0]

    assert score("user", name="Zoe", username="ann") == 100
    assert score("user", name="Zoe", description="ann") == 10
    assert score("group", name="Zoe", description="ann") == 100
    assert score("group", name="Zoe", username="ann") == 10
    assert score("user", name=None, email="annex@x.org") == 80
    assert score("role", name="PLANNER") == 50
    assert score("user") == 0


async def test_people_of_other_tenants_are_not_found(stage: Any) -> None:
    async with stage() as s:
        await s.person("Same North", tenantId="north")
        await s.group("Same North", tenantId="north")
        await s.role("SAME_NORTH", {}, tenantId="north")
        assert (await search(s, "q=same", "ADMIN")).json()["results"] == []


async def test_system_roles_are_found(stage: Any) -> None:
    async with stage() as s:
        for text, names in (("us", ["USER"]), ("ADM", ["ADMIN"]), ("er", ["USER"])):
            body = (await search(s, f"q={text}&types=role", "ADMIN")).json()
            assert [item["id"] for item in body["results"]] == names


async def test_without_people_groups_and_roles_are_left(stage: Any) -> None:
    async with stage(people=False) as s:
        await s.group("Users of things")
        body = (await search(s, "q=user", "ADMIN")).json()
        assert [item["type"] for item in body["results"]] == ["role", "group"]


async def test_every_pattern_sent_is_escaped(stage: Any) -> None:
    """A search over many documents takes no time, whatever is typed."""
    async with stage() as s:
        await s.collection("groups").insert_many(
            [{"name": "a" * 40, "description": "a" * 400, "memberIds": []} for _ in range(200)]
        )
        text = "(a+)+$" * 30
        answer = await s.server.client.get(
            f"/api/permissions/{PATH}",
            params={"q": text},
            headers={"Authorization": f"Bearer {ME}:ADMIN"},
        )
        assert answer.json()["results"] == []
        assert answer.elapsed.total_seconds() < 2
        assert re.escape(text) != text
