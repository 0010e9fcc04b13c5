"""Roles that old versions of LibreChat stored: permission types at the top level."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from locutory import JSON, Can, Plugin, Request, Route, hook
from locutory_roles.defaults import default_permissions
from locutory_roles.old_form import moved, today
from locutory_testing import Serve, Server, SignIn

OLD = {
    "name": "USER",
    "BOOKMARKS": {"USE": False},
    "PROMPTS": {"SHARED_GLOBAL": True, "USE": True, "CREATE": False},
    "AGENTS": {"SHARED_GLOBAL": False, "USE": True, "CREATE": False},
    "MULTI_CONVO": {"USE": False},
    "SCHEDULES": {"USE": False},
    "__v": 0,
}
ME = {"authorization": f"Bearer {'a' * 24}"}


class Maker(Plugin):
    """A route that needs AGENTS.CREATE."""

    name = "maker"
    summary = "Makes things"

    @hook
    def routes(self) -> list[Route]:
        async def make(_request: Request) -> JSON:
            return JSON({"made": True})

        return [
            Route(path="/api/make", endpoint=make, access=Can("AGENTS", "CREATE"), summary="Make")
        ]


async def shown(server: Server, role: str = "USER", bearer: str = "a" * 24) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {bearer}"}
    answer = await server.client.get(f"/api/roles/{role}", headers=headers)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def stored(server: Server, **wanted: Any) -> dict[str, Any]:
    found = await server.kernel.database.collection("roles").find_one(wanted)
    assert found is not None
    return found


@pytest.fixture
async def old(serve: Serve) -> Any:
    """Writes roles into a new database, and opens servers on it."""
    name = f"test_{uuid4().hex}"

    def opened() -> Any:
        return serve("roles", SignIn(), Maker(), database=name)

    async with serve(SignIn(), database=name) as server:
        roles = server.kernel.database.collection("roles")
        yield roles, opened
        await server.kernel.database.client.drop_database(name)


async def test_they_are_moved_and_refuse_what_they_refused(old: Any) -> None:
    roles, opened = old
    await roles.insert_many(
        [
            OLD,
            {"name": "STAFF", "AGENTS": {"USE": True, "CREATE": True}, "description": "Us"},
            {"name": "USER", "tenantId": "acme", "AGENTS": {"USE": False}, "permissions": None},
        ]
    )
    async with opened() as server:
        assert (await server.client.get("/api/make", headers=ME)).status_code == 403
        document = await stored(server, name="USER", tenantId=None)
        assert set(document) == {"_id", "name", "description", "permissions", "__v"}
        permissions = document["permissions"]
        assert permissions["AGENTS"] == {
            "USE": True, "CREATE": False, "SHARE": False, "SHARE_PUBLIC": False,
        }  # fmt: skip
        assert permissions["PROMPTS"] == {
            "USE": True, "CREATE": False, "SHARE": True, "SHARE_PUBLIC": False,
        }  # fmt: skip
        assert permissions["BOOKMARKS"] == permissions["MULTI_CONVO"] == {"USE": False}
        assert permissions["SCHEDULES"] == {"USE": False}
        assert set(default_permissions("USER", {})) <= set(permissions)
        body = await shown(server)
        assert set(body) == {"name", "description", "permissions"}
        # Of a role that is no system role nothing is added.
        staff = await stored(server, name="STAFF")
        assert staff["permissions"] == {"AGENTS": {"USE": True, "CREATE": True}}
        assert "AGENTS" not in staff
        theirs = await stored(server, name="USER", tenantId="acme")
        assert theirs["permissions"] == {"AGENTS": {"USE": False}}


async def test_a_second_start_changes_nothing(old: Any) -> None:
    roles, opened = old
    await roles.insert_one(dict(OLD))
    async with opened() as server:
        first = await stored(server, name="USER")
    async with opened() as server:
        assert await stored(server, name="USER") == first


async def test_what_one_form_refuses_is_refused(old: Any) -> None:
    """Also where a start of an older version of ours has filled ``permissions`` up."""
    roles, opened = old
    filled = default_permissions("USER", {})
    filled["BOOKMARKS"] = {"USE": False}
    await roles.insert_one({**OLD, "BOOKMARKS": {"USE": True}, "permissions": filled})
    async with opened() as server:
        permissions = (await stored(server, name="USER"))["permissions"]
        assert permissions["AGENTS"]["CREATE"] is False
        assert permissions["BOOKMARKS"]["USE"] is False
        assert permissions["MULTI_CONVO"]["USE"] is False


async def test_several_servers_start_at_once(old: Any) -> None:
    roles, opened = old
    await roles.insert_one(dict(OLD))

    async def start() -> dict[str, Any]:
        async with opened() as server:
            return await stored(server, name="USER")

    first, *others = await asyncio.gather(start(), start(), start())
    assert first["permissions"]["AGENTS"]["CREATE"] is False
    assert all(other == first for other in others)


async def test_one_that_comes_while_the_server_runs(old: Any) -> None:
    """It is read as it is meant, and written in today's form by the first change."""
    roles, opened = old
    async with opened() as server:
        await roles.insert_one({"name": "STAFF", "AGENTS": {"USE": True, "CREATE": False}})
        boss = "b" * 24 + ":ADMIN"
        body = await shown(server, "STAFF", boss)
        assert body["permissions"] == {"AGENTS": {"USE": False, "CREATE": False}}
        assert "AGENTS" not in body
        staff = {"authorization": f"Bearer {'c' * 24}:STAFF"}
        assert (await server.client.get("/api/make", headers=staff)).status_code == 403
        answer = await server.client.put(
            "/api/roles/STAFF/agents",
            json={"CREATE": True},
            headers={"authorization": f"Bearer {boss}"},
        )
        assert answer.status_code == 200
        assert answer.json()["permissions"] == {"AGENTS": {"USE": True, "CREATE": True}}
        assert "AGENTS" not in answer.json()
        assert (await server.client.get("/api/make", headers=staff)).status_code == 200
        assert set(await stored(server, name="STAFF")) == {"_id", "name", "permissions"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"AGENTS": {"USE": None, "CREATE": "yes"}}, {"AGENTS": {}}),
        ({"PROMPTS": {"SHARED_GLOBAL": True, "SHARE": False}}, {"PROMPTS": {"SHARE": False}}),
        ({"PROMPTS": {"SHARE": None, "SHARED_GLOBAL": True}}, {"PROMPTS": {"SHARE": True}}),
        ({"AGENTS": True, "agents": {"USE": True}}, {}),
        ({"AGENTS": {"USE": True}, "permissions": {"AGENTS": 1}}, {"AGENTS": {"USE": True}}),
    ],
)
def test_odd_ones(document: dict[str, Any], expected: dict[str, Any]) -> None:
    assert moved(document) == expected
    if expected:
        assert today(document)["permissions"] == expected
