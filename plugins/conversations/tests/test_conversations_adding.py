"""Whole new conversations (`Conversations.add`)."""

from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Provide
from locutory_contracts.conversations import NO_PARENT, PROJECTS, ConversationsAdded


class Nobodys:
    """No project belongs to anybody."""

    async def owns(self, user: str, project_id: str) -> bool:
        return False


def message(world: Any, **fields: Any) -> dict[str, Any]:
    """A message as a copy gives it."""
    return {
        "messageId": str(uuid4()),
        "parentMessageId": NO_PARENT,
        "createdAt": world.ago(days=3),
        "text": "hello",
        **fields,
    }


async def test_a_whole_conversation(world: Any) -> None:
    user, project = world.alice.id, str(ObjectId())
    first = message(world, isCreatedByUser=True, clientId="c", junk=1, user=world.bob.id)
    second = message(world, parentMessageId=first["messageId"], createdAt=world.ago(days=2))
    given = {
        "conversationId": str(uuid4()),
        "title": "Copy",
        "endpoint": "Fake",
        "tags": ["a"],
        "chatProjectId": project,
        "createdAt": world.ago(days=3),
        "junk": True,
        "user": world.bob.id,
        "subagentThread": {"depth": 1},
    }
    document = await world.service.add(user, given, [second, first])
    stored = await world.service.find(user, given["conversationId"])
    assert document == stored
    assert stored["user"] == user
    assert not stored.keys() & {"junk", "subagentThread"}
    assert stored["createdAt"] == stored["updatedAt"] == given["createdAt"]
    assert (stored["isArchived"], stored["isTemporary"], stored["expiredAt"]) == (
        False,
        False,
        None,
    )
    rows = await world.service.messages(user, given["conversationId"])
    assert [row["messageId"] for row in rows] == [first["messageId"], second["messageId"]]
    assert stored["messages"] == [row["_id"] for row in rows]
    assert rows[0]["user"] == user
    assert rows[0]["clientId"] == "c"
    assert "junk" not in rows[0]
    assert rows[0]["isTemporary"] is False
    assert rows[0]["updatedAt"] == first["createdAt"]
    assert world.witness.of(ConversationsAdded) == [
        ConversationsAdded(user, [given["conversationId"]], [project])
    ]


async def test_a_foreign_project_is_left_out(open_world: Any, offer: Any) -> None:
    async with open_world(offer(Provide(PROJECTS, Nobodys()))) as world:
        given = {"conversationId": str(uuid4()), "chatProjectId": str(ObjectId())}
        document = await world.service.add(world.alice.id, given, [])
        assert document["chatProjectId"] is None
        (fact,) = world.witness.of(ConversationsAdded)
        assert fact.projects == []


async def test_what_is_not_new_is_refused_and_leaves_nothing(world: Any) -> None:
    user = world.alice.id
    stored = await world.conversation(user)
    known = await world.message(user, stored["conversationId"])
    fresh = {"conversationId": str(uuid4())}
    for given, messages in (
        ({"conversationId": stored["conversationId"]}, [message(world)]),
        (fresh, [message(world), message(world, messageId=known["messageId"])]),
        ({"conversationId": "no-uuid"}, [message(world)]),
        ({"conversationId": {"$ne": 1}}, [message(world)]),
        (fresh, [message(world), message(world, messageId=7)]),
        (fresh, [message(world), message(world, messageId="x" * 300)]),
        (fresh, [message(world, createdAt="2026-01-01")]),
        (fresh, [message(world), message(world, tokenCount=1, metadata={"n": 2**70})]),
        (fresh, [message(world), message(world, text="x" * 17_000_000)]),
    ):
        with pytest.raises(ValueError, match=r"."):
            await world.service.add(user, given, messages)
        assert await world.collection("conversations").count_documents({}) == 1
        assert await world.collection("messages").count_documents({}) == 1
    assert world.witness.of(ConversationsAdded) == []
    # The same ids may be another user's.
    await world.service.add(
        world.bob.id,
        {"conversationId": stored["conversationId"]},
        [message(world, messageId=known["messageId"])],
    )


@pytest.mark.parametrize("temporary", [None, True, False])
async def test_copies_expire_as_the_operator_wants(open_world: Any, temporary: Any) -> None:
    yaml = {"interface": {"retentionMode": "all", "temporaryChatRetention": 24}}
    async with open_world(yaml=yaml) as world:
        given = {"conversationId": str(uuid4()), "expiredAt": world.ago(hours=-1)}
        if temporary is not None:
            given["isTemporary"] = temporary
        stored = await world.service.add(world.alice.id, given, [message(world)])
        row = (await world.service.messages(world.alice.id, given["conversationId"]))[0]
        for document in (stored, row):
            assert world.ago(hours=-25) > document["expiredAt"] > world.ago(hours=-23)
        assert stored["isTemporary"] is (temporary is True)


async def test_a_copy_of_a_temporary_chat_stays_temporary(world: Any) -> None:
    expires = world.ago(hours=-5)
    given = {"conversationId": str(uuid4()), "isTemporary": True, "expiredAt": expires}
    stored = await world.service.add(world.alice.id, given, [])
    assert (stored["isTemporary"], stored["expiredAt"]) == (True, expires)
