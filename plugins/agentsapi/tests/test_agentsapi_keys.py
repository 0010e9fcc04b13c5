"""``/api/api-keys`` (contract api-keys §1, §2)."""

import asyncio
import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory import iso, now
from locutory_contracts.accounts import AccountDeleted
from locutory_testing import Serve, SignIn
from locutory_testing.waiting import until


async def test_a_key_is_shown_once(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make(name="  Nightly  ")
        assert re.fullmatch(r"sk-[0-9a-f]{64}", made["key"])
        assert made.keys() == {"id", "name", "key", "keyPrefix", "createdAt"}
        assert made["name"] == "Nightly"
        assert made["keyPrefix"] == made["key"][:8]
        item = {name: made[name] for name in ("id", "name", "keyPrefix", "createdAt")}
        assert await it.ann.listed() == [item]
        assert (await it.ann.call("GET", f"/{made['id']}")).json() == item


async def test_what_is_stored(world: Any) -> None:
    async with world() as it:
        ends = now() + timedelta(days=1)
        made = await it.ann.make(expiresAt=iso(ends))
        stored = await it.rows.find_one({})
        assert stored is not None
        assert made["key"] not in str(stored)
        assert made["expiresAt"] == iso(ends)
        assert stored == {
            "_id": ObjectId(made["id"]),
            "userId": ObjectId(it.ann.id),
            "name": "k1",
            "keyHash": hashlib.sha256(made["key"].encode()).hexdigest(),
            "keyPrefix": made["key"][:8],
            "expiresAt": ends,
            "createdAt": stored["createdAt"],
            "updatedAt": stored["createdAt"],
            "__v": 0,
        }
        indexes = await it.rows.index_information()
        assert indexes["expiresAt_1"]["expireAfterSeconds"] == 0
        assert {"userId_1", "keyHash_1", "keyPrefix_1", "userId_1_name_1_tenantId_1"} <= set(
            indexes
        )


async def test_newest_first_and_duplicates_are_allowed(world: Any) -> None:
    async with world() as it:
        made = [(await it.ann.make(name="same"))["id"] for _ in range(3)]
        assert [key["id"] for key in await it.ann.listed()] == made[::-1]


async def test_a_role_without_the_permission_is_refused(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make()
        it.ann.role = "USER"
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", f"/{made['id']}"),
            ("DELETE", f"/{made['id']}"),
        ):
            answer = await it.ann.call(method, path, {"name": "k"} if method == "POST" else None)
            assert answer.status_code == 403
            assert answer.json() == {"message": "Forbidden: Insufficient permissions"}
        assert await it.rows.count_documents({}) == 1


async def test_deleting(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make()
        assert (await it.use(made["key"])).status_code == 200
        gone = await it.ann.call("DELETE", f"/{made['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await it.use(made["key"])).status_code == 401
        again = await it.ann.call("DELETE", f"/{made['id']}")
        assert (again.status_code, again.json()) == (404, {"error": "API key not found"})


async def test_anothers_key_answers_as_one_that_does_not_exist(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make()
        ids = [made["id"], str(ObjectId()), "nonsense", "0" * 24, "%24ne", "%00", "a" * 5000]
        for method in ("GET", "DELETE"):
            for key_id in ids:
                answer = await it.bob.call(method, f"/{key_id}")
                assert answer.status_code == 404, key_id
                assert answer.json() == {"error": "API key not found"}
        assert await it.bob.listed() == []
        assert len(await it.ann.listed()) == 1


@pytest.mark.parametrize(
    "name",
    [None, "", "   ", 5, True, ["k"], {"$ne": ""}, {"name": "k"}],
    ids=["null", "empty", "blank", "number", "flag", "list", "operator", "object"],
)
async def test_a_name_is_required(world: Any, name: Any) -> None:
    async with world() as it:
        answer = await it.ann.call("POST", "", {"name": name})
        assert answer.status_code == 400
        assert answer.json() == {"error": "API key name is required"}


async def test_other_bodies(world: Any) -> None:
    async with world() as it:
        wrong: list[Any] = [{}, [], ["name"]]
        for body in wrong:
            answer = await it.ann.call("POST", "", body)
            assert answer.json() == {"error": "API key name is required"}
        assert (await it.ann.call("POST", "", {"name": "k" * 101})).status_code == 400
        assert (await it.ann.call("POST", "", {"name": " " + "k" * 100 + " "})).status_code == 201


async def test_text_that_cannot_be_stored(world: Any) -> None:
    async with world() as it:
        headers = {
            "authorization": f"Bearer {it.ann.id}:ADMIN",
            "content-type": "application/json",
        }
        for body in (rb'{"name": "\ud83d"}', b'{"name": "\xff"}', rb'{"name": "a\u0000b"}'):
            answer = await it.server.client.post("/api/api-keys", content=body, headers=headers)
            assert answer.status_code in (201, 400), answer.text
        assert (await it.ann.call("GET", "")).status_code == 200


async def test_members_that_are_not_the_callers_to_set(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make(
            userId=it.bob.id, keyHash="0" * 64, keyPrefix="sk-00000", lastUsedAt="x", tenantId="t"
        )
        stored = await it.rows.find_one({"_id": ObjectId(made["id"])})
        assert stored is not None
        assert stored["userId"] == ObjectId(it.ann.id)
        assert stored["keyHash"] != "0" * 64
        assert "lastUsedAt" not in stored
        assert "tenantId" not in stored


@pytest.mark.parametrize(
    "date",
    [
        "tomorrow",
        "2020-01-01T00:00:00.000Z",
        "2099-13-01",
        "9999-12-31T23:59:59-23:00",
        5,
        1e300,
        True,
        ["2099-01-01"],
        {"$gt": ""},
        "2099-01-01T00:00:00Z" + "0" * 1000,
    ],
    ids=str,
)
async def test_a_date_that_is_none_or_past(world: Any, date: Any) -> None:
    async with world() as it:
        answer = await it.ann.call("POST", "", {"name": "k", "expiresAt": date})
        assert answer.status_code == 400
        assert "expiresAt" in answer.text
        assert await it.rows.count_documents({}) == 0


async def test_dates_that_mean_never_and_dates_without_a_zone(world: Any) -> None:
    async with world() as it:
        for never in (None, ""):
            assert "expiresAt" not in await it.ann.make(expiresAt=never)
        assert (await it.ann.make(expiresAt="2099-01-01"))["expiresAt"].startswith("2099-01-01T00")
        moved = await it.ann.make(expiresAt="2099-01-01T00:00:00+02:00")
        assert moved["expiresAt"] == "2098-12-31T22:00:00.000Z"


async def test_no_more_keys_than_allowed(world: Any) -> None:
    async with world(yaml={"plugins": {"agentsapi": {"max_keys": 3}}}) as it:
        tries = await asyncio.gather(
            *(it.ann.call("POST", "", {"name": f"k{number}"}) for number in range(12))
        )
        assert await it.rows.count_documents({}) <= 3
        assert {answer.status_code for answer in tries} <= {201, 400}
        while len(await it.ann.listed()) < 3:
            await it.ann.make()
        full = await it.ann.call("POST", "", {"name": "one more"})
        assert full.status_code == 400
        assert full.json() == {"error": "You have 3 API keys already; delete one first"}
        await it.bob.make()


async def test_scopes(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make(scopes=["agents:read", "agents:read"])
        assert made["scopes"] == ["agents:read"]
        assert (await it.ann.listed())[0]["scopes"] == ["agents:read"]
        for wrong in ([], "agents:read", ["all"], [5], [["agents:read"]], {"$gt": ""}, True):
            answer = await it.ann.call("POST", "", {"name": "k", "scopes": wrong})
            assert answer.status_code == 400
            assert answer.json() == {
                "error": "scopes must be a list of some of: agents:read, agents:run"
            }


async def test_keys_of_a_deleted_account_are_deleted(world: Any) -> None:
    async with world() as it:
        mine = await it.ann.make()
        theirs = await it.bob.make()
        for _ in range(2):
            await it.server.kernel.events.publish(AccountDeleted(it.ann.id))
        await it.server.kernel.events.publish(AccountDeleted("no id"))

        async def gone() -> bool:
            return bool(await it.rows.count_documents({}) == 1)

        await until(gone)
        assert (await it.use(mine["key"])).status_code == 401
        assert (await it.use(theirs["key"])).status_code == 200


async def test_without_accounts_keys_can_be_kept_but_not_used(serve: Serve) -> None:
    async with serve("agentsapi", SignIn()) as server:
        client, admin = server.client, {"authorization": f"Bearer {'a' * 24}:ADMIN"}
        made = await client.post("/api/api-keys", json={"name": "k"}, headers=admin)
        assert made.status_code == 201
        bearer = {"authorization": f"Bearer {made.json()['key']}"}
        assert (await client.get("/api/agents/v1/models", headers=bearer)).status_code == 503
