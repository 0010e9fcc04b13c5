"""The service: saves of conversations and messages (contract convos §3, messages §6, §7)."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from pymongo import monitoring

from locutory_contracts.conversations import (
    CONVERSATIONS,
    NO_PARENT,
    Conversations,
    ConversationSaved,
    MessageSaved,
)
from locutory_testing import Serve, SignIn
from locutory_testing.database import Databases

HOUR = timedelta(hours=1)


def question(conversation_id: str, parent: str = NO_PARENT, **fields: Any) -> dict[str, Any]:
    return {
        "messageId": str(uuid4()),
        "conversationId": conversation_id,
        "parentMessageId": parent,
        "text": "Hello",
        "sender": "User",
        "isCreatedByUser": True,
        **fields,
    }


def about(moment: datetime, expected: datetime) -> bool:
    return abs(moment - expected) < timedelta(minutes=1)


async def test_a_new_conversation_is_as_librechat_stores_it(world: Any) -> None:
    service: Conversations = world.service
    conversation_id, user = str(uuid4()), world.alice.id
    first = await service.save_message(user, question(conversation_id), temporary=False)
    born = world.ago(seconds=5)
    saved = await service.save(
        user,
        conversation_id,
        {"endpoint": "Fake", "model": "m", "unknown": 1, "user": "x", "_id": 1, "createdAt": 1},
        temporary=False,
        created_at=born,
    )
    assert saved is not None
    stored = await world.stored("conversations", conversationId=conversation_id)
    assert stored == saved
    moment, identity = stored.pop("updatedAt"), stored.pop("_id")
    assert about(moment, world.ago())
    assert isinstance(identity, ObjectId)
    assert stored == {
        "conversationId": conversation_id,
        "user": user,
        "__v": 0,
        "title": "New Chat",
        "endpoint": "Fake",
        "model": "m",
        "messages": [first["_id"]],
        "isTemporary": False,
        "expiredAt": None,
        "isArchived": False,
        "tags": [],
        "files": [],
        "chatProjectId": None,
        "createdAt": born,
    }
    assert [fact.created for fact in world.witness.of(ConversationSaved)] == [True]
    again = await service.save(user, conversation_id, {"model": "n"}, created_at=world.ago())
    assert again is not None
    assert again["createdAt"] == born
    assert again["model"] == "n"
    assert again["_id"] == identity
    assert [fact.created for fact in world.witness.of(ConversationSaved)] == [True, False]


async def test_a_new_message_is_as_librechat_stores_it(world: Any) -> None:
    service: Conversations = world.service
    conversation_id, user = str(uuid4()), world.alice.id
    given = question(conversation_id, tokenCount=float("nan"), unknown=1, tenantId="x")
    saved = await service.save_message(user, given, temporary=False)
    stored = await world.stored("messages", messageId=given["messageId"])
    assert stored == saved
    del stored["_id"]
    assert about(stored.pop("createdAt"), world.ago())
    assert about(stored.pop("updatedAt"), world.ago())
    assert stored == {
        "messageId": given["messageId"],
        "conversationId": conversation_id,
        "user": user,
        "__v": 0,
        "_meiliIndex": False,
        "parentMessageId": NO_PARENT,
        "text": "Hello",
        "sender": "User",
        "model": None,
        "isCreatedByUser": True,
        "isTemporary": False,
        "unfinished": False,
        "error": False,
        "expiredAt": None,
        "tokenCount": 0,
    }
    (fact,) = world.witness.of(MessageSaved)
    assert fact.message == saved


async def test_a_later_save_keeps_what_it_does_not_name(world: Any) -> None:
    service: Conversations = world.service
    given = question(str(uuid4()), unfinished=True, attachments=[{"type": "x"}])
    first = await service.save_message(world.alice.id, given)
    second = await service.save_message(
        world.alice.id,
        {
            "messageId": given["messageId"],
            "conversationId": given["conversationId"],
            "unfinished": False,
            "content": [{"type": "text", "text": "a"}, None],
        },
    )
    assert second["_id"] == first["_id"]
    assert second["createdAt"] == first["createdAt"]
    assert second["attachments"] == [{"type": "x"}]
    assert second["content"] == [{"type": "text", "text": "a"}, None]
    assert second["unfinished"] is False
    assert second["text"] == "Hello"
    assert second == await service.message(world.alice.id, given["messageId"])


async def test_messages_need_a_uuid_for_their_conversation(world: Any) -> None:
    for wrong in ("new", "", None, 5, {"$gt": ""}, "a" * 36, "12345678-1234-1234-1234"):
        with pytest.raises(ValueError, match="UUID"):
            await world.service.save_message(
                world.alice.id, {**question("x"), "conversationId": wrong}
            )
    with pytest.raises(ValueError, match="messageId"):
        await world.service.save_message(
            world.alice.id, {**question(str(uuid4())), "messageId": {"$ne": 1}}
        )
    child = "01234567-89ab-8cde-b123-0123456789ab"
    assert await world.service.save_message(world.alice.id, question(child))


async def test_children_are_later_than_their_parents(world: Any) -> None:
    service: Conversations = world.service
    conversation_id, user = str(uuid4()), world.alice.id
    moment = world.ago(minutes=3)
    parent = await service.save_message(user, question(conversation_id, createdAt=moment))
    assert parent["createdAt"] == moment
    child = await service.save_message(
        user, question(conversation_id, parent["messageId"], createdAt=moment - HOUR)
    )
    assert child["createdAt"] == moment + timedelta(milliseconds=1)
    # a parent that another process saved, on a clock that is ahead
    ahead = world.ago(minutes=-3)
    stranger = await world.message(user, conversation_id, createdAt=ahead)
    child = await service.save_message(user, question(conversation_id, stranger["messageId"]))
    assert child["createdAt"] == ahead + timedelta(milliseconds=1)
    dates = [row["createdAt"] for row in await service.messages(user, conversation_id)]
    assert dates == sorted(set(dates))
    parents: list[Any] = ["", None, "unknown_", 7]
    for unknown in parents:
        assert await service.save_message(user, question(conversation_id, unknown))


async def test_the_list_of_messages_follows_the_collection(world: Any) -> None:
    service: Conversations = world.service
    conversation_id, user = str(uuid4()), world.alice.id
    ids: list[Any] = []
    for _ in range(3):
        ids += [
            (await service.save_message(user, question(conversation_id)))["_id"] for _ in range(2)
        ]
        saved = await service.save(user, conversation_id, {"endpoint": "Fake"})
        assert saved is not None
        assert saved["messages"] == ids
    # what a restart or another server inserted is found by the next process
    late = await world.message(user, conversation_id, createdAt=world.ago(days=-1))
    fresh = world.server.kernel.plugins
    plugin = next(plugin for plugin in fresh if plugin.name == "conversations")
    plugin._message_ids.forget(user, conversation_id)
    saved = await service.save(user, conversation_id, {})
    assert saved is not None
    assert saved["messages"] == [*ids, late["_id"]]


async def test_two_servers_on_one_database(serve: Serve) -> None:
    """What the other server inserts or deletes shows in the list after the next save."""
    name, user = f"test_{uuid4().hex}", str(ObjectId())
    conversation_id = str(uuid4())
    headers = {"authorization": f"Bearer {user}"}
    content = [{"type": "text", "text": "a", "agentId": "x"}]
    async with (
        serve("conversations", SignIn(), database=name) as one,
        serve("conversations", SignIn(), database=name) as two,
    ):
        here = one.kernel.services.get(CONVERSATIONS)
        there = two.kernel.services.get(CONVERSATIONS)

        async def listed(service: Conversations) -> list[Any]:
            saved = await service.save(user, conversation_id, {"endpoint": "Fake"})
            assert saved is not None
            messages: list[Any] = saved["messages"]
            return messages

        first = await here.save_message(user, question(conversation_id, content=content))
        assert await listed(here) == [first["_id"]]
        second = await there.save_message(user, question(conversation_id, first["messageId"]))
        assert await listed(there) == [first["_id"], second["_id"]]
        assert await listed(here) == [first["_id"], second["_id"]]
        third = await here.save_message(user, question(conversation_id, second["messageId"]))
        assert await listed(here) == [first["_id"], second["_id"], third["_id"]]
        path = f"/api/messages/{conversation_id}/{second['messageId']}"
        assert (await two.client.delete(path, headers=headers)).status_code == 204
        assert await listed(here) == [first["_id"], third["_id"]]
        await here.save_message(
            user,
            {
                "messageId": first["messageId"],
                "conversationId": conversation_id,
                "isCreatedByUser": False,
            },
        )
        branch = await two.client.post(
            "/api/messages/branch",
            json={"messageId": first["messageId"], "agentId": "x"},
            headers=headers,
        )
        assert branch.status_code == 201
        ids = [str(identity) for identity in await listed(here)]
        assert ids == [str(first["_id"]), str(third["_id"]), branch.json()["_id"]]
        await one.kernel.database.client.drop_database(name)


async def test_a_failed_save_makes_the_next_one_whole(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: Conversations = world.service
    conversation_id, user = str(uuid4()), world.alice.id
    await service.save(user, conversation_id, {})
    saved = await service.save_message(user, question(conversation_id))
    with pytest.raises(Exception, match="cannot encode"):
        await service.save(user, conversation_id, {"title": object()})
    document = await service.save(user, conversation_id, {})
    assert document is not None
    assert document["messages"] == [saved["_id"]]


async def test_simultaneous_saves(world: Any) -> None:
    """Two inserts at once end in one document, and no message is missed."""
    service: Conversations = world.service
    conversation_id, user = str(uuid4()), world.alice.id
    given = [question(conversation_id) for _ in range(4)]
    saved = await asyncio.gather(
        *(service.save_message(user, one) for one in given for _ in range(3)),
        *(service.save(user, conversation_id, {"model": f"m{n}"}) for n in range(4)),
    )
    assert all(saved)
    assert await world.collection("messages").count_documents({}) == 4
    assert await world.collection("conversations").count_documents({}) == 1
    document = await service.save(user, conversation_id, {})
    assert document is not None
    rows = await service.messages(user, conversation_id)
    assert sorted(document["messages"]) == sorted(row["_id"] for row in rows)
    assert len(document["messages"]) == 4


async def test_settings_are_replaced_by_a_turn(world: Any) -> None:
    service: Conversations = world.service
    user = world.alice.id
    conversation_id = str(uuid4())
    first = {
        "endpoint": "openAI",
        "endpointType": "custom",
        "model": "a",
        "temperature": 0.5,
        "promptPrefix": "p",
        "spec": "s",
        "iconURL": "i",
        "greeting": "g",
        "title": "T",
        "tags": ["x"],
        "files": ["f"],
        "tools": ["t"],
        "agent_id": "ephemeral",
        "pinned": True,
    }
    await service.save(user, conversation_id, first)
    kept = await service.save(user, conversation_id, {"model": "b"})
    assert kept is not None
    assert kept["temperature"] == 0.5
    saved = await service.save(
        user, conversation_id, {"top_p": 1, "temperature": 0.1}, replace_settings=True
    )
    assert saved is not None
    for name in ("promptPrefix", "spec", "iconURL", "agent_id"):
        assert name not in saved
    assert saved["temperature"] == 0.1
    assert saved["top_p"] == 1
    assert saved["model"] == "b"
    for name in (
        "endpoint",
        "endpointType",
        "greeting",
        "title",
        "tags",
        "files",
        "tools",
        "pinned",
    ):
        assert saved[name] == first[name]
    saved = await service.save(
        user, conversation_id, {"agent_id": "agent_abc"}, replace_settings=True
    )
    assert saved is not None
    assert "model" not in saved
    assert "temperature" not in saved


async def test_projects_need_the_form_of_an_id(world: Any) -> None:
    service: Conversations = world.service
    conversation_id = str(uuid4())
    saved = await service.save(world.alice.id, conversation_id, {"chatProjectId": "a" * 24})
    assert saved is not None
    assert saved["chatProjectId"] == "a" * 24
    for wrong in ("x", 5, {"$gt": ""}, ["a" * 24], "a" * 12):
        saved = await service.save(world.alice.id, conversation_id, {"chatProjectId": wrong})
        assert saved is not None
        assert "chatProjectId" not in saved
        saved = await service.save(world.alice.id, conversation_id, {"chatProjectId": None})
        assert saved is not None
        assert saved["chatProjectId"] is None


async def test_archive_and_pin_are_no_activity(world: Any) -> None:
    stored = await world.conversation(world.alice.id, updatedAt=world.ago(days=3))
    for fields in ({"pinned": True}, {"isArchived": True, "archivedAt": world.ago()}):
        saved = await world.service.save(world.alice.id, stored["conversationId"], fields)
        assert saved["updatedAt"] == stored["updatedAt"]
    saved = await world.service.save(world.alice.id, stored["conversationId"], {"title": "x"})
    assert saved["updatedAt"] > stored["updatedAt"]


async def test_update_only(world: Any) -> None:
    service: Conversations = world.service
    conversation_id = str(uuid4())
    assert await service.save(world.alice.id, conversation_id, {"title": "x"}, create=False) is None
    assert await world.collection("conversations").count_documents({}) == 0
    await service.save(world.bob.id, conversation_id, {})
    assert await service.save(world.alice.id, conversation_id, {"title": "x"}, create=False) is None
    saved = await service.save(world.bob.id, conversation_id, {"title": "x"}, create=False)
    assert saved is not None
    assert saved["title"] == "x"
    assert world.witness.of(ConversationSaved)[-1].created is False


async def test_everything_is_the_owners(world: Any) -> None:
    service: Conversations = world.service
    stored = await world.conversation(world.alice.id)
    conversation_id = stored["conversationId"]
    message = await world.message(world.alice.id, conversation_id)
    assert await service.find(world.alice.id, conversation_id) == stored
    assert await service.owner(conversation_id) == world.alice.id
    assert await service.owner("unknown") is None
    bob = world.bob.id
    assert await service.find(bob, conversation_id) is None
    assert await service.message(bob, message["messageId"]) is None
    assert await service.messages(bob, conversation_id) == []
    assert await service.branch(bob, conversation_id, message["messageId"]) == []
    await service.save_message(bob, question(conversation_id, messageId=message["messageId"]))
    assert await world.stored("messages", _id=message["_id"]) == message


async def test_branches_and_cycles(world: Any) -> None:
    service: Conversations = world.service
    user = world.alice.id
    stored = await world.conversation(user)
    conversation_id = stored["conversationId"]

    async def row(name: str, parent: Any) -> None:
        await world.message(user, conversation_id, messageId=name, parentMessageId=parent)

    async def branch(name: str) -> list[str]:
        return [row["messageId"] for row in await service.branch(user, conversation_id, name)]

    for name, parent in (
        *(("a", NO_PARENT), ("b", "a"), ("c", "b"), ("c2", "b"), ("orphan", "missing")),
        *(("self", "self"), ("x", "z"), ("y", "x"), ("z", "y"), ("tail", "z"), ("null", None)),
        ("odd", {"$ne": 1}),
    ):
        await row(name, parent)
    assert await branch("c") == ["a", "b", "c"]
    assert await branch("c2") == ["a", "b", "c2"]
    assert await branch("orphan") == ["orphan"]
    assert await branch("self") == ["self"]
    assert await branch("tail") == ["x", "y", "z", "tail"]
    assert await branch("null") == ["null"]
    assert await branch("odd") == ["odd"]
    assert await branch("missing") == []


async def test_messages_come_by_date(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    for name, date in (("b", world.ago(hours=2)), ("c", world.ago(hours=1)), ("a", ...)):
        await world.message(
            world.alice.id, stored["conversationId"], messageId=name, createdAt=date
        )
    rows = await world.service.messages(world.alice.id, stored["conversationId"])
    assert [row["messageId"] for row in rows] == ["a", "b", "c"]


class TestRetention:
    """Temporary chats, and servers on which every chat expires."""

    async def test_temporary(self, open_world: Any) -> None:
        settings = {"interface": {"temporaryChatRetention": 2}}
        async with open_world(
            yaml=settings, environment={"TEMP_CHAT_RETENTION_HOURS": "5"}
        ) as world:
            service: Conversations = world.service
            conversation_id, user = str(uuid4()), world.alice.id
            saved = await service.save(user, conversation_id, {}, temporary=True)
            message = await service.save_message(user, question(conversation_id), temporary=True)
            assert saved is not None
            for document in (saved, message):
                assert document["isTemporary"] is True
                assert about(document["expiredAt"], world.ago(hours=-2))
            untouched = await service.save(user, conversation_id, {"title": "x"})
            assert untouched is not None
            assert untouched["expiredAt"] == saved["expiredAt"]
            back = await service.save(user, conversation_id, {}, temporary=False)
            assert back is not None
            assert (back["isTemporary"], back["expiredAt"]) == (False, None)
            assert await service.retain(user, None) == {}
            assert await service.retain(user, False) == {"isTemporary": False, "expiredAt": None}

    async def test_neither_asked_nor_configured(self, world: Any) -> None:
        saved = await world.service.save(world.alice.id, str(uuid4()), {})
        assert saved["isTemporary"] is False
        assert "expiredAt" not in saved

    async def test_everything_expires(self, open_world: Any) -> None:
        async with open_world(yaml={"interface": {"retentionMode": "all"}}) as world:
            service: Conversations = world.service
            user = world.alice.id
            month = world.ago(hours=-720)
            saved = await service.save(user, str(uuid4()), {})
            assert saved is not None
            assert saved["isTemporary"] is False
            assert about(saved["expiredAt"], month)
            saved = await service.save(user, str(uuid4()), {}, temporary=True)
            assert saved is not None
            assert saved["isTemporary"] is True
            legacy = await world.conversation(user, isTemporary=...)
            saved = await service.save(user, legacy["conversationId"], {"title": "x"})
            assert saved is not None
            assert saved["isTemporary"] is False
            assert await service.find(user, legacy["conversationId"]) == saved
            message = await service.save_message(user, question(str(uuid4())))
            assert about(message["expiredAt"], month)
            assert message["isTemporary"] is False
            assert about((await service.retain(user, None))["expiredAt"], month)
            assert (await service.retain(user, None))["isTemporary"] is False
            # renaming and archiving do not prolong
            plain = await world.conversation(user)
            path, body = "/api/convos/update", {"conversationId": plain["conversationId"]}
            answer = await world.alice.call("POST", path, {"arg": {**body, "title": "x"}})
            assert answer.json()["expiredAt"] is None

    @pytest.mark.parametrize(
        ("hours", "yaml", "expected"),
        [("0.1", None, 1), ("99999", None, 8760), ("5", "x", 5), ("5", 0, 1), ("", True, 720)],
    )
    async def test_hours_are_clamped(
        self, open_world: Any, hours: str, yaml: Any, expected: float
    ) -> None:
        section = {} if yaml is None else {"interface": {"temporaryChatRetention": yaml}}
        async with open_world(
            yaml=section, environment={"TEMP_CHAT_RETENTION_HOURS": hours}
        ) as world:
            fields = await world.service.retain(world.alice.id, True)
            assert about(fields["expiredAt"], world.ago(hours=-expected))


class Traffic(monitoring.CommandListener):
    """The commands on the collections of the history; the kernel has its own, now and then."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: Any) -> None:
        if event.command[event.command_name] in ("conversations", "messages"):
            self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...

    def take(self) -> list[str]:
        """Names of the commands since the last time."""
        names, self.names = self.names, []
        return names


