"""A server with projects and conversations, and people who use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from bson import ObjectId

from locutory import Plugin
from locutory.data.database import Collection
from locutory_contracts.conversations import CONVERSATIONS, Conversations
from locutory_testing import Serve, Server, SignIn


@dataclass(slots=True)
class Person:
    """A signed-in user."""

    client: httpx2.AsyncClient
    id: str = field(default_factory=lambda: str(ObjectId()))

    async def call(
        self, method: str, path: str, body: Any = ..., **options: Any
    ) -> httpx2.Response:
        """Send a request; ``body`` goes as JSON."""
        headers = {"authorization": f"Bearer {self.id}", **options.pop("headers", {})}
        if body is not ...:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)

    async def page(self, **query: Any) -> dict[str, Any]:
        """A page."""
        answer = await self.call("GET", "/api/projects", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def names(self, **query: Any) -> list[str]:
        """The names of all pages, one after the other."""
        found: list[str] = []
        page = await self.page(**query)
        while True:
            found += [row["name"] for row in page["projects"]]
            if page["nextCursor"] is None:
                return found
            page = await self.page(**query, cursor=page["nextCursor"])

    async def create(self, name: str, **body: Any) -> dict[str, Any]:
        """Create a project."""
        answer = await self.call("POST", "/api/projects", {"name": name, **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def project(self, identity: str) -> dict[str, Any]:
        """One project."""
        answer = await self.call("GET", f"/api/projects/{identity}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def counted(self, identity: str) -> tuple[int, str | None]:
        """(number of conversations, last conversation)."""
        row = await self.project(identity)
        assert (row["lastConversationAt"] is None) == (row["lastConversationId"] is None)
        return row["conversationCount"], row["lastConversationId"]

    async def assign(self, conversation: str, project: str | None) -> dict[str, Any]:
        """Move a conversation."""
        answer = await self.call(
            "PUT", f"/api/projects/conversations/{conversation}", {"projectId": project}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@dataclass(slots=True)
class World:
    """A server and two people."""

    server: Server
    alice: Person
    bob: Person

    @property
    def collection(self) -> Collection:
        return self.server.kernel.database.collection("chatprojects")

    @property
    def conversations(self) -> Conversations:
        return self.server.kernel.services.get(CONVERSATIONS)

    async def conversation(self, user: str, **fields: Any) -> str:
        """Insert a conversation as LibreChat stores it; its id."""
        moment = datetime.now(UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        identity = str(uuid4())
        await self.server.kernel.database.collection("conversations").insert_one(
            {
                "conversationId": identity,
                "user": user,
                "__v": 0,
                "title": "New Chat",
                "endpoint": "Fake",
                "messages": [],
                "isTemporary": False,
                "isArchived": False,
                "tags": [],
                "files": [],
                "expiredAt": None,
                "createdAt": moment,
                "updatedAt": moment,
                **fields,
            }
        )
        return identity

    async def stored(self, conversation: str) -> dict[str, Any]:
        """A conversation as stored."""
        found = await self.server.kernel.database.collection("conversations").find_one(
            {"conversationId": conversation}
        )
        assert found is not None
        return found

    async def tell(self, *facts: Any) -> None:
        """Publish facts."""
        for fact in facts:
            await self.server.kernel.events.publish(fact)


@pytest.fixture
def open_world(serve: Serve) -> Any:
    """``async with open_world(plugin, yaml={...}, database=...) as world``."""

    @asynccontextmanager
    async def opened(*plugins: str | Plugin, **options: Any) -> AsyncIterator[World]:
        chosen = plugins or ("conversations",)
        async with serve("projects", SignIn(), *chosen, **options) as server:
            yield World(server, Person(server.client), Person(server.client))

    return opened


@pytest.fixture
async def world(open_world: Any) -> AsyncIterator[World]:
    """With conversations."""
    async with open_world() as opened:
        yield opened
