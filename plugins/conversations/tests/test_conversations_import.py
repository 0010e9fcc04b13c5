"""Imports over HTTP (contract convos §2.9, §5)."""

import asyncio
import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from locutory_contracts.conversations import NO_PARENT, ConversationsAdded
from locutory_conversations.importing.importer import Importer

PATH = "/api/convos/import"
DONE = {"message": "Conversation(s) imported successfully"}


async def send(
    person: Any,
    content: Any,
    name: str = "conversations.json",
    kind: str = "application/json",
    field: str = "file",
) -> Any:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await person.call("POST", PATH, files={field: (name, data, kind)})


def chatgpt(count: int, messages: int = 2, **fields: Any) -> list[dict[str, Any]]:
    """An export of ChatGPT."""
    found = []
    for number in range(count):
        mapping: dict[str, Any] = {}
        for each in range(messages):
            mapping[f"n{each}"] = {
                "parent": f"n{each - 1}" if each else None,
                "message": {
                    "author": {"role": "assistant" if each % 2 else "user"},
                    "create_time": 1_600_000_000 + number * 100 + each,
                    "content": {"content_type": "text", "parts": [f"text {number} {each}"]},
                },
            }
        moment = 1_600_000_000 + number * 100
        item = {"title": f"Chat {number}", "create_time": moment, "mapping": mapping}
        found.append({**item, **fields})
    return found


async def test_chatgpt(world: Any) -> None:
    answer = await send(world.alice, chatgpt(120, 3))
    assert (answer.status_code, answer.json()) == (201, DONE)
    assert await world.collection("conversations").count_documents({}) == 120
    assert await world.collection("messages").count_documents({}) == 360
    listed = (await world.alice.get("/api/convos")).json()["conversations"]
    assert listed[0]["title"] == "Chat 119"
    assert listed[0]["createdAt"] == listed[0]["updatedAt"] == "2020-09-13T15:45:00.000Z"
    stored = await world.stored("conversations", conversationId=listed[0]["conversationId"])
    assert (stored["user"], stored["endpoint"], stored["model"]) == (
        world.alice.id,
        "openAI",
        "gpt-4o-mini",
    )
    assert (stored["isTemporary"], stored["expiredAt"], stored["isArchived"]) == (
        False,
        None,
        False,
    )
    rows = (await world.alice.get(f"/api/messages/{stored['conversationId']}")).json()
    assert [row["text"] for row in rows] == ["text 119 0", "text 119 1", "text 119 2"]
    assert len(stored["messages"]) == 3
    facts = world.witness.of(ConversationsAdded)
    told = [one for fact in facts for one in fact.conversation_ids]
    assert len(told) == len(set(told)) == 120
    progress = (await world.alice.get(f"{PATH}/progress")).json()
    size = progress["total_bytes"]
    assert size > 10_000
    assert progress == {
        "state": "done",
        "imported": 120,
        "failed": 0,
        "total_bytes": size,
        "read_bytes": size,
    }
    # Somebody else's import is nobody's business.
    assert (await world.bob.get(f"{PATH}/progress")).status_code == 404


async def test_other_formats(world: Any) -> None:
    message = {"sender": "human", "text": "q", "created_at": "2026-01-01T00:00:00Z"}
    files = [
        [{"name": "Claude chat", "chat_messages": [message]}],
        {
            "version": 4,
            "folders": [],
            "history": [{"name": "Old", "messages": [{"role": "user", "content": "q"}]}],
        },
        {
            "conversationId": str(uuid4()),
            "endpoint": "Fake",
            "title": "Imported",
            "exportAt": "10:00:00",
            "recursive": False,
            "options": {"endpoint": "Fake", "model": "fake"},
            "messages": [
                {"messageId": str(uuid4()), "parentMessageId": NO_PARENT, "text": "q"},
            ],
        },
    ]
    for content in files:
        answer = await send(world.alice, content)
        assert (answer.status_code, answer.json()) == (201, DONE)
    rows = (await world.alice.get("/api/convos", sortBy="title")).json()["conversations"]
    assert [row["title"] for row in rows] == ["Old", "Imported", "Claude chat"]
    assert [row["endpoint"] for row in rows] == ["openAI", "Fake", "anthropic"]


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("a.json", "application/json", 201),
        ("noname", "application/json", 201),
        ("UPPER.JSON", "application/octet-stream", 201),
        (quote("Überblick äöü.json"), "text/plain", 201),
        ("lines.jsonl", "application/octet-stream", 201),
        ("x", "application/x-ndjson", 201),
        ("a.txt", "text/plain", 415),
        ("json", "text/html", 415),
    ],
)
async def test_kinds_of_files(world: Any, name: str, kind: str, status: int) -> None:
    answer = await send(world.alice, chatgpt(1), name, kind)
    assert answer.status_code == status
    if status == 415:
        assert answer.json() == {"message": "Only JSON files are allowed"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"a": 1}, "Unsupported import type"),
        ([1], "Unsupported import type"),
        (b"not json", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[" * 200_000, "too"),
        ([{"mapping": 7}], "no mapping"),
        ({"conversationId": "x", "messages": [7]}, "not an object"),
        (
            {
                "conversationId": "x",
                "messages": [
                    {"messageId": "a", "parentMessageId": "b", "text": "a"},
                    {"messageId": "b", "parentMessageId": "a", "text": "b"},
                ],
            },
            "circle",
        ),
        ({"conversationId": "x", "messages": [{"text": "a", "metadata": {"n": 2**70}}]}, ""),
    ],
)
async def test_junk_is_refused_and_leaves_nothing(world: Any, content: Any, text: str) -> None:
    answer = await send(world.alice, content)
    assert answer.status_code == 400
    assert text in answer.json()["message"]
    assert "Nothing was imported" in answer.json()["message"]
    for name in ("conversations", "messages"):
        assert await world.collection(name).count_documents({}) == 0
    assert (await world.alice.get(f"{PATH}/progress")).json()["state"] == "failed"


