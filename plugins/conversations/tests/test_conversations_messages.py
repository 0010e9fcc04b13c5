"""Reading messages (contract messages §2, §3.1, §3.4, §3.7)."""

from typing import Any
from uuid import uuid4

import pytest

from locutory import Provide
from locutory_contracts.chat import GENERATIONS

HIDDEN = {
    "clientId": "c",
    "invocationId": 1,
    "conversationSignature": "s",
    "summary": "s",
    "summaryTokenCount": 1,
    "contextMeta": {"encoding": "x"},
    "langfuseSampled": True,
    "langfuseDestinationIds": [],
    "subagentTranscript": {"taskId": "t"},
    "subagentTask": {"status": "running"},
}
METHODS = (
    ("GET", ""),
    ("GET", "/m"),
    ("PUT", "/m"),
    ("PUT", "/m/feedback"),
    ("POST", ""),
    ("DELETE", "/m"),
)


async def test_an_array_without_private_fields(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    results = {
        "turn": 1,
        "knowledgeGraph": {},
        "peopleAlsoAsk": [],
        "relatedSearches": [],
        "shopping": [],
        "places": [],
        "news": [],
        "organic": [{"link": "l", "sitelinks": [], "highlights": []}, None],
        "topStories": [{"title": "t", "highlights": [], "sitelinks": []}],
    }
    await world.message(
        world.alice.id,
        stored["conversationId"],
        **HIDDEN,
        metadata={"usage": {"input": 1}, "thoughtSignatures": {"a": "b"}},
        attachments=[{"type": "web_search", "web_search": results}, None, {"type": "file"}],
        content=[None, {"type": "text", "text": "a"}],
    )
    await world.message(world.alice.id, stored["conversationId"], createdAt=world.ago(days=1))
    answer = await world.alice.get(f"/api/messages/{stored['conversationId']}")
    assert answer.status_code == 200
    plain, rich = answer.json()
    assert set(plain) == {
        *("messageId", "conversationId", "parentMessageId", "sender", "text", "endpoint"),
        *("isCreatedByUser", "isTemporary", "unfinished", "error", "expiredAt"),
        *("createdAt", "updatedAt"),
    }
    assert set(rich) - set(plain) == {"metadata", "attachments", "content"}
    assert rich["content"] == [None, {"type": "text", "text": "a"}]
    assert rich["metadata"] == {"usage": {"input": 1}}
    assert rich["attachments"] == [
        {
            "type": "web_search",
            "web_search": {
                "turn": 1,
                "organic": [{"link": "l"}, None],
                "topStories": [{"title": "t", "sitelinks": []}],
            },
        },
        None,
        {"type": "file"},
    ]


async def test_odd_documents_do_not_break_the_list(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    for odd in (
        {"attachments": "x", "metadata": "y", "content": None},
        {"attachments": [{"web_search": {"organic": "x", "topStories": {}}}], "createdAt": ...},
        {"createdAt": "yesterday", "plugins": [1], "text": None},
    ):
        await world.message(world.alice.id, stored["conversationId"], **odd)
    answer = await world.alice.get(f"/api/messages/{stored['conversationId']}")
    assert len(answer.json()) == 3


async def test_guards(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    await world.message(world.alice.id, stored["conversationId"])
    path = f"/api/messages/{stored['conversationId']}"
    assert (await world.alice.get("/api/messages/" + str(uuid4()))).json() == {
        "error": "Conversation not found"
    }
    for method, rest in METHODS:
        answer = await world.bob.call(method, path + rest, {} if method != "GET" else None)
        assert answer.status_code == 404
        assert answer.json() == {"error": "Conversation not found"}
        answer = await world.alice.call(method, "/api/messages/new" + rest, {})
        assert (answer.status_code, answer.json()) == (200, []), (method, rest)
        for body in (
            {"conversationId": "other"},
            {"message": {"conversationId": "other"}},
            {"conversationId": {"a": 1}},
        ):
            answer = await world.alice.call(method, path + rest, body)
            assert answer.status_code == 400
            assert answer.json() == {"error": "Conversation ID mismatch"}
    same = {"conversationId": stored["conversationId"], "message": {"conversationId": None}}
    assert (await world.alice.call("GET", path, same)).status_code == 200
    assert await world.collection("messages").count_documents({}) == 1


class Running:
    """A turn of ``user`` runs in ``conversation``."""

    def __init__(self) -> None:
        self.user = self.conversation = ""

    async def active(self, user: str, conversation_id: str) -> bool:
        return (user, conversation_id) == (self.user, self.conversation)

    async def stop_all(self, user: str) -> None: ...


async def test_a_first_answer_is_readable_while_it_runs(open_world: Any, offer: Any) -> None:
    """The conversation is saved at the end of its first turn only."""
    running = Running()
    async with open_world(offer(Provide(GENERATIONS, running))) as world:
        conversation_id = str(uuid4())
        path = f"/api/messages/{conversation_id}"
        assert (await world.alice.get(path)).status_code == 404
        running.user, running.conversation = world.alice.id, conversation_id
        assert (await world.alice.get(path)).json() == []
        await world.message(world.alice.id, conversation_id, text="so far")
        assert [row["text"] for row in (await world.alice.get(path)).json()] == ["so far"]
        assert (await world.bob.get(path)).status_code == 404
        assert (await world.alice.get(f"{path}/m")).status_code == 404


async def test_one_message_is_an_array(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    other = await world.conversation(world.alice.id)
    message = await world.message(world.alice.id, stored["conversationId"], **HIDDEN)
    path = f"/api/messages/{stored['conversationId']}"
    (row,) = (await world.alice.get(f"{path}/{message['messageId']}")).json()
    assert row["messageId"] == message["messageId"]
    assert not set(row) & {*HIDDEN, "_id", "__v", "user", "_meiliIndex"}
    for wrong in (
        f"{path}/{uuid4()}",
        f"/api/messages/{other['conversationId']}/{message['messageId']}",
    ):
        answer = await world.alice.get(wrong)
        assert (answer.status_code, answer.json()) == (200, [])


async def test_pages_of_full_documents(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    conversation_id = stored["conversationId"]
    for number in range(5):
        await world.message(
            world.alice.id,
            conversation_id,
            messageId=f"m{number}",
            endpoint=f"e{number}",
            createdAt=world.ago(minutes=number),
            updatedAt=world.ago(minutes=10 - number),
            **HIDDEN,
        )

    async def walk(**query: str) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await world.alice.get(
                "/api/messages", conversationId=conversation_id, pageSize="2", **query, **cursor
            )
            assert answer.status_code == 200, answer.text
            body = answer.json()
            found += [row["messageId"] for row in body["messages"]]
            if body["nextCursor"] is None:
                return found
            assert len(body["messages"]) == 2
            cursor = {"cursor": body["nextCursor"]}

    by_update = ["m4", "m3", "m2", "m1", "m0"]
    assert await walk() == by_update
    assert await walk(sortDirection="asc") == by_update[::-1]
    assert await walk(sortBy="createdAt") == by_update[::-1]
    assert await walk(sortBy="text") == by_update[::-1]
    assert await walk(sortBy="endpoint") == by_update
    assert await walk(sortBy="endpoint", sortDirection="asc") == by_update[::-1]
    body = (await world.alice.get("/api/messages", conversationId=conversation_id)).json()
    row = body["messages"][0]
    assert row["user"] == world.alice.id
    assert row["__v"] == 0
    assert row["clientId"] == "c"
    assert not {"_meiliIndex", "subagentTask", "subagentTranscript"} & set(row)
    one = await world.alice.get("/api/messages", conversationId=conversation_id, messageId="m3")
    assert [row["messageId"] for row in one.json()["messages"]] == ["m3"]
    none = await world.bob.get("/api/messages", conversationId=conversation_id, messageId="m3")
    assert none.json() == {"messages": [], "nextCursor": None}
    none = await world.bob.get("/api/messages", conversationId=conversation_id)
    assert none.json() == {"messages": [], "nextCursor": None}


async def test_printed_dates_are_cursors_too(world: Any) -> None:
    """Upstream prints its cursor as JavaScript prints dates."""
    stored = await world.conversation(world.alice.id)
    conversation_id = stored["conversationId"]
    for number, hour in enumerate((1, 3, 5)):
        moment = world.ago().replace(year=2026, month=11, day=23, hour=hour, minute=53)
        await world.message(
            world.alice.id, conversation_id, messageId=f"m{number}", updatedAt=moment
        )
    for cursor in (
        "Mon Nov 23 2026 04:00:00 GMT+0000 (Coordinated Universal Time)",
        "Mon Nov 23 2026 05:00:00 GMT+0100 (Central European Standard Time)",
        "2026-11-23T04:00:00.000Z",
        "2026-11-23T05:00:00.000+01:00",
    ):
        for sent in (cursor, cursor.replace("+", " ")):
            if sent.startswith("2026") and " " in sent:
                continue
            answer = await world.alice.get(
                "/api/messages", conversationId=conversation_id, cursor=sent
            )
            rows = [row["messageId"] for row in answer.json()["messages"]]
            assert rows == ["m1", "m0"], sent
    for cursor in ("soon", "Mon Nop 23 2026 04:00:00 GMT+0000", "{}"):
        answer = await world.alice.get(
            "/api/messages", conversationId=conversation_id, cursor=cursor
        )
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid cursor"})


async def test_search_and_nothing(world: Any) -> None:
    answer = await world.alice.get("/api/messages", search="x")
    assert (answer.status_code, answer.json()) == (200, {"messages": [], "nextCursor": None})
    answer = await world.alice.get("/api/messages")
    assert (answer.status_code, answer.json()) == (200, {"messages": [], "nextCursor": None})


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_a_long_conversation_is_whole(world: Any, size: int) -> None:
    stored = await world.conversation(world.alice.id)
    rows = [
        {
            "messageId": f"m{number}",
            "conversationId": stored["conversationId"],
            "user": world.alice.id,
            "createdAt": world.ago(seconds=number),
        }
        for number in range(size * 100 + 1)
    ]
    await world.collection("messages").insert_many(rows)
    answer = await world.alice.get(f"/api/messages/{stored['conversationId']}")
    expected = [row["messageId"] for row in reversed(rows)]
    assert [row["messageId"] for row in answer.json()] == expected
