"""``/api/roles`` (contract roles §2)."""

from pathlib import Path
from typing import Any

import pytest

from locutory import Action, PermissionGroup, Plugin, Provide, hook
from locutory_contracts.offers import AGENT_CAPABILITIES, AgentCapability
from locutory_roles.defaults import default_permissions
from locutory_roles.routes import KINDS
from locutory_testing import PluginSuite, Serve, Server, SignIn

SOMEONE = "a" * 24
ADMIN = {"Authorization": f"Bearer {'b' * 24}:ADMIN"}
USER = {"Authorization": f"Bearer {SOMEONE}"}
GUEST = {"Authorization": f"Bearer {SOMEONE}:GUEST"}
UNAUTHORIZED = {"message": "Unauthorized"}


class Everything(Plugin):
    """Declares LibreChat's permissions, as the plugins do that serve them."""

    name = "everything"
    summary = "Declares permissions; for tests only"

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [
            PermissionGroup(
                kind, {name: Action(user, summary=name) for name, user in actions.items()}, kind
            )
            for kind, actions in default_permissions("USER", {}).items()
            if kind != "PEOPLE_PICKER"  # of `roles` itself
        ]


class Search(Plugin):
    """A third party's plugin that searches the web."""

    name = "websearch"
    summary = "Searches; for tests only"
    provides = (AGENT_CAPABILITIES,)

    @hook
    def services(self) -> list[Provide]:
        found = AgentCapability("Web search"), AgentCapability("Not now", lambda: False)
        names = ("web_search", "execute_code")
        return [
            Provide(AGENT_CAPABILITIES, offer, name)
            for name, offer in zip(names, found, strict=True)
        ]


class TestRolesPlugin(PluginSuite):
    plugin = "roles"
    readme = Path(__file__).parent.parent / "README.md"


async def add_role(server: Server, name: str, permissions: dict[str, Any]) -> None:
    await server.kernel.database.collection("roles").insert_one(
        {"name": name, "permissions": permissions}
    )