EMPTY = {"message": "The file holds no messages. Nothing was imported."}


@pytest.mark.parametrize(
    "content",
    [
        [],
        [{"title": "x", "create_time": 1, "mapping": {}}],
        [{"title": "x", "mapping": {"a": {"message": None}, "b": {"parent": "a"}}}] * 3,
        [{"name": "x", "chat_messages": []}],
        [{"name": "x", "chat_messages": [{"sender": "human", "text": ""}]}],
        {"version": 5, "history": []},
        {"version": 4, "history": [{"name": "x", "messages": []}]},
        {"version": 4, "history": [{"name": "x", "messages": [{"role": "system"}]}]},
        {"conversationId": "x", "messages": []},
        {"conversationId": "x", "recursive": True, "messagesTree": []},
        b'{"kind":"export","version":1}\n{"kind":"end"}\n',
    ],
)
async def test_nothing_empty_is_called_imported(world: Any, content: Any) -> None:
    answer = await send(world.alice, content)
    assert (answer.status_code, answer.json()) == (400, EMPTY)
    assert await world.collection("conversations").count_documents({}) == 0
    progress = (await world.alice.get(f"{PATH}/progress")).json()
    assert (progress["state"], progress["message"]) == ("failed", EMPTY["message"])


async def test_empty_conversations_are_left_out(world: Any) -> None:
    """They occur in real exports; the others are imported, and that is no failure."""
    answer = await send(world.alice, [{"title": "x", "mapping": {}}, *chatgpt(2)])
    assert (answer.status_code, answer.json()) == (201, DONE)
    assert await world.collection("conversations").count_documents({}) == 2


async def ended(person: Any) -> Any:
    """The progress of an import, once it is over."""
    while True:
        progress = (await person.get(f"{PATH}/progress")).json()
        if progress["state"] != "running":
            return progress
        await asyncio.sleep(0.01)


async def test_an_import_that_takes_long_is_answered_and_goes_on(open_world: Any) -> None:
    """A proxy that waits a minute would tell the user that it failed."""
    quick = {"plugins": {"conversations": {"import_answer_seconds": 1e-9}}}
    async with open_world(yaml=quick) as world:
        answer = await send(world.alice, chatgpt(60))
        assert answer.status_code == 202
        progress = await ended(world.alice)
        assert (progress["state"], progress["imported"]) == ("done", 60)
        assert await world.collection("conversations").count_documents({}) == 60
        # The place is free again, and what went wrong is told too.
        assert (await send(world.alice, [1])).status_code == 202
        progress = await ended(world.alice)
        assert progress["message"] == "Unsupported import type. Nothing was imported."


async def test_a_broken_file_says_how_much_was_imported(world: Any) -> None:
    whole = json.dumps(chatgpt(70)).encode()
    answer = await send(world.alice, whole[:-40])
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("The file ends early")
    count = await world.collection("conversations").count_documents({})
    assert count == 69
    assert f"{count} imported before that" in answer.json()["message"]
    assert (await world.alice.get(f"{PATH}/progress")).json()["imported"] == count


