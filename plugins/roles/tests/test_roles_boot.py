"""What a start writes (contract roles §3, §6; collections §4)."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Action, PermissionGroup, Plugin, StartupError, hook
from locutory_roles.defaults import default_permissions
from locutory_roles.grants import BASE_CAPABILITIES
from locutory_roles.overrides import read_overrides
from locutory_roles.seeding import repairs
from locutory_testing import Serve, Server

T, F = True, False

# Contract roles §3, written out: type → (permissions, ADMIN, USER).
TABLE: dict[str, tuple[tuple[str, ...], tuple[bool, ...], tuple[bool, ...]]] = {
    "PROMPTS": (("USE", "CREATE", "SHARE", "SHARE_PUBLIC"), (T, T, T, T), (T, T, F, F)),
    "BOOKMARKS": (("USE",), (T,), (T,)),
    "MEMORIES": (("USE", "CREATE", "UPDATE", "READ", "OPT_OUT"), (T,) * 5, (T,) * 5),
    "AGENTS": (("USE", "CREATE", "SHARE", "SHARE_PUBLIC"), (T, T, T, T), (T, T, F, F)),
    "MULTI_CONVO": (("USE",), (T,), (T,)),
    "TEMPORARY_CHAT": (("USE",), (T,), (T,)),
    "RUN_CODE": (("USE",), (T,), (T,)),
    "WEB_SEARCH": (("USE",), (T,), (T,)),
    "PEOPLE_PICKER": (("VIEW_USERS", "VIEW_GROUPS", "VIEW_ROLES"), (T, T, T), (F, F, F)),
    "MARKETPLACE": (("USE",), (T,), (F,)),
    "FILE_SEARCH": (("USE",), (T,), (T,)),
    "FILE_CITATIONS": (("USE",), (T,), (T,)),
    "MCP_SERVERS": (
        ("USE", "CREATE", "SHARE", "SHARE_PUBLIC", "CONFIGURE_OBO"),
        (T, T, T, T, T),
        (T, F, F, F, F),
    ),
    "REMOTE_AGENTS": (("USE", "CREATE", "SHARE", "SHARE_PUBLIC"), (T, T, T, T), (F, F, F, F)),
    "SKILLS": (("USE", "CREATE", "SHARE", "SHARE_PUBLIC"), (T, T, T, T), (T, T, F, F)),
    "SHARED_LINKS": (("CREATE", "SHARE", "SHARE_PUBLIC"), (T, T, T), (T, T, T)),
}
ADMIN = {kind: dict(zip(names, admin, strict=True)) for kind, (names, admin, _) in TABLE.items()}
USER = {kind: dict(zip(names, user, strict=True)) for kind, (names, _, user) in TABLE.items()}


class Notes(Plugin):
    """A third party's plugin with a permission group of its own."""

    name = "notes"
    summary = "Notes"

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [PermissionGroup("NOTES", {"USE": Action(True), "PIN": Action(False)}, "Notes")]


async def permissions(server: Server, role: str) -> dict[str, dict[str, bool]]:
    document = await server.kernel.database.collection("roles").find_one({"name": role})
    assert document is not None
    found: dict[str, dict[str, bool]] = document["permissions"]
    return found


async def test_an_empty_database_gets_both_roles_and_every_grant(serve: Serve) -> None:
    async with serve("roles") as server:
        database = server.kernel.database
        roles = [role async for role in database.collection("roles").find({})]
        assert {role["name"] for role in roles} == {"ADMIN", "USER"}
        for role in roles:
            assert set(role) == {"_id", "name", "description", "permissions", "__v"}
            assert role["description"] == ""
            assert role["__v"] == 0
        assert await permissions(server, "ADMIN") == ADMIN
        assert await permissions(server, "USER") == USER
        grants = [grant async for grant in database.collection("systemgrants").find({})]
        assert sorted(grant["capability"] for grant in grants) == sorted(BASE_CAPABILITIES)
        assert len(grants) == 24
        for grant in grants:
            assert grant["principalType"] == "role"
            assert grant["principalId"] == "ADMIN"
            assert "tenantId" not in grant
            assert {"grantedAt", "createdAt", "updatedAt"} <= set(grant)


