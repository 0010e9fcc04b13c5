"""Memories of real accounts: the opt-out, export and restore, deletion."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from bson import ObjectId

from locutory import Principal
from locutory_contracts.account_data import ACCOUNT_DATA
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.chat import CONTEXT_SOURCES, Turn
from locutory_testing import Serve, SignIn
from locutory_testing.waiting import until

PREFERENCES = "/api/memories/preferences"


@asynccontextmanager
async def account(server: Any, **fields: Any) -> AsyncIterator[tuple[ObjectId, Any]]:
    """A stored account, and a client that is signed in to it."""
    user = ObjectId()
    moment = datetime.now(UTC)
    document = {
        "_id": user,
        "name": "Ann",
        "email": f"{user}@example.com",
        "provider": "local",
        "role": "USER",
        "personalization": {"memories": True, "statefulCodeEnvironment": "user"},
        "createdAt": moment,
        "updatedAt": moment,
        **fields,
    }
    await server.kernel.database.collection("users").insert_one(document)
    claims = {"id": str(user), "exp": int(moment.timestamp()) + 900}
    token = jwt.encode(claims, server.kernel.credentials.jwt_secret)
    async with server.connect(token) as client:
        yield user, client


@pytest.mark.parametrize(
    "before", [{"memories": True, "statefulCodeEnvironment": "user"}, {}, None]
)
async def test_preferences(serve: Serve, before: Any) -> None:
    async with (
        serve("auth", "users", "memories", yaml={"memory": {}}) as server,
        account(server, personalization=before) as (user, client),
    ):
        for wanted in (False, True, False):
            answer = await client.patch(PREFERENCES, json={"memories": wanted})
            assert (answer.status_code, answer.json()) == (
                200,
                {"updated": True, "preferences": {"memories": wanted}},
            )
            shown = (await client.get("/api/user")).json()["personalization"]
            assert shown["memories"] is wanted
        stored = await server.kernel.database.collection("users").find_one({"_id": user})
        assert stored["personalization"] == {**(before or {}), "memories": False}
        for wrong in ({"memories": "x"}, {"memories": 1}, {}, {"memories": {"$ne": True}}):
            answer = await client.patch(PREFERENCES, json=wrong)
            assert (answer.status_code, answer.json()) == (
                400,
                {"error": "memories must be a boolean value."},
            )
        # The next chat goes by it.
        found = await server.kernel.services.get(ACCOUNTS).find(str(user))
        await client.post("/api/memories", json={"key": "a", "value": "x"})
        turn = Turn(Principal(str(user), account=found), "c", "u", "r", "e", "m", "", {}, {}, False)
        source = server.kernel.services.named(CONTEXT_SOURCES, "memories")
        assert await source.context(turn) is None
        await client.patch(PREFERENCES, json={"memories": True})
        found = await server.kernel.services.get(ACCOUNTS).find(str(user))
        turn = Turn(Principal(str(user), account=found), "c", "u", "r", "e", "m", "", {}, {}, False)
        assert "x" in (await source.context(turn) or "")


async def test_preferences_without_accounts(serve: Serve, kit) -> None:
    async with serve("memories", SignIn()) as server:
        answer = await kit.Person(server.client).call("PATCH", "/preferences", {"memories": False})
        assert answer.status_code == 503


async def test_deleting_an_account(serve: Serve) -> None:
    async with (
        serve("auth", "users", "memories") as server,
        account(server) as (user, client),
        account(server) as (_, other),
    ):
        for person in (client, other):
            await person.post("/api/memories", json={"key": "a", "value": "x"})
        assert await server.kernel.services.get(ACCOUNTS).delete(str(user))
        rows = server.kernel.database.collection("memoryentries")
        assert await rows.count_documents({"userId": user}) == 0
        assert await rows.count_documents({}) == 1


async def test_account_deleted_while_the_plugin_is_off(serve: Serve) -> None:
    """The memories go when the plugin is next on."""
    name = f"test_{ObjectId()}"
    async with (
        serve("auth", "users", "memories", database=name) as server,
        account(server) as (user, client),
    ):
        await client.post("/api/memories", json={"key": "a", "value": "x"})
    async with serve("auth", "users", database=name) as server:
        assert await server.kernel.services.get(ACCOUNTS).delete(str(user))
        rows = server.kernel.database.collection("memoryentries")
        assert await rows.count_documents({}) == 1
    async with serve("auth", "users", "memories", database=name) as server:
        rows = server.kernel.database.collection("memoryentries")

        async def gone() -> bool:
            return await rows.count_documents({}) == 0

        await until(gone)
        await server.kernel.database.client.drop_database(name)


async def test_export_and_restore(serve: Serve, kit) -> None:
    """A round trip keeps keys, values, scopes and dates; what is there already stays."""
    limits = {"memory": {"tokenLimit": 30, "charLimit": 40}}
    async with serve("endpoints", "memories", SignIn(), yaml=limits) as server:
        ann, bob = kit.Person(server.client), kit.Person(server.client, kit.other)
        data = server.kernel.services.named(ACCOUNT_DATA, "memories")
        await ann.remember("town", "The user lives in Ulm.")
        await ann.remember("town", "Another.", agentId="agent_x")
        rows = server.kernel.database.collection("memoryentries")
        await rows.insert_one({"userId": ObjectId(ann.user), "key": "Old Key", "value": "v"})
        records = [record async for record in data.export(ann.user)]
        assert [record["key"] for record in records] == ["Old Key", "town", "town"]
        assert set(records[0]) == {"kind", "key", "value"}
        assert set(records[2]) == {"kind", "key", "value", "agentId", "updated_at"}
        assert all(record["kind"] == "memory" for record in records)
        ids = {"agent_x": "agent_y"}
        assert [await data.restore(bob.user, record, ids) for record in records] == [True] * 3
        assert [await data.restore(bob.user, record, ids) for record in records] == [False] * 3
        theirs = (await bob.call("GET")).json()["memories"]
        mine = (await ann.call("GET")).json()["memories"]
        town = next(m for m in theirs if m["key"] == "town" and "agentId" not in m)
        assert town["updated_at"] == next(
            m["updated_at"] for m in mine if m["key"] == "town" and "agentId" not in m
        )
        assert {m.get("agentId") for m in theirs} == {None, "agent_y"}
        for record in (
            {},
            {"key": "a"},
            {"key": "", "value": "x"},
            {"key": "nothing", "value": "x"},
            {"key": {"$ne": 1}, "value": "x"},
            {"key": "a", "value": "x" * 41},
            {"key": "a", "value": "x", "agentId": 7},
            {"key": "a", "value": "a b c d e f g h i j k l m n o p"},
        ):
            if record.get("value", "").startswith("a b"):
                await data.restore(bob.user, {**record, "key": "b"}, {})
            with pytest.raises(ValueError):
                await data.restore(bob.user, record, {})
        assert await data.restore(
            bob.user, {"key": "z", "value": "x", "updated_at": "nonsense", "agentId": "a"}, {}
        )
        # Dates that no calendar holds in UTC, and one of the future.
        for key, text in (
            ("early", "0001-01-01T00:00:00+14:00"),
            ("late", "9999-12-31T23:59:59-14:00"),
            ("future", "2999-01-01T00:00:00Z"),
        ):
            record = {"key": key, "value": "x", "agentId": "a", "updated_at": text}
            assert await data.restore(bob.user, record, {})
        dated = {m["key"]: m["updated_at"] for m in (await bob.call("GET")).json()["memories"]}
        assert all(dated[key].startswith("20") for key in ("early", "late", "future"))
        assert dated["future"] < "2900"