async def test_bad_conversations_do_not_hold_up_the_others(world: Any) -> None:
    content: list[Any] = chatgpt(3)
    content.insert(1, {"title": "no mapping"})
    content.insert(3, {"mapping": {"x": {"message": {"content": {"content_type": "x"}}}}})
    content[-1]["title"] = 7
    large = chatgpt(1)[0]
    large["mapping"]["n0"]["message"]["content"]["parts"] = ["x" * 17_000_000]
    content.append(large)
    answer = await send(world.alice, content)
    assert answer.status_code == 400
    text = answer.json()["message"]
    assert text.startswith("4 imported, 2 left out: ")
    titles = {row["title"] async for row in world.collection("conversations").find({})}
    assert titles == {"Chat 0", "Chat 1", "Imported Chat"}


async def test_what_is_no_upload(world: Any) -> None:
    async def status(**options: Any) -> int:
        answer = await world.alice.call("POST", PATH, **options)
        assert isinstance(answer.json()["message"], str)
        code: int = answer.status_code
        return code

    kind = {"content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n'
    assert await status() == 400
    assert await status(body={"a": 1}) == 400
    assert await status(files={"other": ("a.json", b"[]", "application/json")}) == 400
    assert await status(data={"file": "[]"}, headers={}) == 400
    assert await status(content=b"", headers=kind) == 400
    assert await status(content=b"junk", headers=kind) == 400
    assert await status(content=part + b"[]", headers=kind) == 400
    assert (
        await status(content=part + b"[]\r\n--b--", headers={"content-type": kind["content-type"]})
        == 400
    )
    assert await status(content=b"x", headers={"content-type": "multipart/form-data"}) == 400
    many = (
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 50 + part + b"[]\r\n--b--"
    )
    assert await status(content=many, headers=kind) == 400
    long = b"--b\r\nX-Long: " + b"y" * 100_000 + b"\r\n\r\n"
    assert await status(content=long, headers=kind) == 400
    # A whole form, but for what it says about a part.
    for lines in (
        b"X-Long: " + b"y" * 20_000 + b"\r\n",
        b"".join(b"X-%d: y\r\n" % n for n in range(20)),
    ):
        told = b"--b\r\n" + lines + part.removeprefix(b"--b\r\n") + b"[]\r\n--b--"
        assert await status(content=told, headers=kind) == 400
    answer = await world.server.client.post(PATH, files={"file": ("a.json", b"[]")})
    assert answer.status_code == 401


async def test_only_the_first_file_counts(world: Any) -> None:
    files = [
        ("x", (None, b"a field")),
        ("file", ("a.json", json.dumps(chatgpt(1)).encode(), "application/json")),
        ("file", ("b.json", json.dumps(chatgpt(5)).encode(), "application/json")),
    ]
    answer = await world.alice.call("POST", PATH, files=files)
    assert answer.status_code == 201
    assert await world.collection("conversations").count_documents({}) == 1


async def test_size_limits(open_world: Any) -> None:
    environment = {"CONVERSATION_IMPORT_MAX_FILE_SIZE_BYTES": "2000000"}
    async with open_world(environment=environment) as world:
        for size in (2_000_001, 2_100_000, 5_000_000):
            answer = await send(world.alice, b" " * size)
            assert answer.status_code == 413, size
            assert answer.json() == {"message": "File exceeds the maximum allowed size"}
        content = json.dumps(chatgpt(1)).encode()
        answer = await send(world.alice, b" " * (2_000_000 - len(content)) + content)
        assert answer.status_code == 201

        async def unannounced() -> Any:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n'
            for _ in range(50):
                yield b" " * 100_000
            yield b"\r\n--b--"

        answer = await world.alice.call(
            "POST",
            PATH,
            content=unannounced(),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == 413
    yaml = {"plugins": {"conversations": {"largest_conversation_bytes": 1024**2}}}
    async with open_world(yaml=yaml) as world:
        given = [*chatgpt(3), *chatgpt(1, title="x" * 3_000_000)]
        answer = await send(world.alice, given)
        assert answer.status_code == 400
        assert "larger than 1 MiB. 3 imported" in answer.json()["message"]


async def test_limits_of_imports(open_world: Any) -> None:
    environment = {"IMPORT_USER_MAX": "9", "IMPORT_IP_MAX": "9"}
    yaml = {
        "rateLimits": {"conversationsImport": {"userMax": 2, "ipMax": 3, "userWindowInMinutes": 1}}
    }
    async with open_world(environment=environment, yaml=yaml) as world:
        statuses = [
            (await send(person, chatgpt(1))).status_code
            for person in (world.alice, world.alice, world.alice, world.bob)
        ]
        assert statuses == [201, 201, 429, 429]
        answer = await send(world.bob, chatgpt(1))
        assert answer.json() == {
            "message": "Too many conversation import requests. Try again later"
        }
        assert answer.headers["x-ratelimit-limit"] == "3"


async def test_imports_expire_where_everything_does(open_world: Any) -> None:
    yaml = {"interface": {"retentionMode": "all", "temporaryChatRetention": 24}}
    async with open_world(yaml=yaml) as world:
        assert (await send(world.alice, chatgpt(1))).status_code == 201
        for name in ("conversations", "messages"):
            stored = await world.stored(name)
            assert stored["isTemporary"] is False
            assert world.ago(hours=-23) < stored["expiredAt"] < world.ago(hours=-25)


async def test_one_import_of_a_user_at_a_time(world: Any) -> None:
    answers = await asyncio.gather(*(send(world.alice, chatgpt(200)) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    both = await asyncio.gather(*(send(p, chatgpt(2)) for p in (world.alice, world.bob)))
    assert [answer.status_code for answer in both] == [201, 201]


async def test_the_same_file_again(world: Any) -> None:
    """Whoever lost the answer to a long import sends the file again. What has changed in the
    other program comes as a new conversation: what was said here since stays."""
    items = chatgpt(70)
    for number, item in enumerate(items):
        item["conversation_id"] = f"c{number}"
    claude = [
        {"uuid": f"u{number}", "chat_messages": [{"sender": "human", "text": f"text {number}"}]}
        for number in range(3)
    ]

    async def titles(person: Any) -> int:
        count: int = await world.collection("conversations").count_documents({"user": person.id})
        return count

    for content, count in ((items, 70), (items, 70), (claude, 73), (claude, 73)):
        answer = await send(world.alice, content)
        assert (answer.status_code, answer.json()) == (201, DONE)
        assert await titles(world.alice) == count
    assert await world.collection("messages").count_documents({}) == 143
    items[0]["title"] = "Changed"
    assert (await send(world.alice, [*items[:3], items[0]])).status_code == 201
    assert await titles(world.alice) == 74
    # Without an id nobody can tell; somebody else has conversations of his own.
    assert (await send(world.alice, chatgpt(2))).status_code == 201
    assert (await send(world.alice, chatgpt(2))).status_code == 201
    assert await titles(world.alice) == 78
    assert (await send(world.bob, items)).status_code == 201
    assert await titles(world.bob) == 70
    # What was deleted can be brought back.
    listed = (await world.bob.get("/api/convos")).json()["conversations"]
    gone = {"arg": {"conversationId": listed[0]["conversationId"]}}
    assert (await world.bob.call("DELETE", "/api/convos", json=gone)).status_code == 201
    assert (await send(world.bob, items)).status_code == 201
    assert await titles(world.bob) == 70


async def test_progress_of_a_new_import_begins_anew(world: Any, monkeypatch: Any) -> None:
    """It must not say that the one before is done."""
    await send(world.alice, chatgpt(2))
    seen: list[Any] = []
    run = Importer.run

    async def watched(self: Any, file: Any, principal: Any, progress: Any) -> Any:
        seen.append((await world.alice.get(f"{PATH}/progress")).json())
        return await run(self, file, principal, progress)

    monkeypatch.setattr(Importer, "run", watched)
    await send(world.alice, chatgpt(3))
    assert [(each["state"], each["imported"]) for each in seen] == [("running", 0)]


async def test_nothing_of_others_comes_in(world: Any) -> None:
    """Ids, owners and operators of a file mean nothing."""
    stored = await world.conversation(world.bob.id)
    row = await world.message(world.bob.id, stored["conversationId"], text="untouched")
    content = {
        "conversationId": stored["conversationId"],
        "user": world.bob.id,
        "options": {"user": world.bob.id, "_id": str(stored["_id"]), "tags": {"$ne": 1}},
        "messages": [
            {
                "messageId": row["messageId"],
                "conversationId": stored["conversationId"],
                "user": world.bob.id,
                "text": "mine",
                "metadata": {"$set": {"x": 1}, "ok": {"$gt": ""}},
            }
        ],
    }
    assert (await send(world.alice, content)).status_code == 201
    assert await world.stored("conversations", _id=stored["_id"]) == stored
    assert await world.stored("messages", _id=row["_id"]) == row
    mine = await world.stored("messages", user=world.alice.id)
    assert mine["conversationId"] != stored["conversationId"]
    assert mine["messageId"] != row["messageId"]
    assert mine["metadata"] == {"ok": {}}