async def test_groups_of_other_plugins_join_the_matrix(serve: Serve) -> None:
    async with serve("roles", Notes()) as server:
        assert await permissions(server, "ADMIN") == {**ADMIN, "NOTES": {"USE": True, "PIN": True}}
        assert await permissions(server, "USER") == {**USER, "NOTES": {"USE": True, "PIN": False}}


async def test_an_old_role_is_completed_and_keeps_what_it_has(serve: Serve) -> None:
    name = f"test_{uuid4().hex}"
    async with serve(database=name) as server:
        await server.kernel.database.collection("roles").insert_many(
            [
                {
                    "name": "USER",
                    "permissions": {
                        "PROMPTS": {"SHARED_GLOBAL": True, "USE": False},
                        "AGENTS": {"SHARED_GLOBAL": True, "SHARE": False, "USE": True},
                        "BOOKMARKS": {"USE": False},
                        "SKILLS": None,
                        "MULTI_CONVO": {"USE": None},
                    },
                },
                {"name": "GUEST", "permissions": {"PROMPTS": {"SHARED_GLOBAL": True}}},
            ]
        )
        custom = await server.kernel.database.collection("roles").find_one({"name": "GUEST"})
    try:
        async with serve("roles", yaml={"interface": {"bookmarks": True}}, database=name) as server:
            user = await permissions(server, "USER")
            assert user["PROMPTS"] == {
                "USE": False,
                "CREATE": True,
                "SHARE": True,
                "SHARE_PUBLIC": False,
            }
            assert user["AGENTS"] == {
                "USE": True,
                "CREATE": True,
                "SHARE": False,
                "SHARE_PUBLIC": False,
            }
            assert user["SKILLS"] == USER["SKILLS"]
            assert user["MULTI_CONVO"] == {"USE": True}
            assert user["BOOKMARKS"] == {"USE": True}
            assert set(user) == set(USER)
            roles = server.kernel.database.collection("roles")
            assert (await roles.find_one({"name": "USER"}) or {})["description"] == ""
            assert await roles.find_one({"name": "GUEST"}) == custom
    finally:
        async with serve(database=name) as server:
            await server.kernel.database.client.drop_database(name)


async def test_starting_again_changes_nothing(serve: Serve) -> None:
    name = f"test_{uuid4().hex}"
    yaml = {"interface": {"prompts": {"share": True}, "peoplePicker": {"users": True}}}
    snapshots: list[Any] = []
    for _ in range(2):
        async with serve("roles", yaml=yaml, database=name) as server:
            database = server.kernel.database
            snapshots.append(
                [
                    [item async for item in database.collection(part).find({}).sort("_id", 1)]
                    for part in ("roles", "systemgrants")
                ]
            )
    async with serve(database=name) as server:
        await server.kernel.database.client.drop_database(name)
    assert snapshots[0] == snapshots[1]


async def test_servers_that_start_together_agree(serve: Serve) -> None:
    name = f"test_{uuid4().hex}"
    yaml = {"interface": {"prompts": {"use": True, "share": True}}}

    async def start() -> None:
        async with serve("roles", yaml=yaml, database=name):
            pass

    await asyncio.gather(*(start() for _ in range(4)))
    async with serve(database=name) as server:
        database = server.kernel.database
        roles = [role async for role in database.collection("roles").find({})]
        assert sorted(role["name"] for role in roles) == ["ADMIN", "USER"]
        assert await database.collection("systemgrants").count_documents({}) == 24
        user = await permissions(server, "USER")
        assert user["PROMPTS"] == {
            "USE": True,
            "CREATE": True,
            "SHARE": True,
            "SHARE_PUBLIC": False,
        }
        await database.client.drop_database(name)


