"""Reading ``/api/permissions`` (contract roles §4.5, §4.6, §4.8)."""

from typing import Any

import pytest
from bson import ObjectId

from locutory_testing import Serve, SignIn

KINDS = ("agent", "promptGroup", "mcpServer", "remoteAgent", "skill", "sharedLink")
ME = "a" * 24
ADMIN = "b" * 24
UNKNOWN = "f" * 24
MALFORMED = ("x", "f" * 23, "f" * 25, "g" * 24, "agent_3v9Dj5yUOJOVvh5_kyRyF", "$ne", "%00", "%F0")


def refused(kind: str) -> dict[str, str]:
    return {
        "error": "Forbidden",
        "message": f"Insufficient permissions to access this {kind}",
    }


def missing(kind: str) -> tuple[int, dict[str, str]]:
    if kind in ("mcpServer", "skill"):
        return 404, {"error": "Not Found", "message": f"{kind} not found"}
    return 403, refused(kind)


@pytest.mark.parametrize("things", [False, True], ids=["alone", "with plugins"])
async def test_access_roles_of_every_type(stage: Any, things: bool) -> None:
    async with stage(things=things) as s:
        answer = await s.get("agent/roles", ME)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        levels = ("viewer", "editor", "owner")
        if not things:
            assert answer.json() == [
                {
                    "accessRoleId": f"agent_{level}",
                    "name": f"com_ui_role_{level}",
                    "description": f"com_ui_role_{level}_desc",
                    "permBits": bits,
                }
                for level, bits in zip(levels, (1, 3, 15), strict=True)
            ]
        for kind in KINDS:
            answer = await s.get(f"{kind}/roles", ME)
            expected = [f"{kind}_{level}" for level in levels]
            if kind == "sharedLink":
                expected.remove("sharedLink_editor")
            assert [role["accessRoleId"] for role in answer.json()] == expected


UNKNOWN_TYPES: list[Any] = [
    ("roles", "Failed to get roles"),
    ("effective/all", "Failed to get all effective permissions"),
    (f"{UNKNOWN}/effective", "Failed to get effective permissions"),
]


async def test_unknown_types(stage: Any) -> None:
    async with stage() as s:
        for path, error in UNKNOWN_TYPES:
            for kind in ("planet", "Agent", "$where", "agent%2Fx", "a" * 3000):
                answer = await s.get(f"{kind}/{path}", ME)
                assert answer.status_code == 400
                body = answer.json()
                assert body["error"] == error
                assert body["details"].startswith("Invalid resourceType: ")
                assert len(body["details"]) < 300
            for method in ("GET", "PUT"):
                answer = await s.call(method, f"planet/{UNKNOWN}", ADMIN, "ADMIN")
                assert answer.status_code == 400
                assert answer.json() == {
                    "error": "Bad Request",
                    "message": "Unsupported resource type: planet",
                }


@pytest.mark.parametrize("things", [False, True], ids=["alone", "with plugins"])
@pytest.mark.parametrize("kind", KINDS)
async def test_effective_rights(stage: Any, kind: str, things: bool) -> None:
    async with stage(things=things) as s:
        assert (await s.get(f"{kind}/effective/all", ME)).json() == {}
        for identity in (UNKNOWN, *MALFORMED[:-1]):
            answer = await s.get(f"{kind}/{identity}/effective", ME)
            assert (answer.status_code, answer.json()) == (200, {"permissionBits": 0}), identity
        mine, shared = await s.owned(kind, ME), await s.owned(kind, ADMIN)
        await s.entry(("public", None), kind, shared, 1)
        await s.entry(("role", "EDITOR"), kind, shared, 2)
        every = await s.get(f"{kind}/effective/all", ME)
        assert every.json() == {mine: 15, shared: 1}
        assert (await s.get(f"{kind}/effective/all", ME, "EDITOR")).json() == {mine: 15, shared: 3}
        assert (await s.get(f"{kind}/{mine}/effective", ME)).json() == {"permissionBits": 15}
        upper = await s.get(f"{kind}/{mine.upper()}/effective", ME)
        assert upper.json() == {"permissionBits": 15}
        assert (await s.get(f"{kind}/{mine}/effective", UNKNOWN)).json() == {"permissionBits": 0}
        admin = await s.get(f"{kind}/{mine}/effective", "c" * 24, "ADMIN")
        assert admin.json() == {"permissionBits": 0}, "capabilities are not mixed in"


