"""Deleted accounts, and prompts in an export."""

from typing import Any

import pytest
from bson import ObjectId

from locutory_contracts.account_data import ACCOUNT_DATA

ANN, BEN, EVE = ("a" * 24, "b" * 24, "e" * 24)
GROUPS = "/api/prompts/groups"


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
        for at in range(60):
            group = await s.make(name=f"P{at}")
        await s.add(group["_id"], "two")
        kept = await s.make(s.ben, name="Ben's")
        if roles:
            await s.share(group["_id"], BEN, "viewer")
        for _ in range(2):  # at least once
            await s.delete_account(ANN)
        assert await traces(s, ANN) == []
        assert await s.names(s.ben) == ["Ben's"]
        assert await s.collection("prompts").count_documents({}) == 1
        if roles:
            (entry,) = await s.collection("aclentries").find({}).to_list()
            assert entry["resourceId"] == ObjectId(kept["_id"])


async def test_what_somebody_else_owns_too_stays_and_becomes_his(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        await s.share(group["_id"], BEN, "owner")
        await s.share(group["_id"], EVE, "viewer")
        await s.add(group["_id"], "by Ben", s.ben)
        await s.delete_account(ANN)
        assert await traces(s, ANN) == []
        shown = (await s.ben.get(f"{GROUPS}/{group['_id']}")).json()
        assert (shown["author"], shown["authorName"]) == (BEN, "Ben")
        versions = (await s.ben.get(f"/api/prompts?groupId={group['_id']}")).json()
        assert [row["author"] for row in versions] == [BEN, BEN]
        assert await s.names(s.eve) == ["Greeter"]
        assert await s.names(s.ben, category="sys__my__prompts__sys") == ["Greeter"]


async def test_versions_in_groups_of_others_pass_to_these(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        await s.share(group["_id"], BEN, "editor")
        version = await s.add(group["_id"], "by Ben", s.ben)
        await s.delete_account(BEN)
        assert await traces(s, BEN) == []
        assert (await s.ann.get(f"/api/prompts/{version}")).json()["author"] == ANN


async def test_groups_of_others_that_only_the_account_owned_go(stage: Any) -> None:
    async with stage() as s:
        group = await s.make()
        await s.share(group["_id"], BEN, "owner")
        await s.unshare(group["_id"], ANN, s.ben)
        await s.delete_account(BEN)
        assert await traces(s, BEN) == []
        assert await s.collection("promptgroups").count_documents({}) == 0
        assert await s.collection("prompts").count_documents({}) == 0
        assert await s.collection("locutory_prompts_leaving").count_documents({}) == 0


async def test_before_entries_the_author_owned(stage: Any) -> None:
    async with stage() as s:
        await s.make()
        await s.collection("aclentries").delete_many({})
        await s.delete_account(ANN)
        assert await traces(s, ANN) == []


async def records(s: Any, user: str) -> list[dict[str, Any]]:
    data = s.server.kernel.services.named(ACCOUNT_DATA, "prompts")
    return [dict(record) async for record in data.export(user)]


@pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])
async def test_out_and_in_again(stage: Any, roles: bool) -> None:
    async with stage(roles=roles) as s:
        group = await s.make(category="code")
        second = await s.add(group["_id"], "two")
        await s.ann.patch(f"/api/prompts/{second}/tags/production")
        await s.add(group["_id"], "three")
        await s.ann.post(f"{GROUPS}/{group['_id']}/use")
        await s.make(name="Small", command=None)
        await s.make(s.ben, name="Ben's")
        out = await records(s, ANN)
        assert len(out) == 2
        assert not mentions(out, ANN)
        before = {row["name"]: row for row in (await s.ann.get("/api/prompts/all")).json()}
        data = s.server.kernel.services.named(ACCOUNT_DATA, "prompts")
        ids: dict[str, str] = {}
        # Still there: nothing to do.
        assert [await data.restore(ANN, record, ids) for record in out] == [False, False]
        assert ids == {row["_id"]: row["_id"] for row in before.values()}
        # Somebody else's account gets copies of its own, once.
        assert [await data.restore(EVE, record, ids) for record in out] == [True, True]
        assert [await data.restore(EVE, record, ids) for record in out] == [False, False]
        after = {row["name"]: row for row in (await s.eve.get("/api/prompts/all")).json()}
        assert after.keys() == before.keys()
        for name, row in after.items():
            old = before[name]
            assert ids[old["_id"]] == row["_id"] != old["_id"]
            assert (row["author"], row["authorName"]) == (EVE, "Eve")
            for key in ("oneliner", "category", "command", "createdAt", "updatedAt"):
                assert row.get(key) == old.get(key)
            assert row["numberOfGenerations"] == old["numberOfGenerations"]
            assert row["productionPrompt"]["prompt"] == old["productionPrompt"]["prompt"]
        path = f"/api/prompts?groupId={ids[group['_id']]}"
        versions = (await s.eve.get(path)).json()
        assert [row["prompt"] for row in versions] == ["three", "two", "Say hi to {{name}}"]
        # After the original is gone it comes back.
        await s.ann.delete(f"{GROUPS}/{group['_id']}")
        restored = [await data.restore(ANN, record, ids) for record in out]
        assert sorted(restored) == [False, True]
        assert set(await s.names(s.ann)) == {"Greeter", "Small"}
        assert (await records(s, "nonsense")) == []


WRONG: list[Any] = [
    {"name": None},
    {"name": ""},
    {"name": {"$gt": ""}},
    {"command": "NOT THIS"},
    {"versions": []},
    {"versions": None},
    {"versions": [{"prompt": 5}]},
    {"versions": [{"prompt": "x", "type": "image"}]},
    {"id": None},
    {"numberOfGenerations": -1},
    {"numberOfGenerations": 10**30},
]


async def test_records_that_make_no_sense(stage: Any) -> None:
    async with stage() as s:
        for wrong in WRONG:
            data = s.server.kernel.services.named(ACCOUNT_DATA, "prompts")
            record = {"kind": "prompt", "id": "x", "name": "N", "versions": [{"prompt": "t"}]}
            with pytest.raises(ValueError, match="cannot be restored"):
                await data.restore(ANN, {**record, **wrong}, {})
            assert await s.collection("prompts").count_documents({}) == 0
        odd = {**record, "createdAt": "yesterday", "author": BEN, "unknown": 1}
        assert await data.restore(ANN, odd, {})
        assert await s.names(s.ann) == ["N"]
