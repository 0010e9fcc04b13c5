"""Deleted accounts, and agents in an export."""

from typing import Any

import pytest
from bson import ObjectId

from locutory_contracts.account_data import ACCOUNT_DATA

ANN, BEN, EVE = ("a" * 24, "b" * 24, "e" * 24)


def mentions(value: Any, user: str) -> bool:
    if isinstance(value, dict):
        return any(mentions(inner, user) for inner in value.values())
    if isinstance(value, list):
        return any(mentions(inner, user) for inner in value)
    return value in (user, ObjectId(user))


async def traces(s: Any, user: str) -> list[str]:
    """Collections that name a user. Who granted an entry is not this plugin's affair."""
    database = s.server.kernel.database.client[s.server.kernel.database.name]
    return [
        name
        for name in await database.list_collection_names()
        if name != "locutory_outbox"
        and mentions(await database[name].find({}, {"grantedBy": 0}).to_list(), user)
    ]


@pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])
async def test_a_deleted_account_leaves_nothing(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        made = await s.make(name="A")
        await s.ann.patch(f"/api/agents/{made['id']}", json={"name": "B"})
        await s.make(s.ben, name="Ben's")
        for _ in range(2):  # at least once
            await s.delete_account(ANN)
        assert await traces(s, ANN) == []
        assert await s.names(s.ben) == ["Ben's"]


async def test_what_somebody_else_owns_too_becomes_his(stage: Any) -> None:
    async with stage() as s:
        made = await s.make(name="A")
        await s.share(made, BEN, "owner")
        await s.ann.patch(f"/api/agents/{made['id']}", json={"name": "B"})
        await s.delete_account(ANN)
        assert await traces(s, ANN) == []
        assert (await s.ben.get(f"/api/agents/{made['id']}/expanded")).json()["author"] == BEN


async def test_an_editor_leaves_no_name_in_versions(stage: Any) -> None:
    async with stage() as s:
        made = await s.make(name="A")
        await s.share(made, BEN, "editor")
        await s.ben.patch(f"/api/agents/{made['id']}", json={"name": "B"})
        await s.delete_account(BEN)
        assert await traces(s, BEN) == []
        assert await s.names(s.ann) == ["B"]


async def records(s: Any, user: str) -> list[dict[str, Any]]:
    data = s.server.kernel.services.named(ACCOUNT_DATA, "agentbuilder")
    return [dict(record) async for record in data.export(user)]


@pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])
async def test_out_and_in_again(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        first = await s.make(name="A", tools=["calculator"], tool_resources={})
        await s.make(name="B", edges=[{"from": "", "to": first["id"]}])
        await s.make(s.ben, name="Ben's")
        out = await records(s, ANN)
        assert len(out) == 2
        assert not mentions(out, ANN)
        data = s.server.kernel.services.named(ACCOUNT_DATA, "agentbuilder")
        ids: dict[str, str] = {}
        assert [await data.restore(ANN, record, ids) for record in out] == [False, False]
        ids = {}
        assert [await data.restore(EVE, record, ids) for record in out] == [True, True]
        assert [await data.restore(EVE, record, ids) for record in out] == [False, False]
        assert sorted(await s.names(s.eve)) == ["A", "B"]
        restored = {
            row["name"]: row async for row in s.collection("agents").find({"author": ObjectId(EVE)})
        }
        assert restored["A"]["tools"] == ["calculator"]
        assert restored["B"]["edges"] == [{"from": restored["B"]["id"], "to": restored["A"]["id"]}]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"id": 7},
        {"id": "x", "provider": "Fake"},
        {"id": "x", "provider": "Fake", "model": {"$gt": ""}},
        {"id": "x" * 300, "provider": "Fake", "model": "fake"},
    ],
)
async def test_what_cannot_be_restored(stage: Any, record: dict[str, Any]) -> None:
    async with stage(roles=False) as s:
        data = s.server.kernel.services.named(ACCOUNT_DATA, "agentbuilder")
        with pytest.raises(ValueError, match="This agent cannot be restored"):
            await data.restore(ANN, record, {})


async def test_a_record_brings_no_rights(stage: Any) -> None:
    """Whoever wrote the file by hand gets an agent of their own, and nothing of anybody else."""
    async with stage() as s:
        bens = await s.make(s.ben, name="Ben's")
        forged = {
            "id": bens["id"],
            "provider": "Fake",
            "model": "fake",
            "name": "mine",
            "author": BEN,
            "is_promoted": True,
            "versions": [1],
            "tool_resources": {"context": {"file_ids": ["ben-1"]}},
            "avatar": {"filepath": "https://evil.example/x", "source": "local"},
        }
        data = s.server.kernel.services.named(ACCOUNT_DATA, "agentbuilder")
        ids: dict[str, str] = {}
        assert await data.restore(ANN, forged, ids)
        assert ids[bens["id"]] != bens["id"]
        row = await s.collection("agents").find_one({"id": ids[bens["id"]]})
        assert (str(row["author"]), row["is_promoted"]) == (ANN, False)
        assert not {"avatar", "tool_resources"} & row.keys()
        assert await s.names(s.ben) == ["Ben's"]
