"""Deleted accounts, exports, and tenants."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson
import pytest
from bson import ObjectId

from locutory import AUTHENTICATORS, Plugin, Principal, Provide, Request, encode, hook
from locutory_contracts.account_data import ACCOUNT_DATA, AccountData
from locutory_contracts.accounts import AccountDeleted
from locutory_testing import Serve


async def lines(data: AccountData, user: str) -> list[Mapping[str, Any]]:
    """An export as its reader sees it."""
    return [orjson.loads(encode(record)) async for record in data.export(user)]


@pytest.fixture
def data(world: Any) -> AccountData:
    found = world.server.kernel.services.named(ACCOUNT_DATA, "presets")
    assert found is not None
    return found


async def test_a_deleted_account_leaves_nothing(world: Any) -> None:
    for _ in range(3):
        await world.alice.save()
    kept = await world.bob.save()
    for _ in range(2):  # at least once
        await world.server.kernel.events.publish(AccountDeleted(world.alice.id))
    rows = await world.collection.find({}).to_list()
    assert [row["presetId"] for row in rows] == [kept["presetId"]]


async def test_export_and_restore(world: Any, data: AccountData) -> None:
    await world.alice.save(title="1", temperature=0.5, tools=["a"], examples=[{"a": 1}])
    await world.alice.save(title="2", defaultPreset=True)
    records = await lines(data, world.alice.id)
    assert not any({"user", "_id", "tenantId", "__v"} & record.keys() for record in records)
    assert {record["kind"] for record in records} == {"preset"}
    before = await world.alice.presets()
    ids: dict[str, str] = {}
    assert [await data.restore(world.alice.id, record, ids) for record in records] == [False] * 2
    await world.alice.call("POST", "/api/presets/delete")
    for record in records:
        assert await data.restore(world.alice.id, record, ids)
    assert {key: value for key, value in ids.items() if key != value} == {}
    unlike = ("_id", "createdAt", "updatedAt")
    after = await world.alice.presets()
    assert [{k: v for k, v in row.items() if k not in unlike} for row in after] == [
        {k: v for k, v in row.items() if k not in unlike} for row in before
    ]


async def test_restoring_keeps_dates_and_order(world: Any, data: AccountData) -> None:
    made = [await world.alice.save(title=str(number)) for number in range(3)]
    await world.alice.save(presetId=made[0]["presetId"], title="changed last")
    before = [(row["title"], row["updatedAt"]) for row in await world.alice.presets()]
    assert [title for title, _ in before] == ["changed last", "2", "1"]
    for record in await lines(data, world.alice.id):
        assert await data.restore(world.bob.id, record, {})
    assert [(row["title"], row["updatedAt"]) for row in await world.bob.presets()] == before
    future = {"kind": "preset", "title": "future", "updatedAt": "2999-01-01T00:00:00.000Z"}
    assert await data.restore(world.bob.id, future, {})
    assert (await world.bob.presets())[0]["updatedAt"] < "2900"


async def test_restoring_twice_for_somebody_else_makes_one(world: Any, data: AccountData) -> None:
    mine = await world.alice.save(title="shared")
    [record] = await lines(data, world.alice.id)
    first: dict[str, str] = {}
    again: dict[str, str] = {}
    assert await data.restore(world.bob.id, record, first)
    assert not await data.restore(world.bob.id, record, again)
    assert first == again == {mine["presetId"]: (await world.bob.presets())[0]["presetId"]}
    assert len(await world.bob.presets()) == 1


async def test_restoring_what_somebody_else_has(world: Any, data: AccountData) -> None:
    """A copy with a new id; the reader's own default stays."""
    mine = await world.alice.save(title="shared", defaultPreset=True)
    chosen = await world.bob.save(title="chosen", defaultPreset=True)
    [record] = await lines(data, world.alice.id)
    ids: dict[str, str] = {}
    assert await data.restore(world.bob.id, record, ids)
    [first, second] = await world.bob.presets()
    assert first == chosen
    assert second["presetId"] == ids[mine["presetId"]] != mine["presetId"]
    assert "defaultPreset" not in second
    assert await world.alice.presets() == [mine]


@pytest.mark.parametrize(
    "wrong",
    [
        {"createdAt": "soon"},
        {"presetId": 5},
        {"temperature": {}},
        {"defaultPreset": []},
        {"presetId": "x" * 1000},
    ],
    ids=str,
)
async def test_records_that_make_no_sense(world: Any, data: AccountData, wrong: Any) -> None:
    with pytest.raises(ValueError, match="date" if "createdAt" in wrong else next(iter(wrong))):
        await data.restore(world.alice.id, {"kind": "preset", **wrong}, {})
    assert await world.alice.presets() == []


async def test_a_record_without_an_id(world: Any, data: AccountData) -> None:
    assert await data.restore(world.alice.id, {"kind": "preset", "title": "x"}, {})
    assert [row["title"] for row in await world.alice.presets()] == ["x"]


class Tenants(Plugin):
    """Signs in somebody of the tenant ``acme``."""

    name = "tenants"
    summary = "Signs in a user of a tenant; for tests only"
    provides = (AUTHENTICATORS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(AUTHENTICATORS, self, "session")]

    async def authenticate(self, request: Request) -> Principal:
        return Principal(id=str(ObjectId()), tenant="acme")


async def test_the_tenant_is_written(serve: Serve) -> None:
    async with serve("presets", Tenants()) as server:
        answer = await server.client.post("/api/presets", json={"presetId": str(uuid4())})
        assert answer.json()["tenantId"] == "acme"


async def test_a_record_with_what_no_database_keeps(world: Any, data: AccountData) -> None:
    """Keys that are operators are dropped, as on the wire; what is left must be storable."""
    record = {"kind": "preset", "presetId": "x", "examples": [{"$set": 1, "a.b": 1, "c": 1}]}
    assert await data.restore(world.alice.id, record, {})
    assert (await world.alice.presets())[0]["examples"] == [{"c": 1}]
    with pytest.raises(ValueError, match="stored"):
        await data.restore(world.alice.id, {"kind": "preset", "examples": [2**63]}, {})
