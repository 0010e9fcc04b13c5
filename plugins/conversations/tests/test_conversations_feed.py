"""The feed of changes (`HISTORY_FEED`)."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from locutory import now
from locutory_contracts.conversations import HISTORY_FEED, FeedPage
from locutory_conversations.services import feed as module
from locutory_conversations.services.feed import Feed
from locutory_conversations.store import Store


@pytest.fixture
def feed(world: Any) -> Any:
    """The feed of the server."""
    return world.server.kernel.services.get(HISTORY_FEED)


async def drained(
    feed: Any, kind: str, position: str | None = None, limit: int = 10
) -> tuple[list[dict[str, Any]], str]:
    """Everything up to the present, and the position there."""
    documents: list[dict[str, Any]] = []
    for _ in range(10_000):
        page: FeedPage = await feed.changes(kind, position, limit)
        assert len(page.documents) <= limit
        documents += page.documents
        position = page.position
        if not page.more:
            return documents, position
    raise AssertionError("the feed never ends")


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [document["messageId"] for document in documents]


async def test_everything_comes_once_and_in_order(world: Any, feed: Any) -> None:
    rows = []
    conversation_id = str(uuid4())
    for number, moment in enumerate(
        (
            *(world.ago(days=3000, seconds=-second) for second in range(25)),
            *[world.ago(days=400)] * 33,  # a bulk write gives many the same date
            *(world.ago(days=30, hours=-hour) for hour in range(40)),
            *[world.ago(minutes=1)] * 12,
            datetime(2001, 5, 5, tzinfo=UTC),
            datetime.now(UTC).replace(microsecond=0) + timedelta(days=900),
        )
    ):
        user = world.alice.id if number % 2 else world.bob.id
        rows.append(await world.message(user, conversation_id, updatedAt=moment))
    undated = [await world.message(world.bob.id, conversation_id, updatedAt=...) for _ in range(13)]
    for limit in (7, 20, 1000):
        fresh = Feed(Store(world.server.kernel.database))
        found, position = await drained(fresh, "messages", None, limit)
        assert ids(found[:13]) == [row["messageId"] for row in undated]
        assert len(found) == len(rows) + 13
        assert set(ids(found[13:])) == {row["messageId"] for row in rows}
        dates = [row["updatedAt"] for row in found[13:]]
        assert dates == sorted(dates)
        assert all(date.tzinfo is not None for date in dates)
        again, _ = await drained(feed, "messages", position, limit)
        assert again == []


async def test_what_changes_comes_again(world: Any, feed: Any) -> None:
    old = await world.conversation(world.alice.id, updatedAt=world.ago(days=5))
    await world.conversation(world.alice.id, updatedAt=world.ago(days=4))
    found, position = await drained(feed, "conversations")
    assert len(found) == 2
    await world.service.save(world.alice.id, old["conversationId"], {"title": "Changed"})
    found, position = await drained(feed, "conversations", position)
    assert [row["title"] for row in found] == ["Changed"]
    assert found[0]["user"] == world.alice.id


async def test_what_becomes_visible_late_is_not_lost(world: Any, feed: Any) -> None:
    _, position = await drained(feed, "messages")
    late = await world.message(world.alice.id, str(uuid4()), updatedAt=world.ago(seconds=3))
    found, position = await drained(feed, "messages", position)
    assert ids(found) == [late["messageId"]]


async def test_a_reader_goes_on_after_a_restart(world: Any, feed: Any) -> None:
    moment = world.ago(days=1)
    rows = [await world.message(world.alice.id, str(uuid4()), updatedAt=moment) for _ in range(20)]
    position, found = None, list[Any]()
    for _ in range(100):
        fresh = Feed(Store(world.server.kernel.database))  # nothing remembered
        page = await fresh.changes("messages", position, 3)
        found += page.documents
        position = page.position
        if not page.more:
            break
    assert ids(found) == [row["messageId"] for row in rows]


async def test_a_change_while_a_crowded_window_is_read(world: Any, feed: Any) -> None:
    moment = world.ago(days=1)
    rows = [await world.message(world.alice.id, str(uuid4()), updatedAt=moment) for _ in range(12)]
    page = FeedPage((), "", True)
    found: list[dict[str, Any]] = []
    position = None
    while not found:
        page = await feed.changes("messages", position, 5)
        found += page.documents
        position = page.position
    await world.collection("messages").delete_one({"_id": rows[-1]["_id"]})
    await world.collection("messages").update_one(
        {"_id": rows[-2]["_id"]}, {"$set": {"updatedAt": datetime.now(UTC), "text": "new"}}
    )
    rest, _ = await drained(feed, "messages", position)
    assert {row["messageId"] for row in [*found, *rest]} == set(ids(rows[:-1]))
    assert rest[-1]["text"] == "new"


@pytest.mark.parametrize("position", ["", "x", "new..", "all.1.2.zz", "new.9e9.1.", "🙂.1.1."])
async def test_a_position_that_is_none_begins_anew(world: Any, feed: Any, position: str) -> None:
    await world.message(world.alice.id, str(uuid4()), updatedAt=world.ago(days=1))
    found, _ = await drained(feed, "messages", position)
    assert len(found) == 1


async def test_a_long_pass_is_followed_by_another(
    world: Any, feed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.message(world.alice.id, str(uuid4()), updatedAt=world.ago(days=1))
    seconds = count(0, 10)
    monkeypatch.setattr(module, "now", lambda: now() + timedelta(seconds=next(seconds)))
    page = await feed.changes("messages", None, 5)
    assert page.documents  # the whole pass, which took more seconds than two passes overlap
    assert page.more  # what changed during the pass is asked for at once
