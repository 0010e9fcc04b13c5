"""Violations and bans (contract kernel §12, §18)."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory import (
    JSON,
    LimitExceeded,
    OptionalUser,
    Plugin,
    Public,
    Request,
    Route,
    SignedIn,
    hook,
)
from locutory_auth.address import counted

BANNED = {"message": "Your account has been temporarily banned due to violations of our service."}
ON = {"BAN_VIOLATIONS": "true", "BAN_INTERVAL": "10 * 2", "BAN_DURATION": "1000 * 60"}
PUBLIC = (
    "/api/auth/login",
    "/api/auth/register",
    "/api/auth/requestPasswordReset",
    "/api/auth/resetPassword",
    "/api/auth/2fa/verify-temp",
)
GUARDED = (
    "/api/agents",
    "/api/agents/chat/x",
    "/api/files",
    "/api/files/images",
    "/api/assistants/v2",
    "/api/permissions/a/b",
)
FREE = ("/api/agentsx", "/api/convos", "/api/me", "/api/user/files")


class Others(Plugin):
    """Routes of other plugins."""

    name = "others"
    summary = "Routes of other plugins; for tests only"

    @hook
    def routes(self) -> list[Route]:
        async def fine(request: Request) -> JSON:
            return JSON({"user": None if request.principal is None else request.principal.id})

        paths = [path for path in (*GUARDED, *FREE) if path != "/api/me"]
        routes = [
            Route(path=path, endpoint=fine, access=SignedIn(), summary="A route") for path in paths
        ]
        public = Route(
            path="/api/files/open", endpoint=fine, access=Public("a test"), summary="A route"
        )
        optional = Route(
            path="/api/agents/open", endpoint=fine, access=OptionalUser("a test"), summary="A route"
        )
        return [*routes, public, optional]


def violation(
    user: str | None, ip: str = "198.51.100.7", score: float = 1, kind: str = "concurrent"
) -> LimitExceeded:
    return LimitExceeded("a_limiter", kind, score, user, ip)


@pytest.fixture
async def ann(people: Any) -> Any:
    """Ann, signed in, on a server that bans."""
    async with people(ON, plugins=[Others()]) as someone:
        await someone.add("ann@example.com")
        someone.bearer = await someone.token("ann@example.com")
        someone.user = str((await someone.account("ann@example.com"))["_id"])
        someone.tell = someone.server.kernel.events.publish
        yield someone


async def get(someone: Any, path: str, **headers: str) -> Any:
    headers.setdefault("authorization", f"Bearer {someone.bearer}")
    return await someone.server.client.get(path, headers=headers)


async def entries(someone: Any) -> dict[str, Any]:
    return {row["key"]: row for row in await someone.rows("logs")}


class TestAccounts:
    async def test_twenty_points_are_a_ban(self, ann: Any) -> None:
        started = time.time()
        for _ in range(19):
            await ann.tell(violation(ann.user))
        assert await entries(ann) == {}
        for path in (*GUARDED, *FREE):
            assert (await get(ann, path)).status_code == 200
        await ann.tell(violation(ann.user))
        found = await entries(ann)
        assert set(found) == {f"BANS:{ann.user}", "BANS:198.51.100.7"}
        row = found[f"BANS:{ann.user}"]
        assert set(row) == {"_id", "key", "value", "expiresAt"}
        stored = json.loads(row["value"])
        end = stored["expires"]
        assert started <= end / 1000 - 60 <= time.time()
        assert stored["value"] == {
            "type": "concurrent",
            "violation_count": 20,
            "duration": 60_000,
            "expiresAt": end,
        }
        assert abs(row["expiresAt"].timestamp() * 1000 - end) <= 1
        value = json.loads(found["BANS:198.51.100.7"]["value"])["value"]
        assert value["user_id"] == ann.user
        # Out where the contract says so, and only there; the sessions are gone.
        for path in GUARDED:
            answer = await get(ann, path)
            assert (answer.status_code, answer.json()) == (403, BANNED), path
        for path in (*FREE, "/api/files/open"):
            assert (await get(ann, path)).status_code == 200, path
        assert (await get(ann, "/api/agents/open")).json() == {"user": None}
        assert (await get(ann, "/API/Agents/")).status_code == 403
        assert await ann.rows("sessions") == []
        assert (await ann.post("/api/auth/refresh")).status_code == 401

    async def test_it_keeps_the_account_from_signing_in(self, ann: Any) -> None:
        await ann.auth.bans.put("logins", 20, 60, user=ann.user)
        for email in ("ann@example.com", " ANN@example.com "):
            answer = await ann.login(email)
            assert (answer.status_code, answer.json()) == (403, BANNED)
        await ann.add("bob@example.com")
        assert (await ann.login("bob@example.com")).status_code == 200
        answer = await ann.register("ann@example.com")
        assert (answer.status_code, answer.json()) == (403, BANNED)

    async def test_it_ends(self, ann: Any) -> None:
        await ann.auth.bans.put("logins", 20, 0.05, user=ann.user)
        ann.auth.cache.clear()
        await asyncio.sleep(0.06)
        assert (await get(ann, "/api/files")).status_code == 200
        assert (await ann.login("ann@example.com")).status_code == 200

    async def test_the_next_one_comes_at_forty(self, ann: Any) -> None:
        for _ in range(20):
            await ann.tell(violation(ann.user))
        await ann.auth.bans.lift(ann.user, "198.51.100.7")
        for score in (19, 0.5):
            await ann.tell(violation(ann.user, score=score))
            assert await entries(ann) == {}
        await ann.tell(violation(ann.user, score=0.5))
        assert len(await entries(ann)) == 2

    async def test_types_are_counted_apart(self, ann: Any) -> None:
        for kind in ("concurrent", "message_limit"):
            await ann.tell(violation(ann.user, score=19, kind=kind))
        await ann.tell(violation(ann.user, score=99, kind=""))
        await ann.tell(violation(ann.user, score=0))
        assert await entries(ann) == {}
        await ann.tell(violation(ann.user, score=1, kind="message_limit"))
        assert len(await entries(ann)) == 2

    async def test_a_great_score_is_a_ban_at_once(self, ann: Any) -> None:
        await ann.tell(violation(ann.user, score=20))
        assert (await get(ann, "/api/files")).status_code == 403

    async def test_without_a_length_only_sessions_end(self, people: Any) -> None:
        async with people({**ON, "BAN_DURATION": "0"}) as someone:
            await someone.add("ann@example.com")
            await someone.token("ann@example.com")
            user = str((await someone.account("ann@example.com"))["_id"])
            await someone.server.kernel.events.publish(violation(user, score=20))
            assert await someone.rows("sessions") == []
            assert await someone.rows("logs") == []
            assert (await someone.login("ann@example.com")).status_code == 200

    async def test_deleting_the_account_takes_it_away(self, ann: Any) -> None:
        await ann.auth.bans.put("logins", 20, None, user=ann.user)
        await ann.auth.accounts.delete(ann.user)
        assert await entries(ann) == {}


class TestAddresses:
    async def test_strangers_are_counted_by_address(self, ann: Any) -> None:
        for _ in range(20):
            await ann.tell(violation(None, "127.0.0.1", kind="logins"))
        assert set(await entries(ann)) == {"BANS:127.0.0.1"}
        for path in PUBLIC:
            answer = await ann.post(path, {"email": "x@example.com"})
            assert (answer.status_code, answer.json()) == (403, BANNED), path
        for path in GUARDED:
            assert (await get(ann, path)).status_code == 403
        for path in FREE:
            assert (await get(ann, path)).status_code == 200
        assert (await ann.post("/api/auth/refresh")).status_code == 200

    async def test_brute_force_ends_in_a_ban(self, people: Any) -> None:
        """From the limit of sign-ins to the ban, over HTTP, by the address behind the proxy."""
        limits = {"LOGIN_MAX": "1", "BAN_INTERVAL": "3", "LOCUTORY_TRUSTED_PROXIES": "127.0.0.0/8"}
        async with people({**ON, **limits}) as someone:
            await someone.add("ann@example.com")
            body = {"email": "ann@example.com", "password": "password123"}
            wrong = {**body, "password": "wrongwrong1"}
            mallory = {"x-forwarded-for": "203.0.113.1, 198.51.100.7"}
            for _ in range(4):
                answer = await someone.post("/api/auth/login", wrong, **mallory)
            assert answer.status_code == 429
            assert list(await entries(someone)) == ["BANS:198.51.100.7"]
            # What the caller claims beyond the trusted hop does not help, nor harm others.
            for claimed in ("203.0.113.1", "10.0.0.1", "127.0.0.1"):
                sent = {"x-forwarded-for": f"{claimed}, 198.51.100.7"}
                answer = await someone.post("/api/auth/register", **sent)
                assert answer.status_code == 403
            sent = {"x-forwarded-for": "198.51.100.7, 203.0.113.1"}
            assert (await someone.post("/api/auth/login", body, **sent)).status_code == 200

    async def test_without_a_trusted_proxy_claims_do_not_count(self, people: Any) -> None:
        limits = {"LOGIN_MAX": "1", "BAN_INTERVAL": "3", "LOCUTORY_TRUSTED_PROXIES": "10.0.0.0/8"}
        async with people({**ON, **limits}) as someone:
            for number in range(4):
                claimed = {"x-forwarded-for": f"198.51.100.{number}"}
                answer = await someone.post("/api/auth/login", {"email": "a"}, **claimed)
            assert answer.status_code == 429
            assert list(await entries(someone)) == ["BANS:127.0.0.1"]

    async def test_ipv6_counts_by_network(self, ann: Any) -> None:
        for number in range(20):
            await ann.tell(violation(None, f"2001:db8:1:2:{number:x}::1"))
        assert list(await entries(ann)) == ["BANS:2001:db8:1:2::"]
        bans = ann.auth.bans
        assert await bans.of_address("2001:db8:1:2:ffff::1") > time.time()
        assert await bans.of_address("2001:db8:1:3::1") == 0

    async def test_a_single_ipv6_of_librechat(self, ann: Any) -> None:
        value = {"value": {"type": "logins", "expiresAt": 4e12}, "expires": 4e12}
        row = {"key": "BANS:2001:db8::9", "value": json.dumps(value), "expiresAt": None}
        await ann.server.kernel.database.collection("logs").insert_one(row)
        assert await ann.auth.bans.of_address("2001:db8::9") == 4e9
        assert await ann.auth.bans.lift("2001:db8::9")
        assert await entries(ann) == {}

    @pytest.mark.parametrize(
        ("ip", "key"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:a:b:c:d:e:f", "2001:db8:a:b::"),
            ("::1", "::"),
            ("nonsense", "nonsense"),
            ("", ""),
        ],
    )
    def test_keys(self, ip: str, key: str) -> None:
        assert counted(ip) == key


class TestLibreChatsEntries:
    @pytest.mark.parametrize(
        ("value", "banned"),
        [
            ({"value": {"type": "logins", "expiresAt": 4e12}, "expires": 4e12}, True),
            ({"value": {"type": "logins"}, "expires": None}, True),
            ({"value": {"type": "logins", "expiresAt": None}}, True),
            ({"value": {"type": "logins", "expiresAt": 1000}, "expires": 4e12}, False),
            ({"value": {"type": "logins", "expiresAt": 4e12}, "expires": 1000}, False),
            ("text", False),
            ([], False),
            ({"value": "text"}, False),
            ({}, False),
            (None, False),
        ],
    )
    async def test_are_read(self, ann: Any, value: Any, banned: bool) -> None:
        row = {"key": f"BANS:{ann.user}", "value": json.dumps(value), "expiresAt": None}
        await ann.server.kernel.database.collection("logs").insert_one(row)
        ann.auth.cache.clear()
        assert (await get(ann, "/api/files")).status_code == (403 if banned else 200)
        assert len(await ann.auth.bans.all()) == banned

    async def test_other_entries_are_left_alone(self, ann: Any) -> None:
        logs = ann.server.kernel.database.collection("logs")
        others = ["ENCODED_DOMAINS:abc", "BANSX:1", "banana"]
        await logs.insert_many(
            [{"key": key, "value": "{}", "expiresAt": None} for key in others]
            + [{"key": f"ban:{ann.user}", "value": "{}", "expiresAt": None}]
        )
        await ann.auth.bans.put("logins", 1, 60, user=ann.user)
        assert [ban.key for ban in await ann.auth.bans.all()] == [ann.user]
        assert await ann.auth.bans.lift(ann.user)
        assert not await ann.auth.bans.lift(ann.user)
        assert sorted(await entries(ann)) == sorted(others)


async def test_off_means_off_but_for_administrators(people: Any) -> None:
    async with people(plugins=[Others()]) as someone:
        await someone.add("ann@example.com")
        someone.bearer = await someone.token("ann@example.com")
        user = str((await someone.account("ann@example.com"))["_id"])
        await someone.server.kernel.events.publish(violation(user, "127.0.0.1", 100))
        await someone.server.kernel.events.publish(violation(None, "127.0.0.1", 100))
        assert await someone.rows("logs") == []
        await someone.auth.bans.put("general", 0, None, ip="127.0.0.1")
        assert (await get(someone, "/api/files")).status_code == 200
        await someone.auth.bans.put("general", 0, None, user=user)
        someone.auth.cache.clear()
        assert (await get(someone, "/api/files")).status_code == 403
        stored = json.loads((await entries(someone))[f"BANS:{user}"]["value"])
        # LibreChat takes a ban without an end for one that never ends.
        assert stored == {"value": {"type": "general", "violation_count": 0}, "expires": None}


class TestStores:
    async def counted(self, servers: list[Any]) -> None:
        user = str(ObjectId())
        facts = [violation(user, "192.0.2.7") for _ in range(19)]
        tells = [server.server.kernel.events.publish for server in servers]
        await asyncio.gather(*(tells[n % len(tells)](fact) for n, fact in enumerate(facts)))
        assert await servers[0].rows("logs") == []
        await asyncio.gather(*(tells[n % len(tells)](violation(user)) for n in range(6)))
        found = await entries(servers[0])
        assert f"BANS:{user}" in found
        for server in servers:
            await server.server.kernel.database.collection("logs").delete_many({})
        await asyncio.gather(*(tells[n % len(tells)](violation(user)) for n in range(14)))
        assert await servers[0].rows("logs") == []
        await tells[-1](violation(user))
        assert f"BANS:{user}" in await entries(servers[0])

    async def test_memory(self, people: Any) -> None:
        async with people(ON) as someone:
            await self.counted([someone])
            assert await someone.rows("locutory_violations") == []

    async def test_database(self, people: Any) -> None:
        name = "test_auth_violations"
        options: dict[str, Any] = {
            "database": name,
            "yaml": {"plugins": {"auth": {"violation_store": "database"}}},
        }
        async with people(ON, **options) as one, people(ON, **options) as two:
            try:
                await self.counted([one, two])
                (row,) = await one.rows("locutory_violations")
                assert row["score"] == 40
                assert row["expiresAt"] > datetime.now(UTC) + timedelta(days=6)
            finally:
                await one.server.kernel.database.client.drop_database(name)

    async def test_redis(self, people: Any, redis_uri: str) -> None:
        name = "test_auth_violations_redis"
        shared = {"USE_REDIS": "true", "REDIS_URI": redis_uri, "REDIS_KEY_PREFIX": "bans"}
        environment = {**ON, **shared}
        async with (
            people(environment, database=name) as one,
            people(environment, database=name) as two,
        ):
            try:
                await self.counted([one, two])
            finally:
                await one.server.kernel.database.client.drop_database(name)
