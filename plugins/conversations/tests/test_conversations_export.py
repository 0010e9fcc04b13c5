"""Exports: the stream, its way back, the command."""

import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Provide, StartupError
from locutory_contracts.account_data import ACCOUNT_DATA, AccountData, Record
from locutory_contracts.conversations import NO_PARENT, PROJECTS
from locutory_conversations.importing import records
from locutory_conversations.importing.records import ConversationRecords

EXPORT, IMPORT = "/api/convos/export", "/api/convos/import"


class ProjectData(AccountData):
    """Projects of a test: records that conversations refer to."""

    kind = "project"
    rank = 10

    def __init__(self) -> None:
        self.names: dict[str, dict[str, str]] = {}

    async def export(self, user: str) -> AsyncIterator[Record]:
        for identity, name in self.names.get(user, {}).items():
            yield {"kind": "project", "id": identity, "name": name}

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        if not isinstance(record.get("name"), str):
            raise ValueError("a project has no name")
        own = self.names.setdefault(user, {})
        if record["name"] in own.values():
            return False
        ids[record["id"]] = str(ObjectId())
        own[ids[record["id"]]] = record["name"]
        return True

    async def erase(self, user: str) -> None:
        self.names.pop(user, None)


@pytest.fixture
def projects() -> ProjectData:
    """The projects of the server."""
    return ProjectData()


@pytest.fixture
async def world(open_world: Any, offer: Any, projects: ProjectData) -> AsyncIterator[Any]:
    """The plugin with projects beside it."""
    async with open_world(offer(Provide(ACCOUNT_DATA, projects, "projects"))) as opened:
        yield opened


async def furnished(
    world: Any, user: str, projects: ProjectData
) -> tuple[str, list[dict[str, Any]]]:
    """A project, and three conversations with two messages each."""
    project = str(ObjectId())
    projects.names[user] = {project: "House"}
    rows = []
    for number in range(3):
        stored = await world.conversation(
            user,
            title=f"Chat {number}",
            tags=["t"],
            temperature=0.5,
            chatProjectId=project if number else None,
            createdAt=world.ago(days=10 + number),
            updatedAt=world.ago(days=5 + number),
            subagentThreadLease={"token": "secret-lease"},
            tenantId=...,
        )
        question = await world.message(
            user, stored["conversationId"], text="q", createdAt=world.ago(days=9)
        )
        await world.message(
            user,
            stored["conversationId"],
            parentMessageId=question["messageId"],
            content=[{"type": "text", "text": "a \\ui{x}"}],
            feedback={"rating": "thumbsUp", "tag": "other", "_id": ObjectId()},
            subagentTranscript={"messagesJson": "secret-transcript"},
            createdAt=world.ago(days=8),
            updatedAt=world.ago(days=7),
        )
        rows.append(stored)
    return project, rows


async def exported(person: Any) -> bytes:
    answer = await person.get(EXPORT)
    assert answer.status_code == 200
    data: bytes = answer.content
    return data


async def bring(person: Any, data: bytes) -> Any:
    return await person.call("POST", IMPORT, files={"file": ("e.jsonl", data, "text/plain")})


async def snapshot(world: Any, user: str) -> dict[str, Any]:
    """Everything of a user but what must differ: _id, and the ids of messages."""
    found: dict[str, Any] = {}
    async for row in world.collection("conversations").find({"user": user}):
        messages = [
            {**each, "feedback": each.get("feedback", {}).get("tag")}
            async for each in world.collection("messages")
            .find({"user": user, "conversationId": row["conversationId"]})
            .sort("createdAt", 1)
        ]
        kept = {"title", "tags", "temperature", "createdAt", "updatedAt", "endpoint", "isArchived"}
        found[row["title"]] = (
            {name: row.get(name) for name in kept},
            [
                {name: each.get(name) for name in ("text", "createdAt", "updatedAt", "feedback")}
                for each in messages
            ],
        )
    return found


