"""A server with this plugin alone, and people who use it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from bson import ObjectId

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

    async def presets(self) -> list[dict[str, Any]]:
        """The list."""
        answer = await self.call("GET", "/api/presets")
        assert answer.status_code == 200
        return list(answer.json())

    async def save(self, **body: Any) -> dict[str, Any]:
        """Save a preset."""
        answer = await self.call("POST", "/api/presets", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@dataclass(slots=True)
class World:
    """A server and two people."""

    server: Server
    alice: Person
    bob: Person

    @property
    def collection(self) -> Collection:
        return self.server.kernel.database.collection("presets")


@pytest.fixture
async def world(serve: Serve) -> AsyncIterator[World]:
    """The plugin with its defaults."""
    async with serve("presets", SignIn()) as server:
        yield World(server, Person(server.client), Person(server.client))
