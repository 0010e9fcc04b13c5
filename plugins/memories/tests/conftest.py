"""A provider of models that speaks OpenAI's protocol, and callers that chat with it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from locutory_testing import Serve, Server, SignIn
from locutory_testing.waiting import until

USER = "a" * 24
OTHER = "b" * 24
ROOT = "00000000-0000-0000-0000-000000000000"

Said = dict[str, Any]
Script = Callable[[Mapping[str, Any]], Awaitable[Said]]


def tool_calls(*calls: tuple[str, Mapping[str, Any] | str]) -> Said:
    """An assistant message that calls tools."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{uuid4().hex[:12]}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for name, given in calls
        ],
    }


def remembering(*calls: tuple[str, Mapping[str, Any] | str]) -> Script:
    """A memory agent that makes these calls, and is done then."""

    async def script(body: Mapping[str, Any]) -> Said:
        if body["messages"][-1]["role"] == "tool":
            return {"role": "assistant", "content": "done"}
        return tool_calls(*calls)

    return script


async def done(body: Mapping[str, Any]) -> Said:
    """A memory agent that finds nothing to remember."""
    return {"role": "assistant", "content": "done"}


@dataclass
class Provider:
    """Answers with "ok", or with the tool calls of a question ``CALL:[[name, args], …]``. The
    model ``keeper-1`` follows the script ``keeper``. ``status``: of the keeper's answers."""

    keeper: Script = done
    status: int = 200
    usage: bool = True
    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)

    def asked(self, model: str) -> list[dict[str, Any]]:
        """The bodies of the requests for a model."""
        return [body for body in self.seen if body["model"] == model]

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(body)
        if body["model"] == "keeper-1":
            if self.status != 200:
                return JSONResponse({"error": {"message": "broken"}}, self.status)
            said = await self.keeper(body)
        else:
            said = self._chat(body)
        if body.get("stream"):
            return StreamingResponse(self._stream(said), media_type="text/event-stream")
        whole: dict[str, Any] = {
            "id": "c",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        }
        if self.usage:
            whole["usage"] = {"prompt_tokens": 40, "completion_tokens": 7, "total_tokens": 47}
        return JSONResponse(whole)

    def _chat(self, body: Mapping[str, Any]) -> Said:
        last = body["messages"][-1]
        text = str(last["content"])
        if last["role"] == "user" and text.startswith("CALL:"):
            return tool_calls(*json.loads(text.removeprefix("CALL:")))
        return {"role": "assistant", "content": "ok"}

    async def _stream(self, said: Said) -> AsyncIterator[str]:
        deltas = [{"content": said["content"]}] if said.get("content") else []
        for index, call in enumerate(said.get("tool_calls", ())):
            deltas.append({"tool_calls": [{"index": index, **call}]})
        for delta in deltas:
            yield self._chunk(delta, None)
        yield self._chunk({}, "tool_calls" if said.get("tool_calls") else "stop")
        yield "data: [DONE]\n\n"

    @staticmethod
    def _chunk(delta: Mapping[str, Any], reason: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        data = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(data)}\n\n"


@dataclass
class Person:
    """A signed-in caller. ``role``: of the session."""

    client: httpx2.AsyncClient
    user: str = USER
    role: str = "USER"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.user}:{self.role}"}

    async def call(self, method: str, path: str = "", body: Any = None) -> httpx2.Response:
        json_body = {} if body is None else {"json": body}
        return await self.client.request(
            method, f"/api/memories{path}", headers=self.headers, **json_body
        )

    async def remember(self, key: str, value: str, **more: Any) -> Any:
        answer = await self.call("POST", body={"key": key, "value": value, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["memory"]

    async def known(self) -> dict[str, str]:
        """Key → value of everything that is remembered."""
        memories = (await self.call("GET")).json()["memories"]
        return {memory["key"]: memory["value"] for memory in memories}

    async def start(self, text: str, **fields: Any) -> dict[str, Any]:
        body = {
            "text": text,
            "parentMessageId": ROOT,
            "messageId": str(uuid4()),
            "endpoint": "Fake",
            "endpointType": "custom",
            "model": "fake-1",
            "generationProtocolVersion": 2,
            **fields,
        }
        answer = await self.client.post("/api/agents/chat/Fake", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        started: dict[str, Any] = answer.json()
        return started

    async def events(self, started: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The events of a turn until its end."""
        answer = await self.client.get(
            f"/api/agents/chat/stream/{started['streamId']}?generationProtocolVersion=2",
            headers=self.headers,
        )
        blocks = [block for block in answer.text.split("\n\n") if "data: " in block]
        return [json.loads(block.split("data: ", 1)[1]) for block in blocks]

    async def chat(self, text: str, **fields: Any) -> list[dict[str, Any]]:
        """A whole turn."""
        return await self.events(await self.start(text, **fields))


def attached(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event.get("event") == "attachment"]


def system_prompt(body: Mapping[str, Any]) -> str:
    """What a model was told before the chat."""
    return "".join(str(m["content"]) for m in body["messages"] if m["role"] == "system")


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a free port; yields its address."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none", http="h11")
        server = uvicorn.Server(config)
        server.capture_signals = _nothing  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:  # noqa: ASYNC110  (uvicorn tells nobody)
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task


@contextmanager
def _nothing() -> Iterator[None]:
    yield


class Kit:
    """What tests build with."""

    Provider = Provider
    Person = Person
    remembering = staticmethod(remembering)
    tool_calls = staticmethod(tool_calls)
    attached = staticmethod(attached)
    system_prompt = staticmethod(system_prompt)
    until = staticmethod(until)
    user = USER
    other = OTHER


@pytest.fixture
def kit() -> Kit:
    return Kit()


KEEPER = {"enabled": True, "provider": "Fake", "model": "keeper-1"}


@dataclass
class Talk:
    """A server with everything that a chat with memories needs, and its first caller."""

    server: Server
    provider: Provider
    person: Person
    yaml: Mapping[str, Any]


Talking = Callable[..., AbstractAsyncContextManager[Talk]]


@pytest.fixture
def talking(serve: Serve) -> Talking:
    """``async with talking(memory={…}) as talk:``; ``agent=True`` for a memory agent."""

    @asynccontextmanager
    async def start(
        *plugins: Any,
        memory: Mapping[str, Any] | None = None,
        agent: Mapping[str, Any] | bool = False,
        sign_in: SignIn | None = None,
        yaml: Mapping[str, Any] | None = None,
        endpoints: Mapping[str, Any] | None = None,
        provider: Provider | None = None,
    ) -> AsyncIterator[Talk]:
        provider = provider or Provider()
        async with listening(provider.app) as url:
            section = None if memory is None else dict(memory)
            if section is not None and agent:
                section["agent"] = {**KEEPER, **(agent if isinstance(agent, Mapping) else {})}
            custom = {
                "name": "Fake",
                "apiKey": "k",
                "baseURL": f"{url}/v1",
                "models": {"default": ["fake-1", "keeper-1"], "fetch": False},
                "titleConvo": False,
            }
            configuration: dict[str, Any] = {"endpoints": {"custom": [custom], **(endpoints or {})}}
            if section is not None:
                configuration["memory"] = section
            configuration.update(yaml or {})
            async with serve(
                "agents",
                "conversations",
                "endpoints",
                "memories",
                sign_in or SignIn(),
                *plugins,
                yaml=configuration,
            ) as server:
                yield Talk(server, provider, Person(server.client), configuration)

    return start
