"""A server with this plugin alone, and people who use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from bson import ObjectId

from locutory import Fact, On, Plugin, Provide, hook
from locutory.data.database import Collection
from locutory_contracts.conversations import (
    CONVERSATIONS,
    NO_PARENT,
    Conversations,
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
    MessageSaved,
    MessagesDeleted,
)
from locutory_testing import Serve, Server, SignIn

FACTS = (
    MessageSaved,
    MessagesDeleted,
    ConversationSaved,
    ConversationsAdded,
    ConversationsDeleted,
)


class Witness(Plugin):
    """Remembers the facts that the plugin publishes."""

    name = "witness"
    summary = "Remembers facts; for tests only"

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    @hook
    def subscriptions(self) -> list[On]:
        async def seen(fact: Any) -> None:
            self.facts.append(fact)

        return [On(kind, seen) for kind in FACTS]

    def of(self, kind: type[Any]) -> list[Any]:
        """The facts of one type, oldest first."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


class Offer(Plugin):
    """Provides given values; for tests only."""

    name = "offer"
    summary = "Provides services that other plugins would"

    def __init__(self, *offers: Provide) -> None:
        self._offers = offers
        self.provides = tuple(offer.key for offer in offers)  # type: ignore[misc]  # each offers its own

    @hook
    def services(self) -> list[Provide]:
        return list(self._offers)


@dataclass(slots=True)
class Person:
    """A signed-in user."""

    client: httpx2.AsyncClient
    id: str = field(default_factory=lambda: str(ObjectId()))

    async def call(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx2.Response:
        """Send a request; ``body`` goes as JSON."""
        headers = {"authorization": f"Bearer {self.id}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)

    async def get(self, path: str, **query: Any) -> httpx2.Response:
        """GET with a query."""
        return await self.call("GET", path, params=query or None)


@dataclass(slots=True)
class World:
    """A server, two people, and short cuts into the database."""

    server: Server
    witness: Witness
    alice: Person
    bob: Person

    @property
    def service(self) -> Conversations:
        return self.server.kernel.services.get(CONVERSATIONS)

    def collection(self, name: str) -> Collection:
        return self.server.kernel.database.collection(name)

    def person(self) -> Person:
        """Somebody new."""
        return Person(self.server.client)

    @staticmethod
    def ago(**span: float) -> datetime:
        """A moment in the past, in whole milliseconds."""
        moment = datetime.now(UTC) - timedelta(**span)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    async def conversation(self, user: str, **fields: Any) -> dict[str, Any]:
        """Insert a conversation as LibreChat stores it."""
        moment = datetime.now(UTC).replace(microsecond=0)
        document = {
            "conversationId": str(uuid4()),
            "user": user,
            "__v": 0,
            "title": "New Chat",
            "endpoint": "Fake",
            "messages": [],
            "isTemporary": False,
            "isArchived": False,
            "tags": [],
            "files": [],
            "chatProjectId": None,
            "expiredAt": None,
            "createdAt": moment,
            "updatedAt": moment,
            **fields,
        }
        document = {name: value for name, value in document.items() if value is not ...}
        await self.collection("conversations").insert_one(document)
        return document

    async def message(self, user: str, conversation_id: str, **fields: Any) -> dict[str, Any]:
        """Insert a message as LibreChat stores it."""
        moment = datetime.now(UTC).replace(microsecond=0)
        document = {
            "messageId": str(uuid4()),
            "conversationId": conversation_id,
            "user": user,
            "__v": 0,
            "_meiliIndex": False,
            "parentMessageId": NO_PARENT,
            "sender": "Fake",
            "text": "",
            "endpoint": "Fake",
            "isCreatedByUser": False,
            "isTemporary": False,
            "unfinished": False,
            "error": False,
            "expiredAt": None,
            "createdAt": moment,
            "updatedAt": moment,
            **fields,
        }
        document = {name: value for name, value in document.items() if value is not ...}
        await self.collection("messages").insert_one(document)
        return document

    async def stored(self, name: str, **key: Any) -> dict[str, Any] | None:
        """One stored document."""
        return await self.collection(name).find_one(key)


@pytest.fixture
def open_world(serve: Serve) -> Any:
    """``async with open_world(plugin, environment={...}, yaml={...}) as world``."""

    @asynccontextmanager
    async def opened(*plugins: Plugin, **options: Any) -> AsyncIterator[World]:
        witness = Witness()
        async with serve("conversations", SignIn(), witness, *plugins, **options) as server:
            yield World(server, witness, Person(server.client), Person(server.client))

    return opened


@pytest.fixture
def offer() -> type[Offer]:
    """``offer(Provide(...), ...)``: a plugin that provides what other plugins would."""
    return Offer


@pytest.fixture
async def world(open_world: Any) -> AsyncIterator[World]:
    """The plugin with its defaults."""
    async with open_world() as opened:
        yield opened
