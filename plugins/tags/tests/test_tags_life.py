"""Counts after conversations come and go, deleted accounts, exports, and tags alone."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson
import pytest

from locutory import Plugin, encode
from locutory_contracts.account_data import ACCOUNT_DATA, AccountData
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import ConversationsAdded, ConversationsDeleted


async def tell(world: Any, *facts: Any) -> None:
    for fact in facts:
        await world.server.kernel.events.publish(fact)


def gone(user: str, *ids: str) -> ConversationsDeleted:
    return ConversationsDeleted(user, list(ids), False)


async def wrong_counts(world: Any) -> None:
    """Whatever the reason: a crash, LibreChat's own counting."""
    await world.collection.update_many({}, {"$set": {"count": 77}})


async def test_deleting_conversations(world: Any) -> None:
    talks = [await world.conversation(world.alice.id, "one", "two") for _ in range(3)]
    for tag in ("one", "two", "three"):
        await world.alice.create(tag)
    body = {"arg": {"conversationId": talks[0]}}
    assert (await world.alice.call("DELETE", "/api/convos", body)).status_code == 201
    assert await world.alice.counts() == {"one": 2, "two": 2, "three": 0}
    assert (await world.alice.call("DELETE", "/api/convos/all")).status_code == 201
    assert await world.alice.counts() == {"one": 0, "two": 0, "three": 0}


async def test_facts_that_come_twice(world: Any) -> None:
    """Counted anew, not down: the same fact again changes nothing, and repairs drift."""
    await world.conversation(world.alice.id, "one")
    await world.alice.create("one")
    await world.bob.create("one")
    for _ in range(3):
        await wrong_counts(world)
        await tell(world, gone(world.alice.id, "x"))
        assert await world.alice.counts() == {"one": 1}
    assert await world.bob.counts() == {"one": 77}


@pytest.mark.parametrize("count", [None, "x", ..., -5], ids=str)
async def test_counts_that_are_no_number(world: Any, count: Any) -> None:
    await world.alice.create("one")
    change = {"$unset": {"count": ""}} if count is ... else {"$set": {"count": count}}
    await world.collection.update_one({}, change)
    await tell(world, gone(world.alice.id))
    assert await world.alice.counts() == {"one": 0}


async def test_bookmarks_without_a_name(world: Any, data: AccountData) -> None:
    """LibreChat stores what it is sent: an empty name, or none at all."""
    await world.conversation(world.alice.id, "")
    await world.collection.insert_many(
        [{"user": world.alice.id, "tag": ""}, {"user": world.alice.id, "position": 1}]
    )
    await world.alice.create("one")
    await tell(world, gone(world.alice.id))
    assert [(row.get("tag"), row.get("count")) for row in await world.alice.tags()] == [
        ("", 1),
        (None, 1),
        ("one", 0),
    ]
    assert [record["tag"] for record in await lines(data, world.alice.id)] == ["one"]
    assert (await world.alice.change("one", position=1)).status_code == 200


async def test_added_conversations(world: Any) -> None:
    """Only bookmarks that exist count; none are made."""
    await world.alice.create("one")
    talks = [await world.conversation(world.alice.id, "one", "other") for _ in range(2)]
    await tell(world, ConversationsAdded(world.alice.id, talks, []))
    assert await world.alice.counts() == {"one": 2}


