"""Groups, what is remembered of them, and what a deleted account leaves behind."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from locutory import POLICY, Principal
from locutory_contracts.access import VIEW
from locutory_contracts.accounts import AccountDeleted
from locutory_testing import Serve
from locutory_testing.waiting import until

ME = "a" * 24
OTHER = "b" * 24


def member(user: str = ME, **account: Any) -> Principal:
    return Principal(id=user, account={"_id": ObjectId(user), **account})


async def shared_with(s: Any, *groups: ObjectId) -> str:
    resource: str = await s.thing("agent")
    for group in groups:
        await s.entry(("group", group), "agent", resource, VIEW)
    return resource


async def test_members_by_id_and_by_source(stage: Any) -> None:
    async with stage() as s:
        by_id = await shared_with(s, await s.group("ids", ME))
        by_source = await shared_with(s, await s.group("sources", "source-1"))
        bits = s.access.bits
        assert await bits(member(), "agent", by_id) == VIEW
        assert await bits(member(), "agent", by_source) == 0
        outside = member(idOnTheSource="source-1")
        assert await bits(outside, "agent", by_id) == VIEW
        assert await bits(outside, "agent", by_source) == VIEW
        for odd in ("", None, 7, {"$ne": ""}, ["source-1"]):
            assert await bits(member(idOnTheSource=odd), "agent", by_source) == 0


async def test_an_account_is_looked_up_when_only_its_id_is_known(stage: Any) -> None:
    async with stage() as s:
        person = await s.person("Olga", idOnTheSource="source-1")
        resource = await shared_with(s, await s.group("sources", "source-1"))
        assert await s.access.bits(Principal(id=person), "agent", resource) == VIEW
        assert await s.access.bits(Principal(id=OTHER), "agent", resource) == 0


async def test_memberships_are_remembered_for_a_while(stage: Any) -> None:
    async with stage(environment={"USER_PRINCIPALS_CACHE_TTL_MS": "300"}) as s:
        group = await s.group("readers", ME)
        resource = await shared_with(s, group)
        assert await s.access.bits(member(), "agent", resource) == VIEW
        await s.collection("groups").update_one({"_id": group}, {"$set": {"memberIds": []}})
        await asyncio.sleep(0.35)
        assert await s.access.bits(member(), "agent", resource) == 0
    async with stage(environment={"USER_PRINCIPALS_CACHE_TTL_MS": "3600000"}) as s:
        group = await s.group("readers", ME)
        resource = await shared_with(s, group)
        assert await s.access.bits(member(), "agent", resource) == VIEW
        await s.collection("groups").update_one({"_id": group}, {"$set": {"memberIds": []}})
        assert await s.access.bits(member(), "agent", resource) == VIEW


async def test_nothing_is_remembered_with_zero(stage: Any) -> None:
    async with stage(environment={"USER_PRINCIPALS_CACHE_TTL_MS": "0"}) as s:
        group = await s.group("readers")
        resource = await shared_with(s, group)
        for members, bits in (([], 0), ([ME], VIEW), ([], 0)):
            await s.collection("groups").update_one(
                {"_id": group}, {"$set": {"memberIds": members}}
            )
            assert await s.access.bits(member(), "agent", resource) == bits


async def test_a_deleted_account_leaves_nothing(stage: Any) -> None:
    async with stage() as s:
        person = await s.person("Olga", idOnTheSource="source-1")
        group = await s.group("both", person, OTHER, "source-1")
        await s.group("others", OTHER)
        resource = await shared_with(s, group)
        await s.access.grant_owner(person, "agent", resource)
        await s.access.grant_owner(OTHER, "agent", resource)
        await s.entry(("role", person), "agent", resource, VIEW)
        moment = datetime.now(UTC)
        await s.collection("systemgrants").insert_one(
            {
                "principalType": "user",
                "principalId": ObjectId(person),
                "capability": "manage:skills",
                "grantedAt": moment,
            }
        )
        me = member(person, idOnTheSource="source-1")
        assert await s.access.bits(me, "agent", resource) == 15
        for _ in range(2):  # delivered at least once
            await s.server.kernel.events.publish(AccountDeleted(person))
        await s.server.kernel.events.publish(AccountDeleted("nonsense"))
        assert await s.access.bits(me, "agent", resource) == 0, "memberships are not remembered"
        parties = [
            (e["principalType"], e["principalId"]) for e in await s.entries("agent", resource)
        ]
        assert sorted(parties, key=str) == sorted(
            [("group", group), ("user", ObjectId(OTHER)), ("role", person)], key=str
        )
        groups = await s.collection("groups").find({}, {"memberIds": 1, "_id": 0}).to_list()
        assert groups == [{"memberIds": [OTHER]}, {"memberIds": [OTHER]}]
        grants = s.collection("systemgrants")
        assert await grants.count_documents({"principalType": "user"}) == 0


async def test_an_account_deleted_while_the_plugin_was_off(serve: Serve, stage: Any) -> None:
    async with stage() as s:
        name = s.server.database
        resource = await s.owned("agent", ME)
        await s.collection("locutory_outbox").insert_one(
            {
                "event": "AccountDeleted",
                "payload": {"user_id": ME},
                "createdAt": datetime.now(UTC),
                "done": [],
            }
        )
        async with serve("roles", database=name):
            assert await s.entries("agent", resource) == []


async def test_capabilities_of_a_group(stage: Any) -> None:
    async with stage() as s:
        policy = s.server.kernel.services.get(POLICY)
        first, second = await s.group("first", ME), await s.group("second", ME)
        await s.group("foreign", OTHER)
        moment = datetime.now(UTC)

        async def grant(principal: Any, capability: str, **more: Any) -> None:
            await s.collection("systemgrants").insert_one(
                {
                    "principalType": "group",
                    "principalId": principal,
                    "capability": capability,
                    "grantedAt": moment,
                    **more,
                }
            )

        await grant(second, "manage:prompts")
        await grant(first, "manage:skills", tenantId="north")
        await grant(str(first), "manage:users")
        held = await policy.holds(member(), "read:prompts")
        assert held.reason == f"group {second} holds read:prompts"
        assert not await policy.holds(member(), "manage:skills"), "of another tenant"
        assert not await policy.holds(member(), "manage:users"), "ids of groups are ObjectIds"
        assert not await policy.holds(member(OTHER), "manage:prompts")
        assert not await policy.holds(Principal(id="service"), "manage:prompts")
        resource = await s.thing("promptGroup")
        opened = await s.access.decide(member(), "promptGroup", resource, VIEW)
        assert opened.reason.startswith(f"group {second} holds manage:prompts")


async def test_servers_tell_each_other_about_groups(stage: Any, redis_address: str) -> None:
    environment = {"USE_REDIS": "true", "REDIS_URI": redis_address}
    environment["USER_PRINCIPALS_CACHE_TTL_MS"] = "3600000"
    async with stage(environment=environment) as first:
        name = first.server.database
        async with stage(environment=environment, database=name) as second:
            person = await first.person("Olga")
            resource = await shared_with(first, await first.group("readers", person))
            assert await second.access.bits(member(person), "agent", resource) == VIEW
            await first.server.kernel.events.publish(AccountDeleted(person))

            async def told() -> bool:
                return not await second.access.bits(member(person), "agent", resource)

            await until(told, "the other server still remembers")


async def test_groups_of_many_callers_cost_one_query_each(stage: Any) -> None:
    async with stage(environment={"USER_PRINCIPALS_CACHE_TTL_MS": "3600000"}) as s:
        resource = await shared_with(s, await s.group("readers", ME))
        await s.access.bits(member(), "agent", resource)
        await s.collection("groups").drop()
        for _ in range(100):
            assert await s.access.bits(member(), "agent", resource) == VIEW
