"""Small real providers for the tests of chat turns: models, history, tools, a Redis server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook, now
from locutory.access import Principal
from locutory_contracts.chat import GENERATIONS, TOOLS, Tool, ToolOutcome, Turn
from locutory_contracts.conversations import CONVERSATIONS
from locutory_contracts.models import (
    CATALOGUE,
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    ModelRefused,
    PreparedModel,
    ReasoningDelta,
    TextDelta,
    TitleSettings,
    ToolCallDelta,
    ToolSchema,
    Usage,
)
from locutory_testing import Server
from locutory_testing.programs import redis_server
from locutory_testing.waiting import until

USER = "a" * 24
OTHER = "b" * 24
ROOT = "00000000-0000-0000-0000-000000000000"

Script = Callable[[ModelCall], AsyncIterator[ModelEvent]]


def words(text: str) -> list[str]:
    """Pieces that a model would stream: words with their blanks."""
    pieces = text.split(" ")
    return [piece if index == 0 else f" {piece}" for index, piece in enumerate(pieces)]


def question(call: ModelCall) -> str:
    """The last thing a user said in a call."""
    asked = [message for message in call.messages if message["role"] == "user"]
    return str(asked[-1]["content"]).rsplit("\n\n", 1)[-1] if asked else ""


class FakeModels(Plugin):
    """A catalogue whose models do what the question says: ``ECHO:text``, ``SLOW:n:ms``,
    ``THINK:a|b``, ``FAIL:status``, ``BREAK:text`` (fails after it), ``CALL:[[name, args], …]``,
    ``HANG``, ``ON`` (``tok0 tok1 …`` until ``enough`` is set or the turn is stopped; ``tokens``
    counts them). ``script`` replaces all of it."""

    name = "fakemodels"
    summary = "Models for tests"
    provides = (CATALOGUE,)

    def __init__(self, script: Script | None = None, **prepared: Any) -> None:
        self.script = script
        self.prepared = prepared
        self.calls: list[ModelCall] = []
        self.bodies: list[Mapping[str, Any]] = []
        self.closed = 0
        self.delay = 0.0
        self.tokens = 0
        self.enough = asyncio.Event()

    @hook
    def services(self) -> list[Provide]:
        return [Provide(CATALOGUE, self)]

    async def entries(self, principal: Principal) -> Mapping[str, Mapping[str, Any]]:
        return {"Fake": {"type": "custom", "order": 0}}

    async def models(self, principal: Principal) -> Mapping[str, Sequence[str]]:
        return {"Fake": ["fake-1"]}

    def spec(self, body: Mapping[str, Any]) -> str | None:
        return None

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        self.bodies.append(body)
        if self.delay:
            await asyncio.sleep(self.delay)
        if body.get("endpoint") == "Nope":
            raise ModelRefused('{ "type": "endpoint_models_not_loaded", "info": "Nope" }')
        if body.get("endpoint") == "Spec":
            raise ModelRefused("No model spec selected", denial=True)
        if body.get("model") == "illegal":
            raise ModelRefused(
                '{"type":"illegal_model_request"}', violation="illegal_model_request"
            )
        settings = {key: body[key] for key in ("promptPrefix", "maxContextTokens") if key in body}
        values: dict[str, Any] = {
            "endpoint": str(body.get("endpoint")),
            "endpoint_type": "custom",
            "model": str(body.get("model", "fake-1")),
            "provider": "openAI",
            "sender": str(body.get("endpoint")),
            "chat": self,
            "settings": settings,
            "context_tokens": 32000,
            "title": TitleSettings(enabled=False),
        }
        return PreparedModel(**{**values, **self.prepared})

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        self.calls.append(call)
        try:
            source = self._say(call) if self.script is None else self.script(call)
            async for event in source:
                yield event
        finally:
            self.closed += 1

    async def _say(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        asked = question(call)
        if "Conversation:" in str(call.messages[-1]["content"]):
            yield TextDelta('"A Title"\n')
            return
        kind, _, rest = asked.partition(":")
        results = [m["content"] for m in call.messages if m["role"] == "tool"]
        if kind == "ECHO":
            for piece in words(rest):
                yield TextDelta(piece)
        elif kind == "USE":
            for piece in words(rest):
                yield TextDelta(piece)
            yield Usage(input_tokens=10, output_tokens=4, total_tokens=14, cache_read=2)
        elif kind == "SLOW":
            count, pause = rest.split(":")
            for index in range(int(count)):
                await asyncio.sleep(int(pause) / 1000)
                yield TextDelta(f"tok{index}" if index == 0 else f" tok{index}")
        elif kind == "ON":
            index = 0
            while not self.enough.is_set():
                await asyncio.sleep(0.01)
                yield TextDelta(f"tok{index}" if index == 0 else f" tok{index}")
                self.tokens, index = self.tokens + 1, index + 1
        elif kind == "THINK":
            thought, _, answer = rest.partition("|")
            for piece in words(thought):
                yield ReasoningDelta(piece)
            for piece in words(answer):
                yield TextDelta(piece)
        elif kind == "FAIL":
            raise ModelFailure(f"{rest} forced failure {rest}", int(rest))
        elif kind == "BREAK":
            for piece in words(rest):
                yield TextDelta(piece)
            raise ModelFailure("the line went dead")
        elif kind == "CRASH":
            raise RuntimeError("a bug with /secret/path in it")
        elif kind == "HANG":
            yield TextDelta("before")
            await asyncio.sleep(3600)
        elif kind == "CALL" and not results:
            for index, (name, arguments) in enumerate(json.loads(rest)):
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                yield ToolCallDelta(index, id=f"call_{index}abcdefgh", name=name)
                for at in range(0, len(text), 5):
                    yield ToolCallDelta(index, arguments=text[at : at + 5])
            yield Finished("tool_calls")
            return
        elif kind == "CALL":
            yield TextDelta("results: " + " | ".join(results))
        else:
            yield TextDelta("ok")
        yield Finished("stop")


class FakeHistory(Plugin):
    """Conversations and messages in memory. ``fail`` makes the next writes of a kind fail."""

    name = "fakehistory"
    summary = "History for tests"
    provides = (CONVERSATIONS,)

    def __init__(self) -> None:
        self.conversations: dict[tuple[str, str], dict[str, Any]] = {}
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.fail: dict[str, int] = {}
        self.log: list[str] = []
        self.pause = 0.0

    @hook
    def services(self) -> list[Provide]:
        return [Provide(CONVERSATIONS, self)]

    async def _write(self, kind: str) -> None:
        if self.pause:
            await asyncio.sleep(self.pause)
        if self.fail.get(kind, 0) > 0:
            self.fail[kind] -= 1
            raise ConnectionError(f"no database for {kind}")
        self.log.append(kind)

    async def find(self, user: str, conversation_id: str) -> dict[str, Any] | None:
        return deepcopy(self.conversations.get((user, conversation_id)))

    async def owner(self, conversation_id: str) -> str | None:
        return next((user for user, name in self.conversations if name == conversation_id), None)

    async def save(
        self,
        user: str,
        conversation_id: str,
        fields: Mapping[str, Any],
        *,
        temporary: bool | None = None,
        created_at: datetime | None = None,
        replace_settings: bool = False,
        create: bool = True,
    ) -> dict[str, Any] | None:
        await self._write("conversation")
        key = (user, conversation_id)
        known = self.conversations.get(key)
        if known is None and not create:
            return None
        made = known or {
            "_id": ObjectId(),
            "conversationId": conversation_id,
            "user": user,
            "__v": 0,
            "title": "New Chat",
            "createdAt": created_at or now(),
        }
        made |= {**fields, "updatedAt": now()}
        if temporary is not None:
            made["isTemporary"] = temporary
            made["expiredAt"] = now() + timedelta(days=30) if temporary else None
        made["messages"] = [
            m["_id"] for m in self.stored.values() if m["conversationId"] == conversation_id
        ]
        self.conversations[key] = made
        return deepcopy(made)

    async def message(self, user: str, message_id: str) -> dict[str, Any] | None:
        return deepcopy(self.stored.get((user, message_id)))

    async def messages(self, user: str, conversation_id: str) -> list[dict[str, Any]]:
        return [
            deepcopy(m)
            for (owner, _), m in self.stored.items()
            if owner == user and m["conversationId"] == conversation_id
        ]

    async def branch(
        self, user: str, conversation_id: str, message_id: str
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        at: str | None = message_id
        while at and at != ROOT and (m := self.stored.get((user, at))) is not None:
            if m["conversationId"] != conversation_id or m in found:
                break
            found.append(deepcopy(m))
            at = m.get("parentMessageId")
        return found[::-1]

    async def save_message(
        self, user: str, message: Mapping[str, Any], *, temporary: bool | None = None
    ) -> dict[str, Any]:
        await self._write("request" if message.get("isCreatedByUser") else "response")
        key = (user, message["messageId"])
        made = self.stored.setdefault(key, {"_id": ObjectId(), "user": user, "createdAt": now()})
        made |= {**deepcopy(dict(message)), "updatedAt": now()}
        if temporary is not None:
            made["isTemporary"] = temporary
        return deepcopy(made)

    async def retain(self, user: str, temporary: bool | None) -> Mapping[str, Any]:
        return {}

    def answer(self, conversation_id: str) -> dict[str, Any]:
        """The newest stored answer of a conversation."""
        found = [
            m
            for m in self.stored.values()
            if m["conversationId"] == conversation_id and not m["isCreatedByUser"]
        ]
        return found[-1]


class FakeTools(Plugin):
    """Tools: ``add``, ``fail``, ``slow`` (never in time), ``wait`` (until ``go_on`` is set),
    ``long``, ``show``."""

    name = "faketools"
    summary = "Tools for tests"
    provides = (TOOLS,)

    def __init__(self) -> None:
        self.running = 0
        self.go_on = asyncio.Event()

    @hook
    def services(self) -> list[Provide]:
        return [Provide(TOOLS, self, "fake")]

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        def tool(name: str, run: Any, timeout: float = 60.0, **properties: Any) -> Tool:
            parameters = {
                "type": "object",
                "properties": properties,
                "required": list(properties),
            }
            return Tool(ToolSchema(name, f"The tool {name}", parameters), run, timeout)

        number = {"type": "number"}
        return [
            tool("add", self._add, a=number, b=number),
            tool("fail", self._fail),
            tool("slow", self._slow, timeout=0.1),
            tool("wait", self._wait),
            tool("long", self._long),
            tool("show", self._show),
        ]

    async def _add(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        return ToolOutcome(str(arguments["a"] + arguments["b"]))

    async def _fail(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        raise ValueError("it broke")

    async def _slow(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        await asyncio.sleep(3600)
        return ToolOutcome("never")

    async def _wait(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        self.running += 1
        await self.go_on.wait()
        self.running -= 1
        return ToolOutcome("waited")

    async def _long(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        return ToolOutcome("x" * 500_000)

    async def _show(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        return ToolOutcome("shown", [{"type": "web_search", "web_search": {"turn": 0}}])


@dataclass(slots=True)
class Event:
    """A server-sent event; comments have no kind."""

    kind: str
    data: Any

    @property
    def name(self) -> str:
        for key in ("final", "created", "sync"):
            if self.data.get(key) is True:
                return key
        return str(self.data.get("event") or self.kind)


def parse_block(block: str) -> Event | None:
    lines = [line for line in block.split("\n") if line and not line.startswith(":")]
    if not lines:
        return None
    kind = lines[0].removeprefix("event: ")
    return Event(kind, json.loads(lines[1].removeprefix("data: ")))


@dataclass(slots=True)
class Chatter:
    """A signed-in caller who chats."""

    client: httpx2.AsyncClient
    user: str = USER
    protocol: int | None = 2
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.user}"}

    def body(self, text: str, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = {
            "text": text,
            "sender": "User",
            "isCreatedByUser": True,
            "parentMessageId": ROOT,
            "messageId": str(uuid4()),
            "conversationId": None,
            "endpoint": "Fake",
            "endpointType": "custom",
            "model": "fake-1",
            "isContinued": False,
            **self.extra,
            **fields,
        }
        if self.protocol is not None:
            made["generationProtocolVersion"] = self.protocol
        return made

    async def post(self, path: str, body: Any) -> httpx2.Response:
        return await self.client.post(f"/api/agents/chat{path}", json=body, headers=self.headers)

    async def get(self, path: str) -> httpx2.Response:
        mark = f"{'&' if '?' in path else '?'}generationProtocolVersion={self.protocol}"
        return await self.client.get(
            f"/api/agents/chat{path}{mark if self.protocol else ''}", headers=self.headers
        )

    async def start(self, text: str, **fields: Any) -> dict[str, Any]:
        answer = await self.post("/Fake", self.body(text, **fields))
        assert answer.status_code == 200, answer.text
        started: dict[str, Any] = answer.json()
        return started

    async def events(
        self, started: Mapping[str, Any], *, resume: bool = False, stop: int | None = None
    ) -> list[Event]:
        """The events of a stream until its end, or until ``stop`` of them came."""
        found: list[Event] = []
        async for event in self.follow(started, resume=resume):
            found.append(event)
            if stop is not None and len(found) >= stop:
                break
        return found

    async def follow(
        self, started: Mapping[str, Any], *, resume: bool = False
    ) -> AsyncIterator[Event]:
        query: dict[str, Any] = {"generationCreatedAt": started["generationCreatedAt"]}
        if self.protocol is not None:
            query["generationProtocolVersion"] = self.protocol
        if resume:
            query["resume"] = "true"
        path = f"/api/agents/chat/stream/{started['streamId']}"
        async with self.client.stream("GET", path, params=query, headers=self.headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            buffer = ""
            async for text in answer.aiter_text():
                buffer += text
                while "\n\n" in buffer:
                    block, buffer = buffer.split("\n\n", 1)
                    event = parse_block(block)
                    if event is not None:
                        yield event

    async def chat(self, text: str, **fields: Any) -> list[Event]:
        """A whole turn."""
        return await self.events(await self.start(text, **fields))

    async def stop(self, started: Mapping[str, Any]) -> httpx2.Response:
        return await self.post(
            "/abort",
            {
                "conversationId": started["conversationId"],
                "generationCreatedAt": started["generationCreatedAt"],
                "generationProtocolVersion": self.protocol,
            },
        )


def said(events: Sequence[Event], kind: str = "text") -> str:
    """All text of a stream: snapshots replace what came before."""
    found = ""
    for event in events:
        if event.name == "sync":
            parts = event.data["resumeState"]["aggregatedContent"]
            found = "".join(part.get(kind, "") for part in parts if part["type"] == kind)
        elif event.name in ("on_message_delta", "on_reasoning_delta"):
            for part in event.data["data"]["delta"]["content"]:
                found += part.get(kind, "")
    return found


def names(events: Sequence[Event]) -> list[str]:
    """Kinds of events, runs of deltas as one."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event.name or "delta" not in event.name:
            found.append(event.name)
    return found


def unbroken(text: str) -> bool:
    """Whether a text of ``ON`` lacks no token and has none twice."""
    return text == " ".join(f"tok{index}" for index in range(text.count("tok"))) != ""


def readers(server: Server) -> list[int]:
    """How many readers each running turn has."""
    chat: Any = server.kernel.services.get(GENERATIONS)
    return [turn.recorder.log.watchers for turn in chat._live.values()]


class Kit:
    """Everything a test of turns uses."""

    Models = FakeModels
    History = FakeHistory
    Tools = FakeTools
    said = staticmethod(said)
    names = staticmethod(names)
    unbroken = staticmethod(unbroken)
    readers = staticmethod(readers)
    until = staticmethod(until)
    user = USER
    other = OTHER
    root = ROOT

    @staticmethod
    def chatter(server: Server, user: str = USER, protocol: int | None = 2) -> Chatter:
        return Chatter(server.client, user, protocol)


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.fixture(scope="session")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis server of this session."""
    with redis_server(tmp_path_factory.mktemp("redis")) as (url, _):
        yield url