@pytest.fixture
def traffic(databases: Databases) -> Iterator[Traffic]:
    """Every command of clients that are opened during the test."""
    if databases.are_files:
        pytest.skip("no commands are sent to a file")
    listener = Traffic()
    monitoring.register(listener)
    yield listener
    monitoring._LISTENERS.command_listeners.remove(listener)


async def test_round_trips_of_a_turn(traffic: Traffic, open_world: Any) -> None:
    """An insert is one round trip, an update two; nothing uses findAndModify. A list and the
    messages of a conversation are one each."""
    async with open_world() as world:
        service: Conversations = world.service
        conversation_id, user = str(uuid4()), world.alice.id
        traffic.take()
        first = await service.save_message(user, question(conversation_id))
        assert traffic.take() == ["update"]
        await service.save(user, conversation_id, {})
        assert traffic.take() == ["find", "update"]  # the list of messages, once
        answer = question(conversation_id, first["messageId"])
        await service.save_message(user, {**answer, "unfinished": True})
        assert traffic.take() == ["update"]
        await service.save_message(user, {**answer, "unfinished": False})
        assert traffic.take() == ["update", "find"]
        await service.save(user, conversation_id, {"title": "x"}, replace_settings=True)
        assert traffic.take() == ["update", "find"]
        await world.alice.get("/api/convos")
        traffic.take()
        await world.alice.get("/api/convos")
        await world.alice.get(f"/api/messages/{conversation_id}")
        assert traffic.take() == ["find", "find", "find"]  # the third is whose conversation it is