async def test_the_role_user_is_read_by_everyone(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        for headers in (USER, ADMIN, GUEST):
            answer = await server.client.get("/api/roles/USER", headers=headers)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert answer.json() == {
                "name": "USER",
                "description": "",
                "permissions": default_permissions("USER", {}),
            }


async def test_what_a_capability_stands_for_is_on(serve: Serve) -> None:
    """And types that nobody knows, such as a newer LibreChat's, are kept and not offered."""
    async with serve("roles", Search(), SignIn()) as server:
        roles = server.kernel.database.collection("roles")
        newer = {"permissions.SCHEDULES": {"USE": True}}
        await roles.update_one({"name": "USER"}, {"$set": newer})
        permissions = (await server.client.get("/api/roles/USER", headers=USER)).json()[
            "permissions"
        ]
        assert permissions["WEB_SEARCH"] == {"USE": True}
        assert permissions["RUN_CODE"] == permissions["SCHEDULES"] == {"USE": False}
        change = {"USE": False}
        url = "/api/roles/USER/people-picker"
        assert (await server.client.put(url, json=change, headers=ADMIN)).status_code == 200
        stored = await roles.find_one({"name": "USER"})
        assert stored is not None
        assert stored["permissions"]["SCHEDULES"] == {"USE": True}


async def test_what_is_switched_off_is_allowed_to_nobody(serve: Serve) -> None:
    """Its plugin is off, so the client should not offer it; nothing stored is lost."""
    async with serve("roles", SignIn()) as server:
        for headers, name in ((USER, "USER"), (ADMIN, "ADMIN")):
            answer = await server.client.get(f"/api/roles/{name}", headers=headers)
            permissions = answer.json()["permissions"]
            standard = default_permissions(name, {})
            assert {kind: set(actions) for kind, actions in permissions.items()} == {
                kind: set(actions) for kind, actions in standard.items()
            }
            assert permissions["PEOPLE_PICKER"] == standard["PEOPLE_PICKER"]
            for kind in set(standard) - {"PEOPLE_PICKER"}:
                assert not any(permissions[kind].values()), kind
            roles = server.kernel.database.collection("roles")
            stored = await roles.find_one({"name": name})
            assert stored is not None
            assert stored["permissions"] == standard


async def test_the_role_admin_is_read_by_admins_only(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        answer = await server.client.get("/api/roles/ADMIN", headers=ADMIN)
        assert answer.status_code == 200
        assert answer.json()["permissions"] == default_permissions("ADMIN", {})
        answer = await server.client.get("/api/roles/ADMIN", headers=USER)
        assert (answer.status_code, answer.json()) == (403, UNAUTHORIZED)


async def test_own_and_foreign_roles(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        await add_role(server, "GUEST", {"PROMPTS": {"USE": True}})
        await add_role(server, "STAFF", {})
        answer = await server.client.get("/api/roles/GUEST", headers=GUEST)
        assert answer.status_code == 200
        assert answer.json() == {"name": "GUEST", "permissions": {"PROMPTS": {"USE": True}}}
        for name in ("STAFF", "NOPE", "user", "USER%20", "$where"):
            answer = await server.client.get(f"/api/roles/{name}", headers=GUEST)
            assert (answer.status_code, answer.json()) == (403, UNAUTHORIZED), name
        answer = await server.client.get("/api/roles/STAFF", headers=ADMIN)
        assert answer.status_code == 200
        answer = await server.client.get("/api/roles/NOPE", headers=ADMIN)
        assert (answer.status_code, answer.json()) == (404, {"message": "Role not found"})


async def test_an_own_role_that_is_gone(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        answer = await server.client.get("/api/roles/GUEST", headers=GUEST)
        assert (answer.status_code, answer.json()) == (404, {"message": "Role not found"})


async def test_a_deleted_system_role_is_made_again(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        await server.kernel.database.collection("roles").delete_many({})
        answer = await server.client.get("/api/roles/USER", headers=USER)
        assert answer.status_code == 200
        assert answer.json()["permissions"] == default_permissions("USER", {})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.segment)
async def test_every_kind_is_changed_by_admins(serve: Serve, kind: Any) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        path = f"/api/roles/USER/{kind.segment}"
        before = default_permissions("USER", {})
        last = kind.permissions[-1]
        body = {last: not before[kind.group][last], "UNKNOWN": 1}
        answer = await server.client.put(path, json=body, headers=ADMIN)
        assert answer.status_code == 200
        role = answer.json()
        assert role["permissions"] == {
            **before,
            kind.group: {**before[kind.group], last: body[last]},
        }
        assert "__v" not in role
        assert len(role["_id"]) == 24
        read = await server.client.get("/api/roles/USER", headers=USER)
        assert read.json()["permissions"] == role["permissions"], "seen at once"

        wrong = await server.client.put(path, json={last: "true"}, headers=ADMIN)
        assert wrong.status_code == 400
        assert wrong.json() == {
            "message": kind.refusal,
            "error": [
                {
                    "code": "invalid_type",
                    "expected": "boolean",
                    "received": "string",
                    "path": [last],
                    "message": "Expected boolean, received string",
                }
            ],
        }
        foreign = await server.client.put(path, json=body, headers=USER)
        assert (foreign.status_code, foreign.json()) == (403, {"message": "Forbidden"})
        unknown = await server.client.put(
            f"/api/roles/NOPE/{kind.segment}", json=body, headers=ADMIN
        )
        assert (unknown.status_code, unknown.json()) == (404, {"message": "Role not found"})


@pytest.mark.parametrize(
    ("value", "received"),
    [(1, "number"), (None, "null"), ([True], "array"), ({"$gt": ""}, "object"), ("", "string")],
)
async def test_only_booleans_are_permissions(serve: Serve, value: Any, received: str) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        answer = await server.client.put(
            "/api/roles/USER/prompts", json={"SHARE": value, "USE": False}, headers=ADMIN
        )
        assert answer.status_code == 400
        assert answer.json()["error"][0]["received"] == received
        read = await server.client.get("/api/roles/USER", headers=USER)
        assert read.json()["permissions"]["PROMPTS"]["USE"] is True, "nothing was saved"


async def test_the_order_of_refusals(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        path = "/api/roles/NOPE/prompts"
        assert (await server.client.put(path, json={"USE": 1})).status_code == 401
        answer = await server.client.put(path, json={"USE": 1}, headers=USER)
        assert answer.status_code == 403
        answer = await server.client.put(path, json={"USE": 1}, headers=ADMIN)
        assert answer.status_code == 400
        answer = await server.client.put(path, json=[True], headers=ADMIN)
        assert answer.status_code == 400
        assert answer.json()["error"][0]["expected"] == "object"
        answer = await server.client.put(path, json={"USE": True}, headers=ADMIN)
        assert answer.status_code == 404


async def test_an_empty_change_and_a_bare_role(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        await add_role(server, "GUEST", {})
        await server.kernel.database.collection("roles").update_one(
            {"name": "GUEST"}, {"$set": {"permissions": None}}
        )
        answer = await server.client.put("/api/roles/GUEST/skills", headers=ADMIN)
        assert answer.status_code == 200
        for body, stored in (
            ({"USE": True}, {"USE": True}),
            ({"CREATE": False}, {"USE": True, "CREATE": False}),
        ):
            answer = await server.client.put("/api/roles/GUEST/skills", json=body, headers=ADMIN)
            assert answer.status_code == 200
            assert answer.json()["permissions"] == {"SKILLS": stored}


async def test_a_change_never_widens_to_other_fields(serve: Serve) -> None:
    async with serve("roles", Everything(), SignIn()) as server:
        body = {"name": "X", "permissions": {}, "tenantId": "t", "MARKETPLACE": {}, "USE": False}
        answer = await server.client.put("/api/roles/USER/marketplace", json=body, headers=ADMIN)
        assert answer.status_code == 200
        assert answer.json()["name"] == "USER"
        assert "tenantId" not in answer.json()
