"""Continuing a shared chat (contract share §4)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from locutory import Principal, Provide
from locutory_contracts.conversations import NO_PARENT
from locutory_contracts.models import CATALOGUE


class Models:
    """A catalogue with given models. Those of ``bedrock`` nobody can use."""

    def __init__(self, **models: list[str]) -> None:
        self._models = models

    async def entries(self, principal: Principal) -> dict[str, dict[str, Any]]:
        return {name: {"type": name} for name in self._models if name != "bedrock"}

    async def models(self, principal: Principal) -> dict[str, list[str]]:
        if "broken" in self._models:
            raise RuntimeError("the catalogue is down")
        return self._models


async def test_a_fork_is_a_chat_of_the_reader(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello", "More", title="Shared")
    made = await world.alice.share(chat)
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
    assert answer.status_code == 201
    body = answer.json()
    conversation, messages = body["conversation"], body["messages"]
    new = conversation["conversationId"]
    assert UUID(new).version == 4
    assert new != chat
    assert conversation["user"] == world.bob.id
    assert (conversation["title"], conversation["endpoint"]) == ("Shared", "openAI")
    assert conversation["model"] == "gpt-4o-mini"
    assert conversation["createdAt"] == conversation["updatedAt"]
    assert len(conversation["messages"]) == 3
    assert [message["text"] for message in messages] == ["Hi", "Hello", "More"]
    assert all(UUID(message["messageId"]).version == 4 for message in messages)
    assert [message["parentMessageId"] for message in messages] == [
        NO_PARENT,
        messages[0]["messageId"],
        messages[1]["messageId"],
    ]
    assert [m["createdAt"] for m in messages] == [
        shown["createdAt"] for shown in (await world.bob.read(made["shareId"]))["messages"]
    ]
    for message in messages:
        assert message["user"] == world.bob.id
        assert message["conversationId"] == new
        assert (message["unfinished"], message["error"]) == (False, False)
        assert not message.get("model")
    # It is there for the reader, and for nobody else.
    assert (await world.bob.get(f"/api/convos/{new}")).status_code == 200
    assert (await world.alice.get(f"/api/convos/{new}")).status_code == 404
    assert len((await world.bob.get(f"/api/messages/{new}")).json()) == 3
    rows = (await world.bob.get("/api/convos")).json()["conversations"]
    assert [row["conversationId"] for row in rows] == [new]


async def test_one_branch_of_the_revision_that_was_seen(world: Any, kit: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    first, _ = await world.messages(chat)
    other = await world.say(world.alice.id, chat, first["messageId"], text="Other")
    await world.say(world.alice.id, chat, other, text="After")
    made = await world.alice.share(chat)
    fork = f"/api/share/{made['shareId']}/fork"
    shown = await world.bob.read(made["shareId"])

    async def forked(**body: Any) -> list[str]:
        answer = await world.bob.call("POST", fork, body)
        assert answer.status_code == 201, answer.text
        return [message["text"] for message in answer.json()["messages"]]

    revision = shown["updatedAt"]
    texts = [message["text"] for message in shown["messages"]]
    assert texts == ["Hi", "Hello", "Other", "After"]
    assert await forked(targetMessageIndex=3, shareRevision=revision) == ["Hi", "Other", "After"]
    assert await forked(targetMessageIndex=1, shareRevision=revision) == ["Hi", "Hello"]
    everything = ["Hi", "Hello", "Other", "After"]
    assert await forked(targetMessageIndex=1) == everything  # of what?
    assert await forked(targetMessageIndex=9, shareRevision=revision) == everything
    assert await forked(targetMessageIndex=-1, shareRevision=revision) == everything
    zoned = datetime.fromisoformat(revision).isoformat()
    assert await forked(shareRevision=zoned) == everything


async def test_a_link_that_was_published_anew(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
    path = f"/api/share/{made['shareId']}"
    revision = (await world.bob.read(made["shareId"]))["updatedAt"]
    await world.alice.call("PATCH", path, {})
    for wrong in (revision, "yesterday", "", "9" * 400):
        answer = await world.bob.call("POST", f"{path}/fork", {"shareRevision": wrong})
        assert (answer.status_code, answer.json()) == (
            409,
            {"message": "Shared link was updated"},
        )
    assert await world.collection("conversations").count_documents({"user": world.bob.id}) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"targetMessageIndex": "1"},
        {"targetMessageIndex": 1.5},
        {"targetMessageIndex": True},
        {"targetMessageIndex": {"$gt": 0}},
        {"shareRevision": 3},
        {"shareRevision": {"$ne": ""}},
        {"shareRevision": ["x"]},
        [],
    ],
)
async def test_wrong_bodies(world: Any, body: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", body)
    assert answer.status_code == 400
    assert await world.collection("conversations").count_documents({"user": world.bob.id}) == 0


async def test_nothing_to_fork(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    await world.collection("messages").delete_many({})
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
    assert (answer.status_code, answer.json()) == (
        404,
        {"message": "Shared conversation not found"},
    )
    answer = await world.stranger.call("POST", f"/api/share/{made['shareId']}/fork", {})
    assert answer.status_code == 401


async def test_forks_have_a_budget(make_world: Any) -> None:
    environment = {"FORK_USER_MAX": "2", "FORK_USER_WINDOW": "1"}
    async with make_world(environment=environment) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        fork = f"/api/share/{made['shareId']}/fork"
        statuses = [(await world.bob.call("POST", fork, {})).status_code for _ in range(3)]
        assert statuses == [201, 201, 429]
        answer = await world.bob.call("POST", fork, {})
        assert answer.json() == {"message": "Too many requests. Try again later"}
        assert answer.headers["retry-after"]
        assert (await world.alice.call("POST", fork, {})).status_code == 201


async def test_forks_and_duplicates_share_one_budget(make_world: Any) -> None:
    async with make_world(environment={"FORK_USER_MAX": "2"}) as world:
        chat = await world.chat(world.bob.id, "Hi")
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        fork = f"/api/share/{made['shareId']}/fork"
        duplicate = ("POST", "/api/convos/duplicate", {"conversationId": chat})
        assert (await world.bob.call(*duplicate)).status_code == 201
        assert (await world.bob.call("POST", fork, {})).status_code == 201
        assert (await world.bob.call("POST", fork, {})).status_code == 429
        assert (await world.bob.call(*duplicate)).status_code == 429


async def test_forks_of_one_address_have_a_budget(make_world: Any) -> None:
    async with make_world(environment={"FORK_IP_MAX": "2"}) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        fork = f"/api/share/{made['shareId']}/fork"
        people = (world.alice, world.bob, world.person())
        statuses = [(await who.call("POST", fork, {})).status_code for who in people]
        assert statuses == [201, 201, 429]


@pytest.mark.parametrize(
    ("models", "endpoint", "model"),
    [
        ({"google": ["gemini"], "openAI": ["gpt-9", "gpt-8"]}, "openAI", "gpt-9"),
        ({"openAI": [], "anthropic": ["claude"]}, "anthropic", "claude"),
        ({"assistants": ["gpt"], "agents": ["a"], "Mine": ["m"]}, "Mine", "m"),
        ({"assistants": ["gpt"]}, "openAI", "gpt-4o-mini"),
        ({"bedrock": ["claude"], "Mine": ["", "m"]}, "Mine", "m"),
        ({"broken": []}, "openAI", "gpt-4o-mini"),
    ],
)
async def test_where_a_fork_goes_on(
    make_world: Any, kit: Any, models: dict[str, list[str]], endpoint: str, model: str
) -> None:
    offer = kit.offer(Provide(CATALOGUE, Models(**models)))
    async with make_world(offer) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
        found = answer.json()
        assert found["conversation"]["endpoint"] == endpoint
        assert found["conversation"]["model"] == model
        assert found["messages"][0]["endpoint"] == endpoint


async def test_forks_name_no_files(world: Any) -> None:
    file_id = await world.files.put(world.alice.id, b"x")
    file = {"file_id": file_id, "filename": "a.png", "messageId": "old", "conversationId": "old"}
    inner = [{"type": "image_file", "image_file": file}]
    content = [
        {"type": "steer", "steer": "x", "files": [file]},
        {"type": "image_file", "image_file": file},
        {"type": "tool_call", "tool_call": {"name": "subagent", "subagent_content": inner}},
        None,
    ]
    chat = await world.chat(world.alice.id)
    shown = {"files": [file], "attachments": [{**file, "toolCallId": "t"}], "content": content}
    await world.say(world.alice.id, chat, "", **shown)
    made = await world.alice.share(chat)
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
    (message,) = answer.json()["messages"]
    assert '"file_id"' not in answer.text
    assert "convo_" not in str(message["attachments"])
    (attached,) = message["attachments"]
    assert attached == {
        "filename": "a.png",
        "filepath": f"/api/share/{made['shareId']}/files/{file_id}",
        "messageId": message["messageId"],
        "conversationId": message["conversationId"],
        "toolCallId": "t",
    }
    assert message["files"][0]["messageId"] == message["messageId"]


async def test_children_are_later_than_their_parents(world: Any, kit: Any) -> None:
    chat = await world.chat(world.alice.id)
    early, late = kit.moment(minutes=9), kit.moment(minutes=1)
    child = {"messageId": "child", "text": "child", "createdAt": early}
    await world.say(world.alice.id, chat, "root", **child)
    await world.say(world.alice.id, chat, "", messageId="root", text="root", createdAt=late)
    made = await world.alice.share(chat)
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
    root, after = answer.json()["messages"]
    assert (root["text"], after["text"]) == ("root", "child")
    assert after["parentMessageId"] == root["messageId"]
    assert datetime.fromisoformat(after["createdAt"]) == late + timedelta(milliseconds=1)


async def test_orphans_and_cycles_become_roots(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    first, second = await world.messages(chat)
    loop = {"$set": {"parentMessageId": second["messageId"]}}
    await world.collection("messages").update_one({"_id": first["_id"]}, loop)
    await world.say(world.alice.id, chat, "nowhere", text="Orphan")
    made = await world.alice.share(chat)
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
    messages = {message["text"]: message for message in answer.json()["messages"]}
    assert messages["Orphan"]["parentMessageId"] == NO_PARENT
    assert messages["Hi"]["parentMessageId"] == NO_PARENT
    assert messages["Hello"]["parentMessageId"] == messages["Hi"]["messageId"]


async def test_the_readers_retention_counts(make_world: Any, kit: Any) -> None:
    async with make_world(yaml={"interface": {"retentionMode": "all"}}) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
        new = answer.json()["conversation"]["conversationId"]
        found = await world.collection("conversations").find_one({"conversationId": new})
        assert found["expiredAt"] > kit.moment()
