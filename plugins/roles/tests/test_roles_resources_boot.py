"""What is seeded for access to resources (contract roles §4.2, collections §4)."""

import asyncio
from typing import Any

import pytest

from locutory_testing import Serve

LEVELS = {"viewer": 1, "editor": 3, "owner": 15}
WORDS = {
    "agent": "com_ui_role",
    "promptGroup": "com_ui_role",
    "mcpServer": "com_ui_mcp_server_role",
    "remoteAgent": "com_ui_remote_agent_role",
    "skill": "com_ui_role",
    "sharedLink": "com_ui_role",
}
SEEDED = {
    f"{kind}_{level}": (kind, bits, f"{words}_{level}", f"{words}_{level}_desc")
    for kind, words in WORDS.items()
    for level, bits in LEVELS.items()
    if (kind, level) != ("sharedLink", "editor")
}


async def stored(server: Any) -> dict[str, tuple[Any, ...]]:
    found = server.kernel.database.collection("accessroles").find({})
    return {
        role["accessRoleId"]: (
            role["resourceType"],
            role["permBits"],
            role["name"],
            role["description"],
        )
        async for role in found
    }


async def test_access_roles_of_all_types_are_seeded(serve: Serve) -> None:
    async with serve("roles") as server:
        assert await stored(server) == SEEDED
        assert len(SEEDED) == 17
        role = await server.kernel.database.collection("accessroles").find_one({})
        assert role is not None
        assert set(role) == {
            *("_id", "accessRoleId", "name", "description", "resourceType", "permBits"),
            *("createdAt", "updatedAt", "__v"),
        }


async def test_what_is_stored_is_never_changed(serve: Serve) -> None:
    async with serve("roles") as server:
        roles = server.kernel.database.collection("accessroles")
        await roles.update_one({"accessRoleId": "agent_viewer"}, {"$set": {"permBits": 3}})
        await roles.delete_one({"accessRoleId": "agent_editor"})
        await roles.insert_one(
            {"accessRoleId": "agent_viewer", "tenantId": "north", "permBits": 1, "name": "x"}
        )
        async with serve("roles", database=server.database):
            assert await roles.count_documents({}) == 18
            kept = await roles.find_one({"accessRoleId": "agent_viewer", "tenantId": None})
            assert kept is not None
            assert kept["permBits"] == 3
            assert await roles.count_documents({"accessRoleId": "agent_editor"}) == 1


async def test_servers_may_start_together(serve: Serve) -> None:
    async with serve("roles") as server:
        name = server.database
        roles = server.kernel.database.collection("accessroles")
        await roles.delete_many({})

        async def start() -> None:
            async with serve("roles", database=name):
                pass

        await asyncio.gather(*(start() for _ in range(3)))
        assert await stored(server) == SEEDED
        assert await roles.count_documents({}) == 17


async def test_plugins_bring_access_roles_of_their_own(stage: Any) -> None:
    async with stage() as s:
        found = await stored(s.server)
        assert found["report_reader"] == ("report", 1, "reader", "reads")
        assert found["report_boss"] == ("report", 15, "boss", "owns")
        assert found["agent_viewer"] == ("agent", 1, "v", "v_desc"), "a plugin's word counts more"


@pytest.mark.parametrize(
    ("collection", "names"),
    [
        ("accessroles", {"accessRoleId_1", "accessRoleId_1_tenantId_1", "tenantId_1"}),
        (
            "aclentries",
            {
                *("principalId_1", "resourceId_1", "inheritedFrom_1", "tenantId_1", "expiredAt_1"),
                "principalId_1_principalType_1_resourceType_1_resourceId_1_tenantId_1",
                "resourceId_1_principalType_1_principalId_1_tenantId_1",
                "principalId_1_permBits_1_resourceType_1_tenantId_1",
                "principalType_1_resourceType_1_permBits_1_resourceId_1",
                "grantedBy_1",  # ours
            },
        ),
        (
            "groups",
            {
                *("name_1", "email_1", "idOnTheSource_1", "tenantId_1", "memberIds_1_tenantId_1"),
                "idOnTheSource_1_source_1_tenantId_1",
            },
        ),
    ],
)
async def test_indexes_are_those_of_librechat(
    serve: Serve, collection: str, names: set[str]
) -> None:
    async with serve("roles") as server:
        rows: Any = server.kernel.database.collection(collection)
        indexes = await rows.index_information()
        assert set(indexes) - {"_id_"} == names
        if collection == "aclentries":
            assert indexes["expiredAt_1"]["expireAfterSeconds"] == 0
            others = indexes.keys() - {"_id_"}
            assert not any(indexes[name].get("unique") for name in others)