async def test_a_burst_is_counted_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of facts, as an import tells them, are a handful of counts; whoever reads
    sees the last."""
    await world.alice.create("one")
    service = world.server.kernel.services.named(ACCOUNT_DATA, "tags")._tags
    calls: list[Sequence[str]] = []
    original = service._counts

    async def counted(user: str, tags: Sequence[str]) -> Mapping[str, int]:
        calls.append(tags)
        return dict(await original(user, tags))

    monkeypatch.setattr(service, "_counts", counted)
    for _ in range(50):
        await world.conversation(world.alice.id, "one")
        await tell(world, ConversationsAdded(world.alice.id, ["x"], []))
    assert await world.alice.counts() == {"one": 50}
    assert len(calls) < 25
    assert await world.server.kernel.database.collection("locutory_tag_recounts").find_one() is None


async def test_a_server_that_stops_in_a_burst(open_world: Any) -> None:
    """It counts before it stops; killed, another one does at its start."""
    name = f"test_{uuid4().hex}"
    async with open_world(database=name) as world:
        await world.alice.create("one")
        await world.conversation(world.alice.id, "one")
        await tell(world, gone(world.alice.id), gone(world.alice.id))
        notes = world.server.kernel.database.collection("locutory_tag_recounts")
        assert await notes.count_documents({"_id": world.alice.id}) == 1
    async with open_world(database=name) as again:
        notes = again.server.kernel.database.collection("locutory_tag_recounts")
        assert await notes.find_one() is None
        again.alice.id = world.alice.id
        assert await again.alice.counts() == {"one": 1}
        await wrong_counts(again)
        await notes.insert_one({"_id": again.alice.id})
    async with open_world(database=name) as last:
        notes = last.server.kernel.database.collection("locutory_tag_recounts")
        assert await notes.find_one() is None
        last.alice.id = world.alice.id
        assert await last.alice.counts() == {"one": 1}
        await last.server.kernel.database.client.drop_database(name)


async def test_a_deleted_account_leaves_nothing(world: Any) -> None:
    for person in (world.alice, world.bob):
        await person.create("one")
    await tell(world, gone(world.alice.id), gone(world.alice.id))
    for _ in range(2):
        await tell(world, AccountDeleted(world.alice.id))
    assert [row["user"] for row in await world.collection.find().to_list()] == [world.bob.id]
    notes = world.server.kernel.database.collection("locutory_tag_recounts")
    assert await notes.find_one() is None
    await tell(world, gone(world.alice.id))


class Alone(Plugin):
    """In the place of conversations; for tests only."""

    name = "alone"
    summary = "Nothing at all; for tests only"


async def test_without_conversations(open_world: Any) -> None:
    """What touches no conversation works, the rest says what is off."""
    async with open_world(Alone()) as world:
        for tag in ("one", "two"):
            assert (await world.alice.create(tag, addToConversation=True))["count"] == 0
        assert (await world.alice.change("two", position=1, description="x")).status_code == 200
        assert await world.alice.places() == {"two": 1, "one": 2}
        await tell(world, gone(world.alice.id))
        for answer in (
            await world.alice.change("one", tag="three"),
            await world.alice.call("DELETE", "/api/tags/one"),
            await world.alice.call("PUT", "/api/tags/convo/x", {"tags": ["one"]}),
            await world.alice.call(
                "POST",
                "/api/tags",
                {"tag": "new", "addToConversation": True, "conversationId": "x"},
            ),
        ):
            assert answer.status_code == 503
            assert answer.json()["code"] == "FEATURE_OFF"
        assert await world.alice.places() == {"two": 1, "one": 2}


async def lines(data: AccountData, user: str) -> list[Mapping[str, Any]]:
    """An export as its reader sees it."""
    return [orjson.loads(encode(record)) async for record in data.export(user)]


@pytest.fixture
def data(world: Any) -> AccountData:
    found = world.server.kernel.services.named(ACCOUNT_DATA, "tags")
    assert found is not None
    return found


async def test_export_and_restore(world: Any, data: AccountData, without_times: Any) -> None:
    await world.conversation(world.alice.id, "b")
    for tag in ("a", "b", "c"):
        await world.alice.create(tag, description=f"about {tag}")
    await world.alice.change("c", position=1)
    before = await world.alice.tags()
    records = await lines(data, world.alice.id)
    assert records[0] == {"kind": "tag", "tag": "c", "description": "about c"}
    ids: dict[str, str] = {}
    assert [await data.restore(world.alice.id, one, ids) for one in records] == [False] * 3
    await world.collection.delete_many({"user": world.alice.id})
    assert [await data.restore(world.alice.id, one, ids) for one in records] == [True] * 3
    after = [without_times(row) for row in await world.alice.tags()]
    assert after == [
        without_times(row) | {"_id": now["_id"]} for row, now in zip(before, after, strict=True)
    ]
    assert [await data.restore(world.bob.id, one, ids) for one in records] == [True] * 3
    assert await world.bob.counts() == {"c": 0, "a": 0, "b": 0}


@pytest.mark.parametrize(
    "wrong",
    [{}, {"tag": ""}, {"tag": 5}, {"tag": "x" * 2000}, {"tag": "x", "description": {}}],
    ids=lambda value: str(value)[:30],
)
async def test_records_that_make_no_sense(world: Any, data: AccountData, wrong: Any) -> None:
    with pytest.raises(ValueError, match="tag"):
        await data.restore(world.alice.id, {"kind": "tag", **wrong}, {})
    assert await world.alice.tags() == []
