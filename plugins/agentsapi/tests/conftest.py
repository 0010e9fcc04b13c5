"""A server with this plugin alone, and people with keys."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook
from locutory.database import Collection
from locutory.testing import Serve, Server, SignIn
from locutory_agentsapi.documents import AgentApiKey
from locutory_contracts.accounts import ACCOUNT_STANDING, ACCOUNTS, Account
from locutory_contracts.sign_in import SIGN_INS, Identity, IdentityRefused

MODELS = "/api/agents/v1/models"


class Registry(Plugin):
    """Provides accounts, and tells which of them may act; for tests only."""

    name = "registry"
    summary = "Accounts in a dictionary"
    provides = (ACCOUNTS, ACCOUNT_STANDING, SIGN_INS)

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {}
        self.barred: set[str] = set()
        self.subjects: dict[str, str] = {}
        self.identities: list[Identity] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(key, self) for key in self.provides]

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        self.identities.append(identity)
        assert not may_register
        if identity.subject not in self.subjects:
            raise IdentityRefused("registration_closed", "Registration is not allowed.")
        return self.subjects[identity.subject]

    async def find(self, user_id: str) -> Account | None:
        return self.accounts.get(user_id)

    async def active(self, user_id: str) -> Account | None:
        return None if user_id in self.barred else self.accounts.get(user_id)


@dataclass(slots=True)
class Person:
    """A signed-in user; administrators may use API keys, others may not."""

    client: httpx2.AsyncClient
    registry: Registry
    role: str = "ADMIN"
    id: str = field(default_factory=lambda: str(ObjectId()))

    def __post_init__(self) -> None:
        self.registry.accounts[self.id] = {"_id": ObjectId(self.id), "role": self.role}

    async def call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Send a request to ``/api/api-keys<path>`` with the person's session."""
        headers = {"authorization": f"Bearer {self.id}:{self.role}"}
        options = {} if body is None else {"json": body}
        return await self.client.request(method, f"/api/api-keys{path}", headers=headers, **options)

    async def make(self, **fields: Any) -> dict[str, Any]:
        """A new key."""
        answer = await self.call("POST", "", {"name": "k1", **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def listed(self) -> list[dict[str, Any]]:
        """The keys that the person sees."""
        found: list[dict[str, Any]] = (await self.call("GET", "")).json()["keys"]
        return found


@dataclass(slots=True)
class World:
    """A running server, its accounts, and two people."""

    server: Server
    registry: Registry
    ann: Person
    bob: Person

    @property
    def rows(self) -> Collection:
        return self.server.kernel.database[AgentApiKey]

    async def use(
        self, key: str, method: str = "GET", path: str = MODELS, body: Any = None
    ) -> httpx2.Response:
        """A request with an API key for its bearer."""
        options = {} if body is None else {"json": body}
        headers = {"authorization": f"Bearer {key}"}
        return await self.server.client.request(method, path, headers=headers, **options)


class Open(Protocol):
    def __call__(
        self, *, yaml: Any = None, environment: Any = None
    ) -> AbstractAsyncContextManager[World]: ...


@pytest.fixture
def world(serve: Serve) -> Open:
    """``async with world(yaml=...) as it: ...``"""

    @asynccontextmanager
    async def opened(*, yaml: Any = None, environment: Any = None) -> AsyncIterator[World]:
        registry = Registry()
        plugins = ("agentsapi", SignIn(), registry)
        async with serve(*plugins, yaml=yaml, environment=environment) as server:
            people = (Person(server.client, registry) for _ in range(2))
            yield World(server, registry, *people)

    return opened