async def test_paths_that_are_not_utf8_are_refused(stage: Any) -> None:
    async with stage() as s:
        assert (await s.get("agent/%F0/effective", ME)).status_code == 400
        assert (await s.get("agent/%F0", ADMIN, "ADMIN")).status_code == 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_who_may_look_at_the_list(stage: Any, kind: str, method: str) -> None:
    """The matrix of security §9 of the security rules: owner, viewer, editor, other, admin, unknown."""
    async with stage() as s:
        await s.role("SHARER", {})
        resource = await s.owned(kind, ME)
        viewer, editor, sharer, other = ("1" * 24, "2" * 24, "3" * 24, "4" * 24)
        for user, bits in ((viewer, 1), (editor, 3), (sharer, 8)):
            await s.entry(("user", ObjectId(user)), kind, resource, bits)
        body: dict[str, Any] = {"updated": [], "removed": []}
        for user in (viewer, editor, other):
            answer = await s.call(method, f"{kind}/{resource}", user, json=body)
            assert (answer.status_code, answer.json()) == (403, refused(kind)), user
        for identity in (UNKNOWN, *MALFORMED[:-1]):
            answer = await s.call(method, f"{kind}/{identity}", other, json=body)
            assert (answer.status_code, answer.json()) == missing(kind), identity
        for user in (ME, sharer):
            answer = await s.call(method, f"{kind}/{resource}", user, json=body)
            expected = 200 if method == "GET" or kind == "sharedLink" else 403
            assert answer.status_code == expected, (user, answer.text)
            if expected == 403:
                assert answer.json() == {
                    "error": "Forbidden",
                    "message": f"You do not have permission to share {kind} resources",
                }
        answer = await s.call(method, f"{kind}/{resource}", other, "ADMIN", body)
        assert answer.status_code == 200
        answer = await s.call(method, f"{kind}/{UNKNOWN}", other, "ADMIN", body)
        assert answer.status_code == 200, "a capability skips the look whether it exists"
        answer = await s.server.client.request(
            method, f"/api/permissions/{kind}/{resource}", json=body
        )
        assert answer.status_code == 401


@pytest.mark.parametrize("kind", ["agent", "promptGroup", "remoteAgent", "sharedLink"])
async def test_foreign_resources_look_like_unknown_ones(stage: Any, kind: str) -> None:
    async with stage() as s:
        foreign = await s.owned(kind, ADMIN)
        for path in ("{}", "{}/effective"):
            real = await s.get(f"{kind}/{path.format(foreign)}", ME)
            unknown = await s.get(f"{kind}/{path.format(UNKNOWN)}", ME)
            assert (real.status_code, real.json()) == (unknown.status_code, unknown.json())


async def test_entries_of_a_deleted_resource_open_nothing(stage: Any) -> None:
    async with stage() as s:
        for kind in KINDS:
            await s.access.grant_owner(ME, kind, UNKNOWN)
            answer = await s.get(f"{kind}/{UNKNOWN}", ME)
            assert (answer.status_code, answer.json()) == missing(kind)


async def test_without_plugins_for_resources(stage: Any) -> None:
    async with stage(things=False) as s:
        for kind in KINDS:
            await s.access.grant_owner(ME, kind, UNKNOWN)
            answer = await s.get(f"{kind}/{UNKNOWN}", ME)
            if kind in ("mcpServer", "skill"):
                assert (answer.status_code, answer.json()) == missing(kind)
            else:
                assert answer.status_code == 200, "only the entries tell"
            answer = await s.get(f"{kind}/{UNKNOWN}", "c" * 24)
            assert (answer.status_code, answer.json()) == missing(kind)


