"""A server with bookmarks and conversations, and people who use it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from bson import ObjectId

from locutory import Plugin
from locutory.data.database import Collection
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

    async def tags(self) -> list[dict[str, Any]]:
        """The list."""
        answer = await self.call("GET", "/api/tags")
        assert answer.status_code == 200
        return list(answer.json())

    async def places(self) -> dict[str, int]:
        """Name → position, in the order of the list."""
        return {row["tag"]: row["position"] for row in await self.tags()}

    async def counts(self) -> dict[str, int]:
        """Name → count."""
        return {row["tag"]: row["count"] for row in await self.tags()}

    async def create(self, tag: str, /, **body: Any) -> dict[str, Any]:
        """Create a bookmark."""
        answer = await self.call("POST", "/api/tags", {"tag": tag, **body})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def change(self, tag: str, /, **body: Any) -> httpx2.Response:
        """Change a bookmark."""
        return await self.call("PUT", f"/api/tags/{quote(tag, safe='')}", body)

    async def mark(self, conversation: str, tags: Sequence[str]) -> Any:
        """Set the bookmarks of a conversation."""
        answer = await self.call("PUT", f"/api/tags/convo/{conversation}", {"tags": tags})
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass(slots=True)
class World:
    """A server and two people."""

    server: Server
    alice: Person
    bob: Person

    @property
    def collection(self) -> Collection:
        return self.server.kernel.database.collection("conversationtags")

    async def conversation(self, user: str, *tags: str, **fields: Any) -> str:
        """Insert a conversation as LibreChat stores it; its id."""
        moment = datetime.now(UTC).replace(microsecond=0)
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
                "tags": list(tags),
                "files": [],
                "expiredAt": None,
                "createdAt": moment,
                "updatedAt": moment,
                **fields,
            }
        )
        return identity

    async def carried(self, conversation: str) -> list[str]:
        """The tags of a conversation as stored."""
        row = await self.stored(conversation)
        return list(row["tags"])

    async def stored(self, conversation: str) -> dict[str, Any]:
        """A conversation as stored."""
        found = await self.server.kernel.database.collection("conversations").find_one(
            {"conversationId": conversation}
        )
        assert found is not None
        return found


@pytest.fixture
def open_world(serve: Serve) -> Any:
    """``async with open_world(plugin, yaml={...}, database=...) as world``."""

    @asynccontextmanager
    async def opened(*plugins: str | Plugin, **options: Any) -> AsyncIterator[World]:
        chosen = plugins or ("conversations",)
        async with serve("tags", SignIn(), *chosen, **options) as server:
            yield World(server, Person(server.client), Person(server.client))

    return opened


@pytest.fixture
async def world(open_world: Any) -> AsyncIterator[World]:
    """With conversations."""
    async with open_world() as opened:
        yield opened


@pytest.fixture
def without_times() -> Any:
    """A function that leaves the dates of a row out."""

    def left(row: Mapping[str, Any]) -> dict[str, Any]:
        return {key: row[key] for key in row if key not in ("createdAt", "updatedAt")}

    return left
