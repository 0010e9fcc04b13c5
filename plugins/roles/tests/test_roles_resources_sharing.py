"""``PUT /api/permissions/:type/:id`` (contract roles §4.7)."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from locutory_contracts.access import OWNER, VIEW

ADMIN = "b" * 24
SHARING = {
    name: {"SHARE": True, "SHARE_PUBLIC": True}
    for name in (
        "AGENTS",
        "PROMPTS",
        "MCP_SERVERS",
        "REMOTE_AGENTS",
        "SKILLS",
        "SHARED_LINKS",
        "REPORTS",
    )
}
OWNER_FIXED = {
    "error": "Bad Request",
    "message": "Shared link owner permissions cannot be changed",
}


def given(kind: str, identity: Any, level: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "id": identity, "accessRoleId": level, **more}


def rights(entries: list[dict[str, Any]]) -> dict[Any, int]:
    """principal → bits; one entry each."""
    found = {entry.get("principalId", "everybody"): entry["permBits"] for entry in entries}
    assert len(found) == len(entries)
    return found


@pytest.mark.parametrize(
    "kind", ["agent", "promptGroup", "mcpServer", "remoteAgent", "skill", "report"]
)
async def test_granting_and_revoking(stage: Any, kind: str) -> None:
    async with stage() as s:
        await s.role("SHARER", SHARING)
        owner, viewer, leaver = [await s.person(f"{n} X") for n in ("Olga", "Vic", "Leo")]
        group = await s.group("Readers")
        resource = await s.owned(kind, owner)
        view = "report_reader" if kind == "report" else f"{kind}_viewer"
        own = "report_boss" if kind == "report" else f"{kind}_owner"
        await s.entry(("user", ObjectId(leaver)), kind, resource, VIEW)
        await s.entry(("role", "OLD"), kind, resource, VIEW)
        sent = [
            given("user", viewer, view, name="Vic", email="v@example.com", avatar=None, extra=1),
            given("group", str(group), own, memberCount=3, source="local", memberIds=["x"]),
            given("role", "USER", view, description="all", idOnTheSource="USER"),
        ]
        body = {
            "updated": sent,
            "removed": [{"type": "user", "id": leaver}, {"type": "role", "id": "OLD"}],
            "public": True,
            "publicAccessRoleId": view,
        }
        answer = await s.put(f"{kind}/{resource}", owner, body, "SHARER")
        assert answer.status_code == 200
        assert answer.json() == {
            "message": "Permissions updated successfully",
            "results": {
                "principals": [
                    {
                        "type": "user",
                        "id": viewer,
                        "name": "Vic",
                        "email": "v@example.com",
                        "avatar": None,
                        "accessRoleId": view,
                    },
                    {
                        "type": "group",
                        "id": str(group),
                        "source": "local",
                        "accessRoleId": own,
                        "memberCount": 3,
                    },
                    {
                        "type": "role",
                        "id": "USER",
                        "description": "all",
                        "idOnTheSource": "USER",
                        "accessRoleId": view,
                    },
                    {"type": "public", "id": None, "accessRoleId": view},
                ],
                "public": True,
                "publicAccessRoleId": view,
            },
        }
        entries = await s.entries(kind, resource)
        assert rights(entries) == {
            ObjectId(owner): OWNER,
            ObjectId(viewer): VIEW,
            group: OWNER,
            "USER": VIEW,
            "everybody": VIEW,
        }
        models = {entry["principalType"]: entry.get("principalModel") for entry in entries}
        assert models == {"user": "User", "group": "Group", "role": "Role", "public": None}
        roles = {
            role["_id"]: role["accessRoleId"]
            async for role in s.collection("accessroles").find({"resourceType": kind})
        }
        for entry in entries:
            assert roles[entry["roleId"]] == (own if entry["permBits"] == OWNER else view)
            assert entry["grantedBy"] == ObjectId(owner)
            assert "tenantId" not in entry
            assert {"grantedAt", "createdAt", "updatedAt", "__v"} <= entry.keys()
            assert ("principalId" in entry) is (entry["principalType"] != "public")
            assert ("principalModel" in entry) is (entry["principalType"] != "public")
        fact = s.revoked[-1]
        assert (fact.kind, fact.resource_id, list(fact.users)) == (kind, resource, [leaver])
        listed = (await s.get(f"{kind}/{resource}", owner)).json()
        assert listed["public"] is True
        assert {grant["id"] for grant in listed["principals"]} == {
            *(owner, viewer, str(group), "USER")
        }


async def test_a_grant_replaces_what_was_there(stage: Any) -> None:
    async with stage() as s:
        owner, other = await s.person("Olga"), await s.person("Otto")
        resource = await s.owned("agent", owner)
        await s.access.grant_owner(other, "agent", resource)
        # Two entries of one principal, as two requests at once can leave them.
        await s.entry(("user", ObjectId(other)), "agent", resource, OWNER)
        body = {"updated": [given("user", other.upper(), "agent_viewer")]}
        answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
        assert answer.json()["results"]["principals"][0]["id"] == other
        found = [
            e for e in await s.entries("agent", resource) if e["principalId"] != ObjectId(owner)
        ]
        assert [entry["permBits"] for entry in found] == [VIEW, VIEW], "a downgrade leaves nothing"
        assert {entry["grantedBy"] for entry in found} == {ObjectId(ADMIN)}
        assert s.revoked == [], "nobody lost access altogether"


async def test_a_principal_in_both_lists_keeps_access(stage: Any) -> None:
    """Trap 9: the client may send both for the owner."""
    async with stage() as s:
        await s.role("SHARER", SHARING)
        owner = await s.person("Olga")
        resource = await s.owned("agent", owner)
        body = {
            "updated": [given("user", owner, "agent_owner"), given("role", "USER", "agent_viewer")],
            "removed": [{"type": "user", "id": owner.upper()}, {"type": "role", "id": "USER"}],
        }
        assert (await s.put(f"agent/{resource}", owner, body, "SHARER")).status_code == 200
        entries = await s.entries("agent", resource)
        assert rights(entries) == {ObjectId(owner): OWNER, "USER": VIEW}
        assert s.revoked == []


async def test_everybody_is_shut_out_whatever_else_is_said(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("agent", ADMIN)
        public = {"type": "public", "id": None, "accessRoleId": "agent_viewer"}
        for body in (
            {"updated": [public], "public": False},
            {"updated": [public], "public": False, "publicAccessRoleId": "agent_viewer"},
            {"updated": [public], "removed": [{"type": "public"}]},
            {"public": True, "publicAccessRoleId": "agent_viewer", "removed": [{"type": "public"}]},
        ):
            await s.access.grant_public("agent", resource, "agent_viewer")
            answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
            assert answer.status_code == 200
            assert answer.json()["results"]["principals"] == []
            assert rights(await s.entries("agent", resource)) == {ObjectId(ADMIN): OWNER}, body


async def test_what_public_means(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("agent", ADMIN)
        everybody = {"type": "public", "id": None, "accessRoleId": "agent_editor"}
        for body, bits, results in (
            ({}, None, {"principals": []}),
            ({"public": True}, None, {"principals": [], "public": True}),
            (
                {"public": True, "publicAccessRoleId": "nonsense"},
                None,
                {"principals": [], "public": True, "publicAccessRoleId": "nonsense"},
            ),
            ({"publicAccessRoleId": "agent_viewer"}, None, {"principals": []}),
            (
                {"public": True, "publicAccessRoleId": "agent_viewer"},
                1,
                {
                    "principals": [{"type": "public", "id": None, "accessRoleId": "agent_viewer"}],
                    "public": True,
                    "publicAccessRoleId": "agent_viewer",
                },
            ),
            ({}, 1, {"principals": []}),
            ({"updated": [everybody]}, 3, {"principals": [everybody]}),
            (
                {"public": False, "publicAccessRoleId": "agent_viewer"},
                None,
                {"principals": [], "public": False},
            ),
        ):
            answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
            assert answer.json()["results"] == results
            assert rights(await s.entries("agent", resource)).get("everybody") == bits, body


ROLES: list[Any] = [
    ({}, {}, "You do not have permission to share agent resources"),
    ({"SHARE_PUBLIC": True}, {}, "You do not have permission to share agent resources"),
    ({"SHARE": True}, {}, ""),
    ({"SHARE": True}, {"public": False}, ""),
    ({"SHARE": True}, {"removed": [{"type": "public"}]}, ""),
    (
        {"SHARE": True},
        {"public": True},
        "You do not have permission to share agent resources publicly",
    ),
    (
        {"SHARE": True},
        {"updated": [{"type": "public", "accessRoleId": "agent_viewer"}]},
        "You do not have permission to share agent resources publicly",
    ),
    ({"SHARE": True, "SHARE_PUBLIC": True}, {"public": True}, ""),
]


async def test_what_a_role_may_share(stage: Any) -> None:
    async with stage() as s:
        owner = await s.person("Olga")
        resource = await s.owned("agent", owner)
        for name, (permissions, body, refusal) in zip("ABCDEFGH", ROLES, strict=True):
            await s.role(name, {"AGENTS": permissions})
            answer = await s.put(f"agent/{resource}", owner, body, name)
            if refusal:
                assert answer.status_code == 403, (permissions, body)
                assert answer.json() == {"error": "Forbidden", "message": refusal}
            else:
                assert answer.status_code == 200, (permissions, body)


async def test_a_capability_does_not_open_public_sharing(stage: Any) -> None:
    yaml = {"interface": {"agents": {"use": True, "share": False, "public": False}}}
    async with stage(yaml=yaml) as s:
        resource = await s.thing("agent")
        assert (await s.put(f"agent/{resource}", ADMIN, {}, "ADMIN")).status_code == 200
        answer = await s.put(f"agent/{resource}", ADMIN, {"public": True}, "ADMIN")
        assert answer.status_code == 403
        assert answer.json()["message"].endswith("agent resources publicly")


async def test_unknown_principals_and_roles_are_passed_over(stage: Any) -> None:
    async with stage() as s:
        known = await s.person("Karl")
        foreign = await s.person("Fay", tenantId="north")
        foreign_group = await s.group("North", tenantId="north")
        resource = await s.owned("agent", ADMIN)
        sent: list[Any] = [
            given("user", "f" * 24, "agent_viewer"),
            given("user", foreign, "agent_viewer"),
            given("group", "f" * 24, "agent_viewer"),
            given("group", str(foreign_group), "agent_viewer"),
            given("role", "NOPE", "agent_viewer"),
            given("role", "", "agent_viewer"),
            given("role", " ", "agent_viewer"),
            given("user", known, "nonsense"),
            given("user", known, "skill_viewer"),
            given("user", known, ""),
            {"type": "user", "id": known},
            given("planet", known, "agent_viewer"),
            given("group", known, "agent_viewer"),
            {"accessRoleId": "agent_viewer"},
            None,
            "user",
            7,
            [given("user", known, "agent_viewer")],
            {},
        ]
        answer = await s.put(f"agent/{resource}", ADMIN, {"updated": sent}, "ADMIN")
        assert answer.status_code == 200
        assert answer.json()["results"] == {"principals": []}
        answer = await s.put(f"agent/{resource}", ADMIN, {"removed": sent}, "ADMIN")
        assert answer.status_code == 200
        assert rights(await s.entries("agent", resource)) == {ObjectId(ADMIN): OWNER}


NOTHING_BUT_IDS_REACHES_THE_DATABASE: list[Any] = [
    {"$gt": ""},
    {"$ne": None},
    ["a"],
    {"$regex": ".*"},
    7,
    True,
    None,
    "x",
    "f" * 23,
    "g" * 24,
]


async def test_nothing_but_ids_reaches_the_database(stage: Any) -> None:
    async with stage() as s:
        for value in NOTHING_BUT_IDS_REACHES_THE_DATABASE:
            owner, other = await s.person("Olga"), await s.person("Otto")
            await s.group("Readers")
            resource = await s.owned("agent", owner)
            await s.access.grant_owner(other, "agent", resource)
            for field, base in (
                ("id", given("user", other, "agent_viewer")),
                ("id", given("group", other, "agent_viewer")),
                ("type", given("user", other, "agent_viewer")),
                ("accessRoleId", given("user", other, "agent_viewer")),
            ):
                one = {**base, field: value}
                for body in (
                    {"updated": [one]},
                    {"removed": [one]} if field != "accessRoleId" else {},
                ):
                    answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
                    assert answer.status_code == 200, body
            odd = given("role", value, "agent_viewer")
            answer = await s.put(f"agent/{resource}", ADMIN, {"updated": [odd]}, "ADMIN")
            assert answer.status_code == 200
            assert rights(await s.entries("agent", resource)) == {
                ObjectId(owner): OWNER,
                ObjectId(other): OWNER,
            }


WRONG_BODIES: list[Any] = [
    {"updated": {}},
    {"updated": "x"},
    {"removed": {"$gt": ""}},
    {"public": "yes"},
    {"public": 1},
    {"public": {}},
    {"publicAccessRoleId": 7},
    {"publicAccessRoleId": ["agent_viewer"]},
    {"updated": [{}] * 1001},
    {"removed": [{}] * 1001},
    [],
    [{"updated": []}],
]


async def test_bodies_of_the_wrong_shape(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("agent", ADMIN)
        for body in WRONG_BODIES:
            answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
            assert answer.status_code == 400, str(body)[:100]
            assert answer.json()["error"] == "Failed to update permissions"
            assert len(answer.json()["details"]) < 300
            refused = await s.put(f"agent/{resource}", "c" * 24, body)
            assert refused.status_code == 403, "who may not share learns nothing about the body"


async def test_null_and_absent_members_change_nothing(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("agent", ADMIN)
        for body in (
            None,
            {},
            {"updated": None, "removed": None, "public": None, "publicAccessRoleId": None},
        ):
            answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
            assert answer.status_code == 200
            assert answer.json()["results"] == {"principals": []}


async def test_the_last_owner_may_go(stage: Any) -> None:
    async with stage() as s:
        await s.role("SHARER", SHARING)
        owner = await s.person("Olga")
        resource = await s.owned("agent", owner)
        body = {"removed": [{"type": "user", "id": owner}]}
        answer = await s.put(f"agent/{resource}", owner, body, "SHARER")
        assert answer.status_code == 200
        assert await s.entries("agent", resource) == []
        assert list(s.revoked[-1].users) == [owner]
        answer = await s.put(f"agent/{resource}", owner, body, "SHARER")
        assert answer.status_code == 403


async def test_only_users_who_had_access_lose_it(stage: Any) -> None:
    async with stage() as s:
        resource = await s.owned("agent", ADMIN)
        group = await s.group("Readers")
        await s.entry(("group", group), "agent", resource, VIEW)
        removed = [
            {"type": "user", "id": "f" * 24},
            {"type": "group", "id": str(group)},
            {"type": "role", "id": "USER"},
        ]
        answer = await s.put(f"agent/{resource}", ADMIN, {"removed": removed}, "ADMIN")
        assert answer.status_code == 200
        assert s.revoked == []
        assert rights(await s.entries("agent", resource)) == {ObjectId(ADMIN): OWNER}


async def test_the_owner_of_a_shared_link_stays(stage: Any) -> None:
    async with stage() as s:
        owner, other = await s.person("Olga"), await s.person("Otto")
        link = await s.owned("sharedLink", owner)
        view, own = "sharedLink_viewer", "sharedLink_owner"
        for body in (
            {"updated": [given("user", other, own)]},
            {"updated": [given("role", "USER", own)]},
            {"updated": [given("user", "f" * 24, own)]},
            {"updated": [given("public", None, own)]},
            {"updated": [given("user", owner, view)]},
            {"updated": [given("user", owner.upper(), view)]},
            {"removed": [{"type": "user", "id": owner}]},
            {"removed": [{"type": "user", "id": owner.upper()}]},
            {"public": True, "publicAccessRoleId": own},
            {"publicAccessRoleId": own},
        ):
            for who, role in ((owner, "USER"), (ADMIN, "ADMIN")):
                answer = await s.put(f"sharedLink/{link}", who, body, role)
                assert (answer.status_code, answer.json()) == (400, OWNER_FIXED), body
        assert rights(await s.entries("sharedLink", link)) == {ObjectId(owner): OWNER}
        body = {
            "updated": [given("user", other, view)],
            "public": True,
            "publicAccessRoleId": view,
        }
        assert (await s.put(f"sharedLink/{link}", owner, body)).status_code == 200
        assert rights(await s.entries("sharedLink", link)) == {
            ObjectId(owner): OWNER,
            ObjectId(other): VIEW,
            "everybody": VIEW,
        }
        body = {"removed": [{"type": "user", "id": other}], "public": False}
        assert (await s.put(f"sharedLink/{link}", owner, body)).status_code == 200
        assert rights(await s.entries("sharedLink", link)) == {ObjectId(owner): OWNER}


async def test_people_of_an_outside_directory(stage: Any) -> None:
    """Without a plugin that asks one: who is known here is found, nobody is created or changed."""
    async with stage() as s:
        await s.role(
            "PICKER", {**SHARING, "PEOPLE_PICKER": {"VIEW_USERS": True, "VIEW_GROUPS": True}}
        )
        await s.role("SHARER", SHARING)
        owner = await s.person("Olga")
        by_source = await s.person("Anna", idOnTheSource="entra-1")
        by_email = await s.person("Bert")
        group = await s.group("Staff", source="entra", idOnTheSource="entra-g")
        resource = await s.owned("agent", owner)
        base = {"source": "entra", "id": None, "accessRoleId": "agent_viewer"}
        sent = [
            {**base, "type": "user", "idOnTheSource": "entra-1", "email": "other@example.com"},
            {**base, "type": "user", "idOnTheSource": "entra-2", "email": "BERT@example.com"},
            {**base, "type": "user", "idOnTheSource": "entra-3", "email": "new@example.com"},
            {**base, "type": "user", "idOnTheSource": {"$ne": ""}, "email": {"$ne": ""}},
            {**base, "type": "user"},
            {**base, "type": "group", "idOnTheSource": "entra-g"},
            {**base, "type": "group", "idOnTheSource": "entra-new", "name": "New"},
            {**base, "type": "group", "idOnTheSource": ["entra-g"]},
        ]
        people = await s.collection("test_people").find({}).to_list()
        answer = await s.put(f"agent/{resource}", owner, {"updated": sent}, "SHARER")
        assert answer.json()["results"]["principals"] == [], "the role may not search for people"
        answer = await s.put(f"agent/{resource}", owner, {"updated": sent}, "PICKER")
        granted = answer.json()["results"]["principals"]
        assert [grant["id"] for grant in granted] == [by_source, by_email, str(group)]
        assert rights(await s.entries("agent", resource)) == {
            ObjectId(owner): OWNER,
            ObjectId(by_source): VIEW,
            ObjectId(by_email): VIEW,
            group: VIEW,
        }
        assert await s.collection("test_people").find({}).to_list() == people
        assert await s.collection("groups").count_documents({}) == 1


async def test_without_people_nobody_can_be_granted_anything(stage: Any) -> None:
    async with stage(people=False) as s:
        resource = await s.owned("agent", ADMIN)
        body = {
            "updated": [
                given("user", ADMIN, "agent_viewer"),
                given("user", None, "agent_viewer", source="entra", email="a@example.com"),
                given("role", "USER", "agent_viewer"),
            ]
        }
        answer = await s.put(f"agent/{resource}", ADMIN, body, "ADMIN")
        assert [grant["id"] for grant in answer.json()["results"]["principals"]] == ["USER"]


async def test_requests_at_once_end_in_one_of_their_states(stage: Any) -> None:
    async with stage() as s:
        other = await s.person("Otto")
        resource = await s.owned("agent", ADMIN)
        bodies = [
            {"updated": [given("user", other, f"agent_{level}")]}
            for level in ("viewer", "editor", "owner") * 3
        ]
        answers = await asyncio.gather(
            *(s.put(f"agent/{resource}", ADMIN, body, "ADMIN") for body in bodies)
        )
        assert {answer.status_code for answer in answers} == {200}
        last = {"updated": [given("user", other, "agent_viewer")]}
        await s.put(f"agent/{resource}", ADMIN, last, "ADMIN")
        effective = await s.get(f"agent/{resource}/effective", other)
        assert effective.json() == {"permissionBits": VIEW}
        gone = {"removed": [{"type": "user", "id": other}]}
        await s.put(f"agent/{resource}", ADMIN, gone, "ADMIN")
        effective = await s.get(f"agent/{resource}/effective", other)
        assert effective.json() == {"permissionBits": 0}
