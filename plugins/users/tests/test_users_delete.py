"""``DELETE /api/user/delete`` (contract user §7)."""

import base64
import hashlib
import hmac
import struct
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import On, Plugin, Provide, Veto, hook
from locutory_contracts.accounts import ACCOUNTS, AccountDeleted, AccountDeleting
from locutory_testing import SignIn

URL = "/api/user/delete"
REFUSED = {"message": "You do not have permission to delete this account"}


SECRET = "JBSWY3DPEHPK3PXP"
BACKUP = [{"codeHash": hashlib.sha256(b"abcd1234").hexdigest(), "used": False, "usedAt": None}]
WITH_FACTOR = {"twoFactorEnabled": True, "totpSecret": SECRET, "backupCodes": BACKUP}


def code_of(secret: str) -> str:
    """What an app shows now (RFC 6238)."""
    step = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.digest(base64.b32decode(secret), step, "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


class Accounts(Plugin):
    """One account, and nobody who could check its second factor."""

    name = "accounts"
    summary = "Stored accounts; for tests only"
    provides = (ACCOUNTS,)

    def __init__(self) -> None:
        self.deleted: list[str] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNTS, self)]

    async def delete(self, user_id: str) -> bool:
        self.deleted.append(user_id)
        return True


class Keeper(Plugin):
    """Keeps every account."""

    name = "keeper"
    summary = "Vetoes deletions; for tests only"

    @hook
    def subscriptions(self) -> list[On]:
        async def veto(step: AccountDeleting) -> None:
            raise Veto(409, {"message": "a turn cannot be stopped"})

        return [On(AccountDeleting, veto)]


async def delete(ann: Any, body: Any = None) -> Any:
    return await ann.client.request("DELETE", URL, json={} if body is None else body)


async def test_leaves_nothing_of_the_caller(ann: Any) -> None:
    bob = await ann.another()
    async with bob.client:
        for someone in (ann, bob):
            await someone.client.put("/api/user/settings/favorites/tools/tool/a")
            body = {"pluginKey": "x", "action": "install", "auth": {"A": "1"}}
            await someone.client.post("/api/user/plugins", json=body)
        answer = await delete(ann)
        assert (answer.status_code, answer.json()) == (200, {"message": "User deleted"})
        gone = await ann.client.get("/api/user")
        assert (gone.status_code, gone.json()) == (401, {"message": "Unauthorized"})
        assert [row["user"] for row in await bob.rows("toolfavorites")] == [bob.user]
        assert [row["userId"] for row in await bob.rows("pluginauths")] == [bob.id]
        assert [row["_id"] for row in await bob.rows("users")] == [bob.user]
        assert (await bob.client.get("/api/user")).status_code == 200


async def test_can_be_repeated_and_caught_up_with(ann: Any) -> None:
    """The fact comes at least once, also to a plugin that was off when it happened."""
    await ann.client.put("/api/user/settings/favorites/tools/tool/a")
    events = ann.server.kernel.events
    for _ in range(2):
        await events.publish(AccountDeleted(ann.id))
        await events.publish(AccountDeleted(str(ObjectId())))
        await events.publish(AccountDeleted("nonsense"))
    assert await ann.rows("toolfavorites") == []


async def test_off_plugins_catch_up(serve: Any, caller: Any) -> None:
    name = "test_users_catch_up"
    async with caller(database=name) as ann:
        await ann.client.put("/api/user/settings/favorites/tools/tool/a")

    async with serve("auth", database=name) as server:
        await server.kernel.services.get(ACCOUNTS).delete(ann.id)
        stars = server.kernel.database.collection("toolfavorites")
        assert await stars.count_documents({}) == 1
    async with caller(database=name) as bob:
        try:
            assert await bob.rows("toolfavorites") == []
        finally:
            await bob.server.kernel.database.client.drop_database(name)


async def test_can_be_switched_off(caller: Any) -> None:
    off = {"ALLOW_ACCOUNT_DELETION": "false"}
    async with caller(environment=off) as ann:
        answer = await delete(ann)
        assert (answer.status_code, answer.json()) == (403, REFUSED)
        assert len(await ann.rows("users")) == 1
    async with caller(environment=off, fields={"role": "ADMIN"}) as admin:
        assert (await delete(admin)).status_code == 200


async def test_a_veto_keeps_the_account(caller: Any) -> None:
    async with caller(Keeper()) as ann:
        answer = await delete(ann)
        assert (answer.status_code, answer.json()) == (
            409,
            {"message": "a turn cannot be stopped"},
        )
        assert (await ann.client.get("/api/user")).status_code == 200


async def test_one_that_runs_already(ann: Any) -> None:
    await ann.client.get("/api/user")  # remembered for a moment
    users = ann.server.kernel.database.collection("users")
    started = {"agentTriggerDeletionStartedAt": datetime.now(UTC)}
    await users.update_one({}, {"$set": started})
    answer = await delete(ann)
    assert (answer.status_code, answer.json()) == (500, {"message": "Something went wrong."})
    assert len(await ann.rows("users")) == 1


class TestSecondFactor:
    async def test_is_asked_for(self, caller: Any) -> None:
        async with caller(fields=WITH_FACTOR) as ann:
            answer = await delete(ann)
            assert (answer.status_code, answer.json()) == (
                400,
                {
                    "message": "TOTP token or backup code is required to delete account "
                    "with 2FA enabled"
                },
            )
            for wrong in ({"token": "000000"}, {"backupCode": "x"}):
                answer = await delete(ann, wrong)
                assert (answer.status_code, answer.json()) == (
                    401,
                    {"message": "Invalid token or backup code"},
                )
            for hostile in ({"token": {"$gt": ""}}, {"token": 123456}, {"backupCode": ["a"]}):
                assert (await delete(ann, hostile)).status_code == 400
            assert len(await ann.rows("users")) == 1
            assert (await delete(ann, {"token": code_of(SECRET)})).status_code == 200

    async def test_or_a_backup_code(self, caller: Any) -> None:
        async with caller(fields=WITH_FACTOR) as ann:
            assert (await delete(ann, {"backupCode": "abcd1234"})).status_code == 200

    async def test_that_nobody_can_check_keeps_the_account(self, serve: Any) -> None:
        user, accounts = "a" * 24, Accounts()
        session = SignIn({user: {"_id": ObjectId(user), "twoFactorEnabled": True}})
        async with serve("users", session, accounts) as server:
            headers = {"authorization": f"Bearer {user}"}
            answer = await server.client.request("DELETE", URL, json={}, headers=headers)
            assert answer.status_code == 503
            assert accounts.deleted == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_other_methods_are_not_served(ann: Any, method: str) -> None:
    answer = await ann.client.request(method, URL)
    assert (answer.status_code, answer.json()) == (404, {"message": "Endpoint not found"})
