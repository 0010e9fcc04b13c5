"""Servers with this plugin: alone, with people and keys; and with agents that a program runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
import pytest
from bson import ObjectId

from locutory import Decision, Plugin, Provide, hook, now
from locutory.access import Principal
from locutory.data.database import Collection
from locutory_agentsapi.documents import AgentApiKey
from locutory_contracts.access import VIEW
from locutory_contracts.accounts import ACCOUNT_STANDING, ACCOUNTS, Account
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.chat import TOOLS, Tool, ToolOutcome, Turn
from locutory_contracts.conversations import CONVERSATIONS
from locutory_contracts.models import (
    CATALOGUE,
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    PreparedModel,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolSchema,
    Usage,
)
from locutory_contracts.sign_in import SIGN_INS, Identity, IdentityRefused
from locutory_testing import Serve, Server, SignIn

ROOT = "/api/agents/v1"
MODELS = f"{ROOT}/models"
AGENT = {
    "_id": ObjectId(),
    "id": "agent_echo",
    "name": "Echo",
    "description": "repeats",
    "provider": "Fake",
    "model": "fake",
    "author": ObjectId(),
    "createdAt": now(),
}


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


class Gallery(Plugin):
    """Stored agents, one of them out of reach, and models and a tool for them."""

    name = "testgallery"
    summary = "Agents and models for tests"
    provides = (STORED_AGENTS, CATALOGUE, TOOLS)

    def __init__(self) -> None:
        self.asked: list[ModelCall] = []
        self.closed = 0
        self.go = asyncio.Event()
        self.agent = dict(AGENT)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STORED_AGENTS, self), Provide(CATALOGUE, self), Provide(TOOLS, self, "t")]

    async def find(self, agent_id: str) -> Mapping[str, Any] | None:
        if agent_id == "agent_far":
            return self.agent | {"id": "agent_far"}
        return self.agent if agent_id == "agent_echo" else None

    async def decide(
        self,
        principal: Principal,
        agent: Mapping[str, Any],
        needed: int = VIEW,
        *,
        remote: bool = False,
    ) -> Decision:
        return Decision(remote and agent["id"] == "agent_echo", "test")

    async def reachable(self, principal: Principal) -> Sequence[Mapping[str, Any]]:
        return [self.agent]

    def spec(self, body: Mapping[str, Any]) -> str | None:
        return None

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        return PreparedModel("Fake", "custom", "fake", "openAI", "Fake", self, {}, 32_000)

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        self.asked.append(call)
        asked = str(call.messages[-1]["content"])
        try:
            if call.messages[-1]["role"] == "tool":
                if call.messages[-2]["content"]:
                    yield TextDelta(f"result {asked}")
            elif asked == "fail":
                raise ModelFailure("no more credit", 402)
            elif asked.startswith("status "):
                failure = ModelFailure("refused", int(asked.split()[1]))
                failure.retry_after = float(asked.split()[2])
                raise failure
            elif asked == "break":
                yield TextDelta("half")
                raise ModelFailure("the line went dead", 429)
            elif asked == "wait":
                await self.go.wait()
                yield TextDelta("at last")
            elif asked == "wait and fail":
                await self.go.wait()
                raise ModelFailure("too late", 503)
            elif asked == "pause":
                yield TextDelta("first ")
                await self.go.wait()
                yield TextDelta("then")
            elif asked in ("length", "content_filter"):
                yield TextDelta("half a sen")
                yield Finished(asked)
            elif asked.startswith("add"):
                if asked == "add":
                    yield TextDelta("let me see")
                yield ToolCallDelta(0, id="call_1", name="add")
                yield ToolCallDelta(0, arguments='{"a": 1}')
            else:
                if asked.startswith("think"):
                    yield ReasoningDelta("hm")
                for word in ("echo ", asked):
                    yield TextDelta(word)
                yield Usage(input_tokens=7, output_tokens=3, total_tokens=10, cache_read=2)
        finally:
            self.closed += 1

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        async def add(arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
            return ToolOutcome(str(arguments["a"] + 1))

        return [Tool(ToolSchema("add", "Adds one", {"type": "object"}), add)]


class Accounts(Plugin):
    """The one account of these tests."""

    name = "testaccounts"
    summary = "One account"
    provides = (ACCOUNTS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNTS, self)]

    async def find(self, user_id: str) -> Mapping[str, Any] | None:
        return {"_id": ObjectId(user_id), "role": "ADMIN"}


@dataclass(slots=True)
class Program:
    """What calls agents by a key."""

    server: Server
    gallery: Gallery
    key: Mapping[str, str]
    user: str = "a" * 24
    conversations = CONVERSATIONS

    async def post(
        self, path: str, headers: Mapping[str, str] = {}, **body: Any
    ) -> httpx2.Response:
        """Run an agent, by the path below the root."""
        named = {"model": "agent_echo", **body}
        return await self.server.client.post(
            ROOT + path, json=named, headers={**self.key, **headers}
        )

    async def chat(self, *said: str, **body: Any) -> httpx2.Response:
        """Chat completion for one message or several of a user."""
        messages = [{"role": "user", "content": text} for text in said]
        return await self.post("/chat/completions", **{"messages": messages, **body})

    async def respond(self, given: Any, **body: Any) -> httpx2.Response:
        """Response to an input."""
        return await self.post("/responses", input=given, **body)

    def stream(
        self, path: str, body: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        """The answer before its body has come."""
        return self.server.client.stream("POST", ROOT + path, json=body, headers=self.key)

    async def session(self, method: str, path: str, body: Any) -> httpx2.Response:
        """A request of the owner of the key in a browser."""
        headers = {"authorization": f"Bearer {self.user}:ADMIN"}
        return await self.server.client.request(method, path, json=body, headers=headers)

    async def another_key(self) -> Mapping[str, str]:
        """The key of another user."""
        headers = {"authorization": f"Bearer {'b' * 24}:ADMIN"}
        made = await self.server.client.post("/api/api-keys", json={"name": "k"}, headers=headers)
        return {"authorization": f"Bearer {made.json()['key']}"}

    async def get(self, path: str) -> httpx2.Response:
        """Read what is below the root."""
        return await self.server.client.get(ROOT + path, headers=self.key)

    async def stored(self, collection: str) -> int:
        """How many documents a collection has."""
        database = self.server.kernel.database
        return int(await database.client[database.name][collection].count_documents({}))

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The messages that the model got last."""
        return [dict(message) for message in self.gallery.asked[-1].messages]


class Opened(Protocol):
    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[Program]: ...


@pytest.fixture
def program(serve: Serve) -> Opened:
    """``async with program(answer_form="librechat") as it: ...``, with settings of the plugin."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Program]:
        gallery = Gallery()
        plugins = ("agentsapi", "agents", "conversations", SignIn(), gallery, Accounts())
        yaml = {"plugins": {"agentsapi": settings}}
        async with serve(*plugins, yaml=yaml) as server:
            session = {"authorization": f"Bearer {'a' * 24}:ADMIN"}
            made = await server.client.post("/api/api-keys", json={"name": "k"}, headers=session)
            key = {"authorization": f"Bearer {made.json()['key']}"}
            yield Program(server, gallery, key)

    return opened


def told(answer: httpx2.Response) -> list[Any]:
    """The data of server-sent events; the last is ``[DONE]``."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.fixture
def events() -> Any:
    """`told`."""
    return told
