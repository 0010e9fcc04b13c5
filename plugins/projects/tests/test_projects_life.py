"""Deleted accounts, exports, the service, odd input, and projects alone."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from bson import ObjectId

from locutory import Plugin, encode
from locutory_contracts.account_data import ACCOUNT_DATA, AccountData
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import PROJECTS, ConversationsDeleted

JUNK: tuple[Any, ...] = (
    *({"$gt": ""}, {"$ne": None}, {"a": {"b": 1}}, ["a"], [], {}, 5, 1.5, True, None, 2**64),
    *("", "x" * 20_000, "a\0b", "\U0001f600"),
)


async def test_members_of_any_type(world: Any) -> None:
    """Never a server error, and nothing of others changes."""
    theirs = await world.bob.create("theirs")
    made = await world.alice.create("mine")
    talk = await world.conversation(world.alice.id)
    for method, path in (
        ("POST", "/api/projects"),
        ("PATCH", f"/api/projects/{made['_id']}"),
        ("PUT", f"/api/projects/conversations/{talk}"),
    ):
        for body in [[], [1], "text", 5, True]:
            assert (await world.alice.call(method, path, body)).status_code == 400
        for member in ("name", "description", "projectId", "user"):
            for value in JUNK:
                answer = await world.alice.call(method, path, {"name": "n", member: value})
                assert answer.status_code in (200, 201, 400, 404), (path, member, value)
    assert (await world.bob.page())["projects"] == [theirs]


@pytest.mark.parametrize(
    "part", ["%24ne", "%00", "..%2f", "%ff%fe", "x" * 4000, "%7B%22a%22%3A1%7D", "%", "%zz"]
)
async def test_odd_paths(world: Any, part: str) -> None:
    for method, path, body in (
        ("GET", f"/api/projects/{part}", ...),
        ("PATCH", f"/api/projects/{part}", {"name": "x"}),
        ("DELETE", f"/api/projects/{part}", ...),
        ("PUT", f"/api/projects/conversations/{part}", {"projectId": None}),
    ):
        answer = await world.alice.call(method, path, body)
        assert answer.status_code in (400, 404), (method, path, answer.text)


async def test_the_service(world: Any) -> None:
    mine, theirs = await world.alice.create("mine"), await world.bob.create("theirs")
    projects = world.server.kernel.services.get(PROJECTS)
    assert await projects.owns(world.alice.id, mine["_id"])
    for identity in (theirs["_id"], str(ObjectId()), "", "x", "a" * 12, "z" * 24):
        assert not await projects.owns(world.alice.id, identity)


async def test_a_deleted_account_leaves_nothing(world: Any) -> None:
    mine, kept = await world.alice.create("mine"), await world.bob.create("kept")
    fact = ConversationsDeleted(world.alice.id, ["x"], False, [mine["_id"]])
    await world.tell(fact, fact)
    for _ in range(2):
        await world.tell(AccountDeleted(world.alice.id))
    assert [str(row["_id"]) for row in await world.collection.find().to_list()] == [kept["_id"]]
    notes = world.server.kernel.database.collection("locutory_project_recounts")
    assert await notes.find_one() is None
    await world.tell(fact)


class Alone(Plugin):
    """In the place of conversations; for tests only."""

    name = "alone"
    summary = "Nothing at all; for tests only"


async def test_without_conversations(open_world: Any) -> None:
    """Projects can be kept; what touches conversations says what is off."""
    async with open_world(Alone()) as world:
        made = await world.alice.create("one")
        path = f"/api/projects/{made['_id']}"
        assert (await world.alice.call("PATCH", path, {"name": "two"})).json()["name"] == "two"
        await world.tell(ConversationsDeleted(world.alice.id, ["x"], False, [made["_id"]]))
        for answer in (
            await world.alice.call("DELETE", path),
            await world.alice.call("PUT", "/api/projects/conversations/x", {}),
        ):
            assert answer.status_code == 503
            assert answer.json()["code"] == "FEATURE_OFF"
        assert await world.alice.names() == ["two"]


async def lines(data: AccountData, user: str) -> list[Mapping[str, Any]]:
    """An export as its reader sees it."""
    return [orjson.loads(encode(record)) async for record in data.export(user)]


@pytest.fixture
def data(world: Any) -> AccountData:
    found = world.server.kernel.services.named(ACCOUNT_DATA, "projects")
    assert found is not None
    return found


async def test_export_and_restore(world: Any, data: AccountData) -> None:
    """To another account, where they get new ids, and once only."""
    made = [await world.alice.create(name, description="d") for name in ("one", "two", "two")]
    await world.collection.update_one({"name": "one"}, {"$set": {"conversationCount": 3}})
    records = await lines(data, world.alice.id)
    assert records[0] == {
        "kind": "project",
        "id": made[0]["_id"],
        "name": "one",
        "description": "d",
        "createdAt": made[0]["createdAt"],
    }
    ids: dict[str, str] = {}
    assert [await data.restore(world.alice.id, one, ids) for one in records] == [False] * 3
    assert ids == {row["_id"]: row["_id"] for row in made}
    ids.clear()
    assert [await data.restore(world.bob.id, one, ids) for one in records] == [True] * 3
    copies = await lines(data, world.bob.id)
    unlike = [{**row, "id": ids[row["id"]]} for row in records]
    assert copies == unlike
    assert not {row["_id"] for row in made} & set(ids.values())
    first = await world.bob.project(ids[made[0]["_id"]])
    assert first["conversationCount"] == 0
    again: dict[str, str] = {}
    assert [await data.restore(world.bob.id, one, again) for one in records] == [False] * 3
    assert again == ids


@pytest.mark.parametrize(
    "wrong",
    [
        *({}, {"name": 5}, {"name": " "}, {"name": "x", "description": []}),
        *({"name": "x", "createdAt": "never"}, {"name": "x", "createdAt": 5}),
        {"name": "x", "createdAt": "0001-01-01T00:00:00+14:00"},  # before the first year
    ],
    ids=str,
)
async def test_records_that_make_no_sense(world: Any, data: AccountData, wrong: Any) -> None:
    with pytest.raises(ValueError, match="project"):
        await data.restore(world.alice.id, {"kind": "project", **wrong}, {})
    assert await world.alice.names() == []


async def test_records_of_another_server(world: Any, data: AccountData) -> None:
    """What is missing is made up, what is too long is cut, the future is now."""
    record = {"id": "somewhere", "name": "n" * 500, "createdAt": "2999-01-01T00:00:00Z"}
    ids: dict[str, str] = {}
    assert await data.restore(world.alice.id, record, ids)
    assert await data.restore(world.alice.id, {"name": "bare"}, ids)
    assert list(ids) == ["somewhere"]
    row = await world.alice.project(ids["somewhere"])
    assert (len(row["name"]), row["description"]) == (100, "")
    assert not row["createdAt"].startswith("2999")