A_CAPABILITY_OPENS_NOTHING_THAT_CANNOT_EXIST = MALFORMED[:-1]


async def test_a_capability_opens_nothing_that_cannot_exist(stage: Any) -> None:
    async with stage() as s:
        for identity in A_CAPABILITY_OPENS_NOTHING_THAT_CANNOT_EXIST:
            answer = await s.get(f"agent/{identity}", ADMIN, "ADMIN")
            assert answer.status_code == 404
            assert answer.json() == {"error": "Not Found", "message": "agent not found"}
            answer = await s.put(f"agent/{identity}", ADMIN, {}, "ADMIN")
            assert answer.status_code == 400
            assert answer.json()["error"] == "Failed to update permissions"


async def test_the_list_of_who_was_given_a_resource(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga Owner", avatar="/a.png")
        viewer = await s.person("", username="vic", email="v@x.org", idOnTheSource="source-1")
        gone = "9" * 24
        group = await s.group("Readers", owner, email="r@example.com", description="They read")
        entra = await s.group("Staff", source="entra", idOnTheSource="entra-1", avatar="/s.png")
        resource = await s.owned("agent", owner)
        roles = {
            role["accessRoleId"]: role["_id"]
            async for role in s.collection("accessroles").find({"resourceType": "agent"})
        }
        for party, level in (
            (("user", ObjectId(viewer)), "viewer"),
            (("user", ObjectId(gone)), "viewer"),
            (("group", group), "editor"),
            (("group", entra), "viewer"),
            (("group", ObjectId()), "viewer"),
            (("role", "USER"), "viewer"),
            (("public", None), "viewer"),
        ):
            bits = {"viewer": 1, "editor": 3}[level]
            await s.entry(party, "agent", resource, bits, roleId=roles[f"agent_{level}"])
        await s.entry(("role", "OLD"), "agent", resource, 1, roleId=ObjectId())
        answer = await s.get(f"agent/{resource}", owner)
        assert answer.status_code == 200
        assert answer.json() == {
            "resourceType": "agent",
            "resourceId": resource,
            "principals": [
                {
                    "type": "user",
                    "id": owner,
                    "name": "Olga Owner",
                    "email": "olga@example.com",
                    "avatar": "/a.png",
                    "source": "local",
                    "idOnTheSource": owner,
                    "accessRoleId": "agent_owner",
                },
                {
                    "type": "user",
                    "id": viewer,
                    "name": "vic",
                    "email": "v@x.org",
                    "avatar": None,
                    "source": "local",
                    "idOnTheSource": "source-1",
                    "accessRoleId": "agent_viewer",
                },
                {
                    "type": "group",
                    "id": str(group),
                    "name": "Readers",
                    "email": "r@example.com",
                    "description": "They read",
                    "source": "local",
                    "idOnTheSource": str(group),
                    "accessRoleId": "agent_editor",
                },
                {
                    "type": "group",
                    "id": str(entra),
                    "name": "Staff",
                    "avatar": "/s.png",
                    "source": "entra",
                    "idOnTheSource": "entra-1",
                    "accessRoleId": "agent_viewer",
                },
                {
                    "type": "role",
                    "id": "USER",
                    "name": "USER",
                    "description": "System role: USER",
                    "accessRoleId": "agent_viewer",
                },
                {
                    "type": "role",
                    "id": "OLD",
                    "name": "OLD",
                    "description": "System role: OLD",
                },
            ],
            "public": True,
            "publicAccessRoleId": "agent_viewer",
        }
        for secret in ("hash", "totp", "memberIds"):
            assert secret not in answer.text


async def test_odd_entries_spoil_no_list(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga Owner")
        resource = await s.owned("agent", owner)
        for party in (("user", owner), ("group", 7), ("role", ObjectId()), ("alien", "x")):
            await s.entry(party, "agent", resource, 1, roleId="nonsense")
        await s.entry(("public", None), "agent", resource, 1, roleId=None)
        await s.entry(("user", ObjectId(owner)), "agent", resource, 15)
        answer = await s.get(f"agent/{resource}", owner)
        assert answer.status_code == 200
        assert [grant["id"] for grant in answer.json()["principals"]] == [owner]
        assert answer.json()["public"] is True
        assert "publicAccessRoleId" not in answer.json()


async def test_a_list_without_people(stage: Any) -> None:
    """Nobody signs people in any more: the list shows what is known without."""
    async with stage(people=False) as s:
        resource = await s.owned("agent", ME)
        await s.entry(("role", "USER"), "agent", resource, 1)
        answer = await s.get(f"agent/{resource}", ME)
        assert [grant["id"] for grant in answer.json()["principals"]] == ["USER"]


async def test_owners_of_an_agent_own_it_as_remote_agent(stage: Any) -> None:
    async with stage() as s:
        first, second, viewer = [await s.person(f"{n} X") for n in ("First", "Second", "Viewer")]
        resource = await s.owned("agent", first)
        await s.access.grant_owner(second, "agent", resource)
        await s.access.grant_owner("9" * 24, "agent", resource)
        await s.entry(("user", ObjectId(viewer)), "agent", resource, 3)
        answer = await s.get(f"remoteAgent/{resource}", ADMIN, "ADMIN")
        principals = answer.json()["principals"]
        assert [grant["id"] for grant in principals] == [second, first]
        assert all(grant["isImplicit"] is True for grant in principals)
        assert {grant["accessRoleId"] for grant in principals} == {"remoteAgent_owner"}
        written = await s.entries("remoteAgent", resource)
        assert {str(entry["principalId"]) for entry in written} == {first, second}
        assert {entry["permBits"] for entry in written} == {15}
        assert all(entry["grantedBy"] == entry["principalId"] for entry in written)
        again = (await s.get(f"remoteAgent/{resource}", ADMIN, "ADMIN")).json()["principals"]
        assert sorted(grant["id"] for grant in again) == sorted([first, second])
        assert not any("isImplicit" in grant for grant in again)
        assert len(await s.entries("remoteAgent", resource)) == 2


async def test_lists_of_a_tenant(stage: Any) -> None:
    async with stage() as s:
        local, foreign = await s.person("Local"), await s.person("Foreign", tenantId="north")
        group = await s.group("Foreign", tenantId="north")
        resource = await s.thing("agent")
        for party in (
            ("user", ObjectId(local)),
            ("user", ObjectId(foreign)),
            ("group", group),
        ):
            await s.entry(party, "agent", resource, 1)
        await s.entry(("public", None), "agent", resource, 1, tenantId="north")
        body = (await s.get(f"agent/{resource}", ADMIN, "ADMIN")).json()
        assert [grant["id"] for grant in body["principals"]] == [local]
        assert body["public"] is False


async def test_a_type_of_another_plugin(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("report", ME)
        assert (await s.get("report/effective/all", ME)).json() == {resource: 15}
        assert (await s.get(f"report/{resource}", ME)).status_code == 200
        answer = await s.get(f"report/{UNKNOWN}", ME)
        assert (answer.status_code, answer.json()["message"]) == (404, "report not found")
        roles = (await s.get("report/roles", ME)).json()
        assert [role["accessRoleId"] for role in roles] == ["report_reader", "report_boss"]


async def test_paths_of_types_win_over_resources(serve: Serve) -> None:
    """Trap 8."""
    async with serve("roles", SignIn()) as server:
        match = server.kernel.routes.match
        for path, shown in (
            ("search-principals", "search-principals"),
            ("agent/roles", "{resource_type}/roles"),
            ("agent/effective/all", "{resource_type}/effective/all"),
            (f"agent/{ME}", "{resource_type}/{resource_id}"),
            (f"agent/{ME}/effective", "{resource_type}/{resource_id}/effective"),
        ):
            found = match("GET", f"/api/permissions/{path}")
            assert found is not None
            assert found.route.path == f"/api/permissions/{shown}"
