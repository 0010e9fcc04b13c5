"""A history in memory, and short ways to write it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Context, Fact, Plugin, Provide, hook
from locutory_contracts.conversations import (
    CONVERSATIONS,
    HISTORY_FEED,
    ConversationSaved,
    Document,
    FeedPage,
    MessageSaved,
)
from locutory_contracts.search import SEARCH, Search
from locutory_testing import Server, waiting

FAST = {"plugins": {"search": {"follow_seconds": 0.2}}}


class History(Plugin):
    """Conversations and messages in memory, with a feed; every change moves to its end."""

    name = "testhistory"
    summary = "A history in memory; for tests only"
    provides: ClassVar = (CONVERSATIONS, HISTORY_FEED)

    def __init__(self) -> None:
        self.changed: dict[str, list[Document]] = {"conversations": [], "messages": []}
        self.read: list[tuple[str, str | None]] = []
        self.broken = False
        self.before: Callable[[], Awaitable[None]] | None = None

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self.events = ctx.events
        return [Provide(CONVERSATIONS, self), Provide(HISTORY_FEED, self)]

    async def changes(
        self, kind: Literal["conversations", "messages"], position: str | None, limit: int
    ) -> FeedPage:
        self.read.append((kind, position))
        if self.broken:
            raise OSError("the history cannot be read")
        start = int(position or 0)
        found = [dict(document) for document in self.changed[kind][start : start + limit]]
        if self.before is not None:
            await self.before()
        end = start + len(found)
        return FeedPage(found, str(end), end < len(self.changed[kind]))

    async def find(self, user: str, conversation_id: str) -> Document | None:
        for document in reversed(self.changed["conversations"]):
            if (document["user"], document["conversationId"]) == (user, conversation_id):
                return document
        return None

    async def messages(self, user: str, conversation_id: str) -> list[Document]:
        found = {
            document["messageId"]: document
            for document in self.changed["messages"]
            if (document["user"], document["conversationId"]) == (user, conversation_id)
        }
        return list(found.values())

    def put(self, kind: str, document: Mapping[str, Any]) -> Document:
        """Store a document without telling anybody."""
        key = "messageId" if kind == "messages" else "conversationId"
        self.changed[kind].append(dict(document))
        assert document[key]
        return self.changed[kind][-1]

    def remove(self, user: str, conversation_id: str | None = None) -> None:
        """Documents are gone; positions in the feed stay as they are."""
        for kind, documents in self.changed.items():
            self.changed[kind] = [
                {"user": None}
                if document["user"] == user
                and conversation_id in (None, document["conversationId"])
                else document
                for document in documents
            ]

    async def tell(self, *facts: Fact) -> None:
        for fact in facts:
            await self.events.publish(fact)

    async def say(self, user: str, text: str, **fields: Any) -> Document:
        """Save a message and tell of it."""
        document = self.put("messages", message(user, text, **fields))
        await self.tell(MessageSaved(user, document))
        return document

    async def name_it(self, user: str, title: str, **fields: Any) -> Document:
        """Save a conversation and tell of it."""
        document = self.put("conversations", conversation(user, title, **fields))
        await self.tell(ConversationSaved(user, document, created=True))
        return document


def message(user: str, text: str, **fields: Any) -> Document:
    """A stored message."""
    return {
        "_id": ObjectId(),
        "messageId": str(uuid4()),
        "conversationId": str(uuid4()),
        "user": user,
        "sender": "User",
        "text": text,
        "isCreatedByUser": True,
        "isTemporary": False,
        "unfinished": False,
        "createdAt": datetime.now(UTC),
        "updatedAt": datetime.now(UTC),
        **fields,
    }


def conversation(user: str, title: str, **fields: Any) -> Document:
    """A stored conversation."""
    return {
        "_id": ObjectId(),
        "conversationId": str(uuid4()),
        "user": user,
        "title": title,
        "tags": [],
        "isTemporary": False,
        "createdAt": datetime.now(UTC),
        "updatedAt": datetime.now(UTC),
        **fields,
    }


def search_of(server: Server) -> Search:
    """The index of a server."""
    return server.kernel.services.get(SEARCH)


async def ids(server: Server, user: str, text: str, limit: int = 20) -> list[str]:
    """Ids of the messages that are found."""
    return [hit.message_id for hit in await search_of(server).messages(user, text, limit)]


async def until(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Wait until something is as wanted."""

    async def same() -> bool:
        return bool(await look() == wanted)

    await waiting.until(same, f"it did not become {wanted!r}")


async def until_found(server: Server, user: str, text: str, wanted: Sequence[str]) -> None:
    """Wait until exactly these messages are found."""

    async def look() -> set[str]:
        return set(await ids(server, user, text, 100))

    await until(look, set(wanted))


class Kit:
    """What tests build with."""

    FAST = FAST
    history = History
    message = staticmethod(message)
    conversation = staticmethod(conversation)
    search_of = staticmethod(search_of)
    ids = staticmethod(ids)
    until = staticmethod(until)
    until_found = staticmethod(until_found)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def user() -> str:
    return str(ObjectId())
