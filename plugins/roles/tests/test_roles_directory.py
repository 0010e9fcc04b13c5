"""What signing in through an identity provider asks (contract oauth §5.3)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import Principal, ServiceMissing
from locutory_contracts.access import VIEW
from locutory_contracts.sign_in import MEMBERSHIPS, ROLE_NAMES
from locutory_testing import Serve


async def group(s: Any, source_id: str, *members: str, **changes: Any) -> ObjectId:
    """A group of a directory, as LibreChat stores it."""
    moment = datetime.now(UTC)
    document = {
        "name": f"group {source_id}",
        "memberIds": list(members),
        "source": "entra",
        "idOnTheSource": source_id,
        "createdAt": moment,
        "updatedAt": moment,
        "__v": 0,
        **changes,
    }
    inserted = await s.collection("groups").insert_one(document)
    return ObjectId(inserted.inserted_id)


async def members(s: Any) -> dict[str, list[str]]:
    rows = await s.collection("groups").find({}).to_list()
    return {row.get("idOnTheSource", row["name"]): row["memberIds"] for row in rows}


class TestRoleNames:
    async def test_of_a_tenant_and_the_common_ones(self, stage: Any) -> None:
        async with stage() as s:
            roles = s.collection("roles")
            await roles.insert_one({"name": "Editors", "permissions": {}})
            await roles.insert_one({"name": "Guests", "permissions": {}, "tenantId": "t"})
            service = s.server.kernel.services.get(ROLE_NAMES)
            assert sorted(await service.names(None)) == ["ADMIN", "Editors", "USER"]
            assert sorted(await service.names("t")) == ["ADMIN", "Guests", "USER"]


class TestMemberships:
    async def test_come_and_go_with_the_directory(self, stage: Any) -> None:
        async with stage() as s:
            olga = await s.person("Olga", idOnTheSource="oid-1")
            await group(s, "g1", "oid-9")
            await group(s, "g2", "oid-1", olga, "oid-9")
            await group(s, "g3", "oid-1")
            sync = s.server.kernel.services.get(MEMBERSHIPS).sync
            for _ in range(2):
                await sync(olga, "entra", ["g1", "g3", "unknown"])
                assert await members(s) == {
                    "g1": ["oid-9", "oid-1"],
                    "g2": ["oid-9"],
                    "g3": ["oid-1"],
                }
            await sync(olga, "entra", [])
            assert await members(s) == {"g1": ["oid-9"], "g2": ["oid-9"], "g3": []}

    async def test_by_the_id_here_without_one_there(self, stage: Any) -> None:
        async with stage() as s:
            olga = await s.person("Olga")
            await group(s, "g1")
            await s.server.kernel.services.get(MEMBERSHIPS).sync(olga, "entra", ["g1"])
            assert await members(s) == {"g1": [olga]}

    async def test_other_groups_are_left_alone(self, stage: Any) -> None:
        async with stage() as s:
            olga = await s.person("Olga", idOnTheSource="oid-1")
            await s.group("locals", "oid-1")
            await group(s, "g1", "oid-1", source="elsewhere")
            await group(s, "g2", "oid-1", tenantId="t")
            sync = s.server.kernel.services.get(MEMBERSHIPS).sync
            before = await members(s)
            for source in ("entra", "local", ""):
                await sync(olga, source, ["g1", "g2", "locals"])
                assert await members(s) == before
            await sync(str(ObjectId()), "entra", ["g1"])
            await sync("nonsense", "entra", ["g1"])
            assert await members(s) == before

    async def test_count_at_once(self, stage: Any) -> None:
        async with stage(environment={"USER_PRINCIPALS_CACHE_TTL_MS": "60000"}) as s:
            olga = await s.person("Olga", idOnTheSource="oid-1")
            resource = await s.thing("agent")
            await s.entry(("group", await group(s, "g1")), "agent", resource, VIEW)
            me, sync = Principal(id=olga), s.server.kernel.services.get(MEMBERSHIPS).sync
            for ids, bits in (([], 0), (["g1"], VIEW), ([], 0)):
                await sync(olga, "entra", ids)
                assert await s.access.bits(me, "agent", resource) == bits

    async def test_without_accounts(self, serve: Serve) -> None:
        async with serve("roles") as server:
            with pytest.raises(ServiceMissing):
                await server.kernel.services.get(MEMBERSHIPS).sync("a" * 24, "entra", ["g1"])