async def test_the_stream(world: Any, projects: ProjectData) -> None:
    _, rows = await furnished(world, world.alice.id, projects)
    await furnished(world, world.bob.id, projects)
    answer = await world.alice.get(EXPORT)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename=")
    assert disposition.endswith('.json"')  # the only kind that the client offers to import
    assert "secret-" not in answer.text
    for private in (world.alice.id, world.bob.id, '"_id"', "_meiliIndex"):
        assert private not in answer.text.replace('"_id":"', "", 3)  # of the feedback
    lines = [json.loads(line) for line in answer.text.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["export", "project", *["conversation"] * 3, "end"]
    assert lines[0]["version"] == 1
    assert lines[-1]["records"] == 4
    first = next(
        line
        for line in lines[2:-1]
        if line["conversation"]["conversationId"] == rows[0]["conversationId"]
    )
    assert [message["text"] for message in first["messages"]] == ["q", ""]
    assert first["messages"][1]["parentMessageId"] == first["messages"][0]["messageId"]
    assert first["messages"][0]["parentMessageId"] == NO_PARENT


async def test_every_conversation_has_its_own_messages(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are read at once, with and without messages, and in the order of creation."""
    monkeypatch.setattr(records, "_EXPORTED_AT_ONCE", 3)
    monkeypatch.setattr(records, "_MESSAGES_AT_ONCE", 2)
    user = world.alice.id
    expected: dict[str, list[str]] = {}
    for number in range(8):
        stored = await world.conversation(user, createdAt=world.ago(days=20 - number))
        texts = [f"{number}.{n}" for n in range(number % 4)]
        for n, text in reversed(list(enumerate(texts))):
            await world.message(
                user, stored["conversationId"], text=text, createdAt=world.ago(days=9, minutes=-n)
            )
        expected[stored["conversationId"]] = texts
        await world.message(world.bob.id, stored["conversationId"], text="of somebody else")
    await world.message(user, str(uuid4()), text="of a conversation that is gone")
    lines = [json.loads(line) for line in (await exported(world.alice)).splitlines()]
    found = {
        line["conversation"]["conversationId"]: [message["text"] for message in line["messages"]]
        for line in lines
        if line["kind"] == "conversation"
    }
    assert found == expected


async def test_there_and_back(world: Any, projects: ProjectData) -> None:
    alice = world.alice
    _, rows = await furnished(world, alice.id, projects)
    data, before = await exported(alice), await snapshot(world, alice.id)
    again = await bring(alice, data)
    assert again.status_code == 201  # all of it is there already
    assert await world.collection("conversations").count_documents({}) == 3
    assert (await alice.call("DELETE", "/api/convos/all")).status_code == 201
    projects.names.clear()
    assert (await bring(alice, data)).status_code == 201
    assert await snapshot(world, alice.id) == before
    (project,) = projects.names[alice.id]
    for number, row in enumerate(rows):
        stored = await world.stored("conversations", conversationId=row["conversationId"])
        assert stored["chatProjectId"] == (project if number else None)
        assert len(stored["messages"]) == 2
        assert not stored.get("subagentThreadLease")
    row = await world.stored("messages", sender="Fake", text="")
    assert row["content"] == [{"type": "text", "text": "a "}]  # no resources out of a file


async def test_somebody_else_gets_ids_of_his_own(world: Any, projects: ProjectData) -> None:
    _, rows = await furnished(world, world.alice.id, projects)
    data = await exported(world.alice)
    for _ in range(2):  # the second time they have it
        assert (await bring(world.bob, data)).status_code == 201
    theirs = [
        row["conversationId"]
        async for row in world.collection("conversations").find({"user": world.bob.id})
    ]
    assert len(theirs) == 3
    assert not set(theirs) & {row["conversationId"] for row in rows}
    assert await snapshot(world, world.bob.id) == await snapshot(world, world.alice.id)
    messages = (await world.bob.get(f"/api/messages/{theirs[0]}")).json()
    assert messages[1]["parentMessageId"] == messages[0]["messageId"]
    assert await world.collection("messages").count_documents({"user": world.alice.id}) == 6


class Owning:
    """Whose project is it? Counts how often that is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def owns(self, user: str, project_id: str) -> bool:
        self.asked += 1
        return True


async def test_an_import_asks_once_for_many(
    open_world: Any, offer: Any, projects: ProjectData, monkeypatch: Any
) -> None:
    """Not once for each conversation: where it goes, and whose project it is in."""
    looked: list[int] = []
    restore_targets = ConversationRecords.restore_targets

    async def counted(self: Any, user: str, records: Any) -> Any:
        looked.append(len(records))
        return await restore_targets(self, user, records)

    monkeypatch.setattr(ConversationRecords, "restore_targets", counted)
    owning = Owning()
    offers = (Provide(ACCOUNT_DATA, projects, "projects"), Provide(PROJECTS, owning))
    async with open_world(offer(*offers)) as world:
        project = str(ObjectId())
        projects.names[world.alice.id] = {project: "House"}
        for number in range(40):
            await world.conversation(
                world.alice.id, title=f"Chat {number}", chatProjectId=project, tenantId=...
            )
        data = await exported(world.alice)
        owning.asked = 0
        assert (await bring(world.bob, data)).status_code == 201
        assert await world.collection("conversations").count_documents({"user": world.bob.id}) == 40
        assert len(looked) <= 3
        assert owning.asked <= 3


async def test_what_has_ended_is_not_exported(world: Any) -> None:
    """It waits for its removal, and would live on where it is restored."""
    ended = await world.conversation(
        world.alice.id, title="ended", isTemporary=True, expiredAt=world.ago(seconds=1)
    )
    await world.message(world.alice.id, ended["conversationId"], text="ended")
    await world.conversation(world.alice.id, title="lasting", expiredAt=world.ago(hours=-1))
    text = (await exported(world.alice)).decode()
    assert "lasting" in text
    assert "ended" not in text


async def test_temporary_chats_begin_anew(world: Any) -> None:
    await world.conversation(
        world.alice.id, isTemporary=True, expiredAt=world.ago(days=-1), title="Soon gone"
    )
    data = await exported(world.alice)
    await world.alice.call("DELETE", "/api/convos/all")
    assert (await bring(world.alice, data)).status_code == 201
    stored = await world.stored("conversations", title="Soon gone")
    assert stored["isTemporary"] is True
    assert world.ago(days=-29) < stored["expiredAt"] < world.ago(days=-31)


async def test_damaged_exports(world: Any, projects: ProjectData) -> None:
    await furnished(world, world.alice.id, projects)
    lines = (await exported(world.alice)).splitlines()
    await world.alice.call("DELETE", "/api/convos/all")
    cut = b"\n".join(lines[:4]) + b"\n"
    answer = await bring(world.alice, cut)
    assert answer.status_code == 400
    assert answer.json()["message"] == "The file ends early. 2 imported before that."
    record = json.loads(lines[3])
    bad: list[Any] = [
        {"kind": "project"},
        {"kind": "conversation"},
        {"kind": "conversation", "conversation": {}, "messages": []},
        {**record, "conversation": {**record["conversation"], "conversationId": {"$ne": 1}}},
        {**record, "messages": [{"text": "no id"}], "conversation": record["conversation"]},
        {"kind": {"$ne": 1}},
        {"kind": "of a plugin that is off"},
        7,
        None,
        json.loads(lines[4]),
    ]
    data = b"\n".join([lines[0], *(json.dumps(row).encode() for row in bad), lines[-1], b""])
    answer = await bring(world.alice, data)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("1 imported, ")
    assert await world.collection("conversations").count_documents({}) == 3


async def test_a_forged_record_reaches_nobody_else(world: Any) -> None:
    stored = await world.conversation(world.bob.id, title="Bob's")
    row = await world.message(world.bob.id, stored["conversationId"], text="untouched")
    record = {
        "kind": "conversation",
        "conversation": {
            "conversationId": stored["conversationId"],
            "user": world.bob.id,
            "title": "Forged",
            "chatProjectId": str(ObjectId()),
            "subagentThread": {"parentConversationId": stored["conversationId"]},
            "expiredAt": "2020-01-01T00:00:00Z",
        },
        "messages": [
            {
                "messageId": row["messageId"],
                "user": world.bob.id,
                "conversationId": stored["conversationId"],
                "text": "forged",
            }
        ],
    }
    lines = [{"kind": "export", "version": 1}, record, {"kind": "end"}]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert (await bring(world.alice, data)).status_code == 201
    assert await world.stored("conversations", _id=stored["_id"]) == stored
    assert await world.stored("messages", _id=row["_id"]) == row
    mine = await world.stored("conversations", user=world.alice.id)
    assert mine["conversationId"] != stored["conversationId"]
    assert mine.get("chatProjectId") is None
    assert "subagentThread" not in mine
    assert mine["expiredAt"] is None
    message = await world.stored("messages", user=world.alice.id)
    assert message["conversationId"] == mine["conversationId"]


async def test_exports_are_limited(open_world: Any) -> None:
    yaml = {"plugins": {"conversations": {"export_user_max": 1}}}
    async with open_world(yaml=yaml) as world:
        assert (await world.alice.get(EXPORT)).status_code == 200
        assert (await world.alice.get(EXPORT)).status_code == 429
        answer = await world.server.client.get(EXPORT)
        assert answer.status_code == 401


class Others(ProjectData):
    """Records of the same kind from another plugin."""


async def test_two_plugins_with_records_of_one_kind_do_not_start(
    open_world: Any, offer: Any, projects: ProjectData
) -> None:
    both = (
        Provide(ACCOUNT_DATA, projects, "projects"),
        Provide(ACCOUNT_DATA, Others(), "others"),
    )
    with pytest.raises(StartupError) as error:
        async with open_world(offer(*both)):
            pass
    assert "records of the kind 'project' come from both 'projects' and 'others'" in str(
        error.value
    )