async def test_a_revoked_grant_of_admin_comes_back_and_others_stay(serve: Serve) -> None:
    name = f"test_{uuid4().hex}"
    async with serve("roles", database=name) as server:
        grants = server.kernel.database.collection("systemgrants")
        await grants.delete_one({"capability": "manage:users"})
        await grants.insert_one(
            {"principalType": "role", "principalId": "AUDITOR", "capability": "read:audit_log"}
        )
        kept = await grants.find_one({"capability": "access:admin"})
    async with serve("roles", database=name) as server:
        grants = server.kernel.database.collection("systemgrants")
        assert await grants.count_documents({"capability": "manage:users"}) == 1
        assert await grants.count_documents({"principalId": "AUDITOR"}) == 1
        assert await grants.find_one({"capability": "access:admin"}) == kept
        await server.kernel.database.client.drop_database(name)


async def test_the_file_wins_at_every_start_over_the_client(serve: Serve) -> None:
    name = f"test_{uuid4().hex}"
    yaml = {"interface": {"bookmarks": False, "prompts": True}}
    async with serve("roles", yaml=yaml, database=name) as server:
        assert (await permissions(server, "USER"))["BOOKMARKS"] == {"USE": False}
        assert (await permissions(server, "ADMIN"))["BOOKMARKS"] == {"USE": False}
        await server.kernel.database.collection("roles").update_one(
            {"name": "USER"},
            {
                "$set": {
                    "permissions.BOOKMARKS.USE": True,
                    "permissions.PROMPTS.USE": False,
                    "permissions.PROMPTS.SHARE": True,
                    "permissions.MCP_SERVERS.CREATE": True,
                    "permissions.RUN_CODE.USE": False,
                }
            },
        )
    async with serve("roles", yaml=yaml, database=name) as server:
        user = await permissions(server, "USER")
        assert user["BOOKMARKS"] == {"USE": False}
        assert user["PROMPTS"]["USE"] is True
        assert user["PROMPTS"]["SHARE"] is True, "a boolean sets USE only"
        assert user["MCP_SERVERS"]["CREATE"] is True, "not named: what is stored stays"
        assert user["RUN_CODE"] == {"USE": False}, "not named: what is stored stays"
        await server.kernel.database.client.drop_database(name)


async def test_memories_go_off_and_on_again(serve: Serve) -> None:
    name = f"test_{uuid4().hex}"
    everything = dict.fromkeys(USER["MEMORIES"], True)
    async with serve("roles", yaml={"memory": {"disabled": True}}, database=name) as server:
        assert (await permissions(server, "USER"))["MEMORIES"] == dict.fromkeys(everything, False)
        assert (await permissions(server, "ADMIN"))["MEMORIES"] == dict.fromkeys(everything, False)
    async with serve("roles", database=name) as server:
        assert (await permissions(server, "USER"))["MEMORIES"] == dict.fromkeys(everything, False)
    async with serve("roles", yaml={"memory": {"tokenLimit": 9}}, database=name) as server:
        assert (await permissions(server, "USER"))["MEMORIES"] == everything
        await server.kernel.database.collection("roles").update_one(
            {"name": "USER"}, {"$set": {"permissions.MEMORIES.CREATE": False}}
        )
    async with serve("roles", yaml={"memory": {"personalize": False}}, database=name) as server:
        assert (await permissions(server, "USER"))["MEMORIES"] == {
            **everything,
            "CREATE": False,
            "OPT_OUT": False,
        }
        await server.kernel.database.client.drop_database(name)


