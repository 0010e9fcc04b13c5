"""Searching conversations and messages (contract search §2, messages §3.4)."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Provide
from locutory_contracts.search import SEARCH, MessageHit, SearchFailed
from locutory_conversations.listing.search import flattened


class WordSearch:
    """A search in memory over what a test puts in. It is careless: it finds documents of
    everybody, deleted ones, and some twice; rows are (text, id, conversation id)."""

    def __init__(self) -> None:
        self.titles: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str, str]] = []
        self.broken = False
        self.asked: list[tuple[str, str, int]] = []

    async def conversations(self, user: str, text: str, limit: int) -> Sequence[str]:
        self._ask(user, text, limit)
        return [found for title, found in self.titles if text in title][:limit]

    async def messages(self, user: str, text: str, limit: int) -> Sequence[MessageHit]:
        self._ask(user, text, limit)
        return [MessageHit(one, of) for words, one, of in self.texts if text in words][:limit]

    def _ask(self, user: str, text: str, limit: int) -> None:
        self.asked.append((user, text, limit))
        if self.broken:
            raise SearchFailed("the index is away")


@pytest.fixture
def search() -> WordSearch:
    """The search of the server."""
    return WordSearch()


@pytest.fixture
async def world(open_world: Any, offer: Any, search: WordSearch) -> AsyncIterator[Any]:
    """The plugin with a search."""
    async with open_world(offer(Provide(SEARCH, search))) as opened:
        yield opened


async def titled(world: Any, search: WordSearch, user: str, title: str, **fields: Any) -> Any:
    stored = await world.conversation(user, title=title, **fields)
    search.titles.append((title, stored["conversationId"]))
    return stored


async def test_conversations(world: Any, search: WordSearch) -> None:
    user, project = world.alice.id, str(ObjectId())
    old = await titled(world, search, user, "apple pie", updatedAt=world.ago(days=2))
    new = await titled(
        world, search, user, "apple tart", updatedAt=world.ago(days=1), chatProjectId=project
    )
    await titled(world, search, user, "pear")
    archived = await titled(world, search, user, "apple cake", isArchived=True)
    await titled(world, search, user, "apple", isTemporary=True, expiredAt=world.ago(days=-1))
    await titled(world, search, user, "apple", expiredAt=world.ago(days=1))
    await titled(world, search, world.bob.id, "apple of somebody else")
    search.titles += [("apple", str(uuid4())), ("apple pie", old["conversationId"])]

    async def found(**query: Any) -> list[str]:
        answer = await world.alice.get("/api/convos", search=" apple ", **query)
        assert answer.status_code == 200
        return [row["conversationId"] for row in answer.json()["conversations"]]

    assert await found() == [new["conversationId"], old["conversationId"]]
    assert search.asked[0] == (user, "apple", 1000)
    assert await found(sortBy="title", sortDirection="asc") == [
        old["conversationId"],
        new["conversationId"],
    ]
    assert await found(isArchived="true") == [archived["conversationId"]]
    assert await found(projectId=project) == [new["conversationId"]]
    assert await found(projectId="unassigned") == [old["conversationId"]]
    answer = await world.alice.get("/api/convos", search="nothing")
    assert answer.json() == {"conversations": [], "nextCursor": None}
    answer = await world.alice.get("/api/convos", search="   ")
    assert len(answer.json()["conversations"]) == 3


async def test_conversations_are_paged_past_twenty(world: Any, search: WordSearch) -> None:
    for number in range(60):
        await titled(world, search, world.alice.id, "x", updatedAt=world.ago(minutes=number))
    cursor, seen = None, []
    for _ in range(5):
        query = {"search": "x", "limit": 25} | ({"cursor": cursor} if cursor else {})
        body = (await world.alice.get("/api/convos", **query)).json()
        seen += [row["updatedAt"] for row in body["conversations"]]
        cursor = body["nextCursor"]
        if cursor is None:
            break
    assert len(seen) == 60
    assert seen == sorted(seen, reverse=True)


async def texts(world: Any, search: WordSearch, user: str, **fields: Any) -> tuple[Any, Any]:
    """A conversation with one message."""
    of = await world.conversation(user, title="About", model="m-1", **fields)
    row = await world.message(
        user,
        of["conversationId"],
        text="",
        model="asked",
        content=[{"type": "think", "think": "first"}, {"type": "text", "text": "apple"}],
        subagentTranscript={"messagesJson": "secret"},
        clientId="private",
    )
    search.texts.append(("apple", row["messageId"], of["conversationId"]))
    return of, row


async def test_messages(world: Any, search: WordSearch) -> None:
    user = world.alice.id
    of, row = await texts(world, search, user)
    _, second = await texts(world, search, user, isArchived=True)
    await texts(world, search, user, isTemporary=True, expiredAt=world.ago(days=-1))
    await texts(world, search, user, expiredAt=world.ago(days=1))
    await texts(world, search, world.bob.id)
    orphan = await world.message(user, str(uuid4()), text="apple")
    search.texts += [
        ("apple", orphan["messageId"], orphan["conversationId"]),
        ("apple", str(uuid4()), of["conversationId"]),
        ("apple", row["messageId"], of["conversationId"]),
    ]
    search.texts.insert(0, ("apple", second["messageId"], second["conversationId"]))
    answer = await world.alice.get("/api/messages", search="apple")
    assert answer.status_code == 200
    body = answer.json()
    assert body["nextCursor"] is None
    hits = body["messages"]
    assert [hit["messageId"] for hit in hits[:2]] == [second["messageId"], row["messageId"]]
    assert {hit["messageId"] for hit in hits} == {second["messageId"], row["messageId"]}
    hit = hits[1]
    assert (hit["title"], hit["model"], hit["user"]) == ("About", "m-1", user)
    assert hit["text"] == "first apple"
    assert (hit["sender"], hit["isCreatedByUser"], hit["endpoint"]) == ("Fake", False, "Fake")
    assert hit["parentMessageId"] == row["parentMessageId"]
    assert not hit.keys() & {"subagentTranscript", "_meiliIndex", "clientId", "_id", "__v"}


async def test_messages_are_paged_in_the_order_of_relevance(world: Any, search: WordSearch) -> None:
    of = await world.conversation(world.alice.id)
    expected = []
    for number in range(70):
        if number % 7 == 3:  # a hit that is gone
            search.texts.append(("x", str(uuid4()), of["conversationId"]))
            continue
        row = await world.message(world.alice.id, of["conversationId"])
        search.texts.append(("x", row["messageId"], of["conversationId"]))
        expected.append(row["messageId"])
    cursor, seen, sizes = None, [], []
    for _ in range(5):
        query = {"search": "x", "pageSize": 25} | ({"cursor": cursor} if cursor else {})
        body = (await world.alice.get("/api/messages", **query)).json()
        sizes.append(len(body["messages"]))
        seen += [row["messageId"] for row in body["messages"]]
        cursor = body["nextCursor"]
        if cursor is None:
            break
    assert seen == expected
    assert sizes == [25, 25, 10]
    for odd in ("-1", "x", "9999999", "2026-01-01T00:00:00Z", "٣"):
        answer = await world.alice.get("/api/messages", search="x", cursor=odd)
        assert answer.status_code == 200


async def test_a_search_that_fails(world: Any, search: WordSearch) -> None:
    search.broken = True
    answer = await world.alice.get("/api/convos", search="x")
    assert (answer.status_code, answer.json()) == (500, {"error": "Error fetching conversations"})
    answer = await world.alice.get("/api/messages", search="x")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})


async def test_odd_queries(world: Any, search: WordSearch) -> None:
    for path in ("/api/convos", "/api/messages"):
        for query in ("search=" + "x" * 5000, "search[$ne]=x", "search=%00", "search=a&search=b"):
            answer = await world.alice.get(f"{path}?{query}")
            assert answer.status_code == 200, query
    assert max(len(text) for _, text, _ in search.asked) == 512


async def test_without_a_search_nothing_is_found(open_world: Any) -> None:
    async with open_world() as world:
        await world.conversation(world.alice.id, title="x")
        answer = await world.alice.get("/api/convos", search="x")
        assert answer.json() == {"conversations": [], "nextCursor": None}
        answer = await world.alice.get("/api/messages", search="x")
        assert answer.json() == {"messages": [], "nextCursor": None}


def test_flattening() -> None:
    content = [
        {"type": "text", "text": {"value": "a"}},
        None,
        {"type": "tool_call", "tool_call": {"output": "no"}},
        {"type": "think", "think": "b "},
        {"type": "steer", "steer": "c"},
        {"type": "text", "text": 7},
    ]
    assert flattened({"content": content, "text": "kept apart"}) == "a b c"
    assert flattened({"text": "plain"}) == "plain"
    assert flattened({"text": None, "content": "x"}) == ""
