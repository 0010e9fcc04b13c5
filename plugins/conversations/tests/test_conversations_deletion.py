"""Deleting conversations and accounts (contract convos §2.7, §2.8)."""

from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import ConversationsDeleted, MessagesDeleted
from locutory_testing.waiting import until


async def furnished(world: Any, user: str, **fields: Any) -> dict[str, Any]:
    """A conversation with two messages and a tool result."""
    stored: dict[str, Any] = await world.conversation(user, **fields)
    for _ in range(2):
        await world.message(user, stored["conversationId"])
    await world.collection("toolcalls").insert_one(
        {"conversationId": stored["conversationId"], "user": ObjectId(user), "toolId": "t"}
    )
    return stored


async def count(world: Any, name: str, **key: Any) -> int:
    found: int = await world.collection(name).count_documents(key)
    return found


async def test_one_conversation_with_all_that_hangs_on_it(world: Any) -> None:
    project = str(ObjectId())
    gone = await furnished(world, world.alice.id, chatProjectId=project)
    kept = await furnished(world, world.alice.id)
    conversation_id = gone["conversationId"]
    twin = await furnished(world, world.bob.id, conversationId=conversation_id)
    answer = await world.alice.call(
        "DELETE",
        "/api/convos",
        {
            "arg": {
                "conversationId": conversation_id,
                "source": "button",
                "thread_id": "",
                "endpoint": "Fake",
            }
        },
    )
    assert answer.status_code == 201
    assert answer.json() == {
        "acknowledged": True,
        "deletedCount": 1,
        "messages": {"acknowledged": True, "deletedCount": 2},
        "conversationIds": [conversation_id],
    }
    for user, row, left in (
        (world.alice.id, gone, 0),
        (world.alice.id, kept, 1),
        (world.bob.id, twin, 1),
    ):
        key: dict[str, Any] = {"conversationId": row["conversationId"], "user": user}
        assert await count(world, "conversations", **key) == left
        assert await count(world, "messages", **key) == 2 * left
        key["user"] = ObjectId(user)
        assert await count(world, "toolcalls", **key) == left
    assert world.witness.of(ConversationsDeleted) == [
        ConversationsDeleted(world.alice.id, [conversation_id], False, [project])
    ]
    answer = await world.alice.call(
        "DELETE", "/api/convos", {"arg": {"conversationId": conversation_id}}
    )
    assert (answer.status_code, answer.json()) == (404, {"error": "Conversation not found"})


async def test_child_threads_go_with_their_parent(world: Any) -> None:
    root = await furnished(world, world.alice.id)
    child, grandchild = (str(uuid4()) for _ in range(2))

    def under(parent: str) -> dict[str, Any]:
        return {"subagentThread": {"parentConversationId": parent, "depth": 1}}

    await furnished(world, world.alice.id, conversationId=child, **under(root["conversationId"]))
    await furnished(world, world.alice.id, conversationId=grandchild, **under(child))
    # a ring, and a child of the same parent id with another owner
    ring = await furnished(world, world.alice.id, **under(grandchild))
    await world.collection("conversations").update_one(
        {"_id": root["_id"]}, {"$set": under(ring["conversationId"])}
    )
    foreign = await furnished(world, world.bob.id, **under(root["conversationId"]))
    answer = await world.alice.call("DELETE", "/api/convos", {"arg": {"conversationId": child}})
    assert answer.json()["deletedCount"] == 4
    assert answer.json()["messages"]["deletedCount"] == 8
    assert await count(world, "conversations") == 1
    assert await world.stored("conversations", _id=foreign["_id"])


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (None, 400, {"error": "no parameters provided"}),
        ({}, 400, {"error": "no parameters provided"}),
        ({"arg": None}, 400, {"error": "no parameters provided"}),
        ({"arg": {}}, 400, {"error": "no parameters provided"}),
        ({"arg": {"conversationId": ""}}, 400, {"error": "no parameters provided"}),
        ({"arg": {"source": "button"}}, 200, "No conversationId provided"),
        ({"arg": {"source": "other"}}, 400, {"error": "conversationId is required"}),
        ({"arg": {"thread_id": "t"}}, 400, {"error": "conversationId is required"}),
        ({"arg": {"endpoint": "openAI"}}, 400, {"error": "conversationId is required"}),
        ({"arg": {"conversationId": {"x": ""}}}, 400, {"error": "conversationId is required"}),
        ({"arg": {"conversationId": ["a"]}}, 400, {"error": "conversationId is required"}),
    ],
)
async def test_without_an_id_nothing_is_deleted(
    world: Any, body: Any, status: int, text: Any
) -> None:
    await furnished(world, world.alice.id)
    answer = await world.alice.call("DELETE", "/api/convos", body)
    assert answer.status_code == status
    assert (answer.text if isinstance(text, str) else answer.json()) == text
    assert await count(world, "conversations") == 1