@pytest.mark.parametrize(
    ("interface", "kind", "user", "admin"),
    [
        ({"multiConvo": False}, "MULTI_CONVO", {"USE": F}, {"USE": F}),
        ({"temporaryChat": False}, "TEMPORARY_CHAT", {"USE": F}, {"USE": F}),
        ({"runCode": False}, "RUN_CODE", {"USE": F}, {"USE": F}),
        ({"webSearch": False}, "WEB_SEARCH", {"USE": F}, {"USE": F}),
        ({"fileSearch": False}, "FILE_SEARCH", {"USE": F}, {"USE": F}),
        ({"fileCitations": False}, "FILE_CITATIONS", {"USE": F}, {"USE": F}),
        ({"memories": False}, "MEMORIES", {"USE": F}, {"USE": F}),
        ({"skills": False}, "SKILLS", {"USE": F}, {"USE": F}),
        ({"agents": {"create": False}}, "AGENTS", {"USE": T, "CREATE": F}, {"USE": T, "CREATE": F}),
        (
            {"agents": {"use": False, "public": True}},
            "AGENTS",
            {"USE": F, "SHARE": F, "SHARE_PUBLIC": T},
            {"USE": F, "SHARE": T, "SHARE_PUBLIC": T},
        ),
        (
            {"mcpServers": {"create": True, "configureObo": True, "placeholder": "x"}},
            "MCP_SERVERS",
            {"USE": T, "CREATE": T, "CONFIGURE_OBO": T},
            {"USE": T, "CREATE": T, "CONFIGURE_OBO": T},
        ),
        ({"remoteAgents": {"use": True}}, "REMOTE_AGENTS", {"USE": T}, {"USE": T}),
        ({"remoteAgents": {}}, "REMOTE_AGENTS", {"USE": F}, {"USE": T}),
        ({"marketplace": {"use": True}}, "MARKETPLACE", {"USE": T}, {"USE": T}),
        (
            {"peoplePicker": {"users": True, "roles": False}},
            "PEOPLE_PICKER",
            {"VIEW_USERS": T, "VIEW_GROUPS": F, "VIEW_ROLES": F},
            {"VIEW_USERS": T, "VIEW_GROUPS": T, "VIEW_ROLES": F},
        ),
        (
            {"sharedLinks": False},
            "SHARED_LINKS",
            {"CREATE": F, "SHARE": F, "SHARE_PUBLIC": F},
            {"CREATE": F, "SHARE": F, "SHARE_PUBLIC": F},
        ),
        (
            {"sharedLinks": {"share": False, "snapshotFiles": True}},
            "SHARED_LINKS",
            {"SHARE": F, "SHARE_PUBLIC": T},
            {"SHARE": F, "SHARE_PUBLIC": T},
        ),
        ({"sharedLinks": {"snapshotFiles": True}}, "SHARED_LINKS", {}, {}),
    ],
)
def test_keys_of_the_file(
    interface: dict[str, Any], kind: str, user: dict[str, bool], admin: dict[str, bool]
) -> None:
    overrides = read_overrides(interface, None)
    assert overrides.changes(default_permissions("USER", {}), USER) == {kind: user}
    assert overrides.changes(default_permissions("ADMIN", {}), ADMIN) == {kind: admin}


def test_null_and_foreign_keys_name_nothing() -> None:
    interface = {"bookmarks": None, "prompts": None, "endpointsMenu": True, "customWelcome": "Hi"}
    assert read_overrides(interface, None).changes(USER, USER) == {}
    assert read_overrides(None, None).changes(USER, USER) == {}


def test_a_complete_role_needs_no_repair() -> None:
    document = {"_id": ObjectId(), "name": "USER", "description": "", "permissions": USER}
    assert repairs(document, USER) == {}
    assert repairs({**document, "permissions": None}, USER) == {"$set": {"permissions": USER}}


@pytest.mark.parametrize(
    ("yaml", "path"),
    [
        ({"interface": {"bookmarks": "yes"}}, "interface.bookmarks"),
        ({"interface": {"prompts": "no"}}, "interface.prompts"),
        ({"interface": {"agents": {"use": 1}}}, "interface.agents.use"),
        ({"interface": {"peoplePicker": {"users": "all"}}}, "interface.peoplePicker.users"),
        ({"interface": []}, "interface"),
        ({"memory": {"disabled": "true"}}, "memory.disabled"),
    ],
)
async def test_a_wrong_file_does_not_start(serve: Serve, yaml: dict[str, Any], path: str) -> None:
    with pytest.raises(StartupError) as caught:
        async with serve("roles", yaml=yaml):
            pass
    assert f"{path} [roles]" in str(caught.value)
