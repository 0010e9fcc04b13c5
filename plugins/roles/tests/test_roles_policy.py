"""Permissions, capabilities, and what is remembered (contract roles §3, §6)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import JSON, POLICY, Can, Plugin, Policy, Principal, Request, Route, hook
from locutory_contracts.accounts import AccountDeleted
from locutory_roles.grants import BASE_CAPABILITIES, satisfied_by
from locutory_testing import Serve, Server, SignIn
from locutory_testing.waiting import until

USER = Principal(id="a" * 24)
ADMIN = Principal(id="b" * 24, role="ADMIN")


class Guarded(Plugin):
    """A route that asks for a permission."""

    name = "guarded"
    summary = "A guarded route"

    @hook
    def routes(self) -> list[Route]:
        async def serve(_request: Request) -> JSON:
            return JSON({"ok": True})

        return [
            Route(
                path="/api/guarded",
                endpoint=serve,
                access=Can("PEOPLE_PICKER", "VIEW_USERS"),
                summary="Guarded",
            )
        ]


def policy(server: Server) -> Policy:
    return server.kernel.services.get(POLICY)


async def grant(server: Server, kind: str, identity: Any, capability: str, **more: Any) -> None:
    moment = datetime.now(UTC)
    await server.kernel.database.collection("systemgrants").insert_one(
        {
            "principalType": kind,
            "principalId": identity,
            "capability": capability,
            "grantedAt": moment,
            "createdAt": moment,
            "updatedAt": moment,
            **more,
        }
    )


async def test_decisions_carry_their_reason(serve: Serve) -> None:
    async with serve("roles") as server:
        decide = policy(server)
        allowed = await decide.allows(USER, "PROMPTS", "USE")
        assert (allowed.allowed, allowed.reason) == (True, "role USER has PROMPTS.USE")
        refused = await decide.allows(USER, "PROMPTS", "SHARE")
        assert (refused.allowed, refused.reason) == (False, "role USER lacks PROMPTS.SHARE")
        assert await decide.allows(ADMIN, "PROMPTS", "SHARE")
        for group, action in (("NOPE", "USE"), ("PROMPTS", "NOPE"), ("", "")):
            assert not await decide.allows(ADMIN, group, action)
        stranger = await decide.allows(Principal(id="c" * 24, role="GHOST"), "PROMPTS", "USE")
        assert stranger.reason == "role GHOST does not exist"


async def test_only_true_is_a_permission(serve: Serve) -> None:
    async with serve("roles") as server:
        await server.kernel.database.collection("roles").insert_one(
            {"name": "ODD", "permissions": {"PROMPTS": {"USE": 1, "CREATE": "true"}, "SKILLS": 3}}
        )
        odd = Principal(id="c" * 24, role="ODD")
        for group, action in (("PROMPTS", "USE"), ("PROMPTS", "CREATE"), ("SKILLS", "USE")):
            assert not await policy(server).allows(odd, group, action)


async def test_a_change_opens_and_closes_a_route_at_once(serve: Serve) -> None:
    async with serve("roles", Guarded(), SignIn()) as server:
        user = {"Authorization": f"Bearer {USER.id}"}
        admin = {"Authorization": f"Bearer {ADMIN.id}:ADMIN"}
        refused = await server.client.get("/api/guarded", headers=user)
        assert refused.status_code == 403
        assert refused.json() == {"message": "Forbidden: Insufficient permissions"}
        for value, status in ((True, 200), (False, 403)):
            await server.client.put(
                "/api/roles/USER/people-picker", json={"VIEW_USERS": value}, headers=admin
            )
            answer = await server.client.get("/api/guarded", headers=user)
            assert answer.status_code == status


async def test_permission_checks_ask_the_database_once(serve: Serve) -> None:
    async with serve("roles", yaml={"plugins": {"roles": {"cache_seconds": 300}}}) as server:
        decide = policy(server)
        assert await decide.allows(USER, "PROMPTS", "USE")
        assert await decide.holds(ADMIN, "manage:users")
        roles = server.kernel.database.collection("roles")
        await roles.update_one({"name": "USER"}, {"$set": {"permissions.PROMPTS.USE": False}})
        await server.kernel.database.collection("systemgrants").delete_many({})
        assert await decide.allows(USER, "PROMPTS", "USE"), "remembered"
        assert await decide.holds(ADMIN, "manage:users"), "remembered"


async def test_a_change_made_elsewhere_is_seen_after_a_while(serve: Serve) -> None:
    async with serve("roles", yaml={"plugins": {"roles": {"cache_seconds": 0.05}}}) as server:
        decide = policy(server)
        assert await decide.allows(USER, "PROMPTS", "USE")
        await server.kernel.database.collection("roles").update_one(
            {"name": "USER"}, {"$set": {"permissions.PROMPTS.USE": False}}
        )
        await asyncio.sleep(0.1)
        assert not await decide.allows(USER, "PROMPTS", "USE")


async def test_capabilities_by_role_and_by_user(serve: Serve) -> None:
    async with serve("roles") as server:
        decide = policy(server)
        for capability in BASE_CAPABILITIES:
            assert await decide.holds(ADMIN, capability)
            assert not await decide.holds(USER, capability)
        held = await decide.holds(ADMIN, "manage:configs:endpoints")
        assert held.reason == "role ADMIN holds manage:configs:endpoints"
        fresh = Principal(id="f" * 24, role="EDITOR")
        await grant(server, "user", ObjectId(fresh.id), "manage:prompts")
        await grant(server, "user", "d" * 24, "manage:users")
        await grant(server, "role", "EDITOR", "manage:configs:interface")
        assert await decide.holds(fresh, "manage:prompts")
        assert await decide.holds(fresh, "read:prompts")
        assert not await decide.holds(fresh, "read:agents")
        assert await decide.holds(fresh, "read:configs:interface")
        assert not await decide.holds(fresh, "read:configs:endpoints")
        assert not await decide.holds(fresh, "manage:configs")
        text_id = await decide.holds(Principal(id="d" * 24), "manage:users")
        assert not text_id, "a user's grant is stored with an ObjectId"


async def test_grants_count_in_their_tenant(serve: Serve) -> None:
    async with serve("roles") as server:
        decide = policy(server)
        await grant(server, "role", "EDITOR", "manage:prompts", tenantId="north")
        await grant(server, "role", "EDITOR", "manage:skills")
        north = Principal(id="c" * 24, role="EDITOR", tenant="north")
        south = Principal(id="c" * 24, role="EDITOR", tenant="south")
        nowhere = Principal(id="c" * 24, role="EDITOR")
        assert await decide.holds(north, "manage:prompts")
        assert not await decide.holds(south, "manage:prompts")
        assert not await decide.holds(nowhere, "manage:prompts")
        for principal in (north, south, nowhere):
            assert await decide.holds(principal, "manage:skills")


async def test_roles_of_a_tenant(serve: Serve) -> None:
    async with serve("roles") as server:
        decide = policy(server)
        await server.kernel.database.collection("roles").insert_many(
            [
                {"name": "USER", "tenantId": "north", "permissions": {"PROMPTS": {"USE": False}}},
                {"name": "GUEST", "tenantId": "north", "permissions": {"PROMPTS": {"USE": True}}},
            ]
        )
        assert not await decide.allows(Principal(id="c" * 24, tenant="north"), "PROMPTS", "USE")
        assert await decide.allows(Principal(id="c" * 24, tenant="south"), "PROMPTS", "USE")
        assert await decide.allows(USER, "PROMPTS", "USE")
        guest = Principal(id="c" * 24, role="GUEST", tenant="north")
        assert await decide.allows(guest, "PROMPTS", "USE")
        assert not await decide.allows(Principal(id="c" * 24, role="GUEST"), "PROMPTS", "USE")


@pytest.mark.parametrize(
    ("capability", "enough"),
    [
        ("access:admin", {"access:admin"}),
        ("manage:users", {"manage:users"}),
        ("read:users", {"read:users", "manage:users"}),
        ("read:usage", {"read:usage"}),
        ("manage:configs:endpoints", {"manage:configs:endpoints", "manage:configs"}),
        (
            "read:configs:endpoints",
            {
                "read:configs:endpoints",
                "manage:configs:endpoints",
                "read:configs",
                "manage:configs",
            },
        ),
        ("assign:configs:group", {"assign:configs:group", "assign:configs"}),
        ("assign:configs:planet", set()),
        ("manage:configs:a.b", set()),
        ("manage:everything", set()),
        ("manage:usage", set()),
        ("", set()),
        ("$where", set()),
    ],
)
def test_what_satisfies_a_capability(capability: str, enough: set[str]) -> None:
    assert satisfied_by(capability) == enough


async def test_unknown_capabilities_are_refused_to_admins_too(serve: Serve) -> None:
    async with serve("roles") as server:
        decision = await policy(server).holds(ADMIN, "manage:everything")
        assert decision.reason == "manage:everything is not a capability"


async def test_a_deleted_account_leaves_no_grants(serve: Serve) -> None:
    async with serve("roles") as server:
        await grant(server, "user", ObjectId(USER.id), "manage:prompts")
        await grant(server, "user", ObjectId(USER.id), "manage:skills", tenantId="north")
        await grant(server, "user", ObjectId("d" * 24), "manage:prompts")
        assert await policy(server).holds(USER, "manage:prompts")
        await server.kernel.events.publish(AccountDeleted(USER.id))
        await server.kernel.events.publish(AccountDeleted("not-an-id"))
        grants = server.kernel.database.collection("systemgrants")
        assert await grants.count_documents({"principalType": "user"}) == 1
        assert await grants.count_documents({"principalType": "role"}) == 24
        assert not await policy(server).holds(USER, "manage:prompts")


async def test_servers_tell_each_other_through_redis(serve: Serve, redis_address: str) -> None:
    environment = {"USE_REDIS": "true", "REDIS_URI": redis_address, "REDIS_KEY_PREFIX": "here"}
    yaml = {"plugins": {"roles": {"cache_seconds": 300}}}
    async with (
        serve("roles", SignIn(), environment=environment, yaml=yaml) as first,
        serve(
            "roles",
            SignIn(),
            environment=environment,
            yaml=yaml,
            database=first.database,
        ) as second,
    ):
        assert not await policy(second).allows(USER, "PROMPTS", "SHARE")
        admin = {"Authorization": f"Bearer {ADMIN.id}:ADMIN"}
        answer = await first.client.put(
            "/api/roles/USER/prompts", json={"SHARE": True}, headers=admin
        )
        assert answer.status_code == 200

        async def told() -> bool:
            return bool(await policy(second).allows(USER, "PROMPTS", "SHARE"))

        await until(told, "the other server still remembers")