async def test_everything(world: Any) -> None:
    projects = [str(ObjectId()) for _ in range(2)]
    rows = [
        await furnished(world, world.alice.id, chatProjectId=project)
        for project in (*projects, projects[0], None)
    ]
    await furnished(world, world.bob.id)
    answer = await world.alice.call("DELETE", "/api/convos/all")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["deletedCount"], body["messages"]["deletedCount"]) == (4, 8)
    assert sorted(body["conversationIds"]) == sorted(row["conversationId"] for row in rows)
    for name in ("conversations", "messages", "toolcalls"):
        assert await count(world, name) == (2 if name == "messages" else 1)
    (fact,) = world.witness.of(ConversationsDeleted)
    assert fact.all is True
    assert len(fact.conversation_ids) == 4
    assert sorted(fact.projects) == sorted(projects)


async def test_everything_when_there_is_nothing(world: Any) -> None:
    await world.collection("toolcalls").insert_one({"user": ObjectId(world.alice.id)})
    answer = await world.alice.call("DELETE", "/api/convos/all")
    assert answer.status_code == 201
    assert answer.json()["deletedCount"] == 0
    assert answer.json()["conversationIds"] == []
    assert await count(world, "toolcalls") == 0
    assert world.witness.of(ConversationsDeleted)[0].all is True


async def test_deleting_many_in_batches(world: Any) -> None:
    for _ in range(7):
        await furnished(world, world.alice.id)
    await world.collection("conversations").insert_many(
        {"conversationId": str(uuid4()), "user": world.alice.id} for _ in range(450)
    )
    answer = await world.alice.call("DELETE", "/api/convos/all")
    assert answer.json()["deletedCount"] == 457
    assert await count(world, "conversations") == 0


async def test_a_deleted_account_leaves_nothing(world: Any) -> None:
    await furnished(world, world.alice.id)
    await furnished(world, world.bob.id)
    await world.message(world.alice.id, str(uuid4()))  # of a conversation that was never saved
    await world.server.kernel.events.publish(AccountDeleted(world.alice.id))

    async def gone() -> bool:
        left = [await count(world, name) for name in ("messages", "conversations", "toolcalls")]
        return left == [2, 1, 1]

    await until(gone)
    assert await count(world, "messages", user=world.alice.id) == 0
    assert await count(world, "conversations", user=world.alice.id) == 0
    assert await count(world, "toolcalls") == 1


async def test_deleting_a_message(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    conversation_id = stored["conversationId"]
    first = await world.message(world.alice.id, conversation_id)
    child = await world.message(world.alice.id, conversation_id, parentMessageId=first["messageId"])
    await world.service.save(world.alice.id, conversation_id, {})
    path = f"/api/messages/{conversation_id}"
    for _ in range(2):  # also when nothing matches
        answer = await world.alice.call("DELETE", f"{path}/{first['messageId']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert await world.stored("messages", _id=first["_id"]) is None
    left = await world.stored("messages", _id=child["_id"])
    assert left["parentMessageId"] == first["messageId"]
    document = await world.service.save(world.alice.id, conversation_id, {})
    assert document["messages"] == [child["_id"]]
    assert world.witness.of(MessagesDeleted) == [
        MessagesDeleted(world.alice.id, conversation_id, [first["messageId"]])
    ]
    answer = await world.bob.call("DELETE", f"{path}/{child['messageId']}")
    assert answer.status_code == 404
    assert await world.stored("messages", _id=child["_id"])
