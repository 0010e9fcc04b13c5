"""A small OpenAI-compatible server under the control of a test."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from locutory import Principal
from locutory_endpoints.wire.body import Dialect
from locutory_endpoints.wire.connections import Connections
from locutory_endpoints.wire.model import CompletionsModel, ModelConnection, Retries
from locutory_http import Outgoing

Reply = Callable[["Seen", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakeProvider:
    """Answers with ``replies`` in order; the last one stays."""

    url: str
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "m-1"}, {"id": "m-2"}])
    replies: list[Reply] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    open_streams: int = 0
    connections: int = 0
    handlers: set["asyncio.Task[Any]"] = field(default_factory=set)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].split("/")[0])

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.seen if request.method == "POST"]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self._one(reader, writer)
        finally:
            self.handlers.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, path, headers, json.loads(raw) if raw else None)
        self.seen.append(seen)
        reply = self._choose(seen)
        self.open_streams += 1
        try:
            await reply(seen, writer)
            await writer.drain()
        finally:
            self.open_streams -= 1

    def _choose(self, seen: Seen) -> Reply:
        if seen.method == "GET":
            if seen.path.endswith("/api/tags"):
                return answer(200, {"models": [{"name": item["id"]} for item in self.models]})
            return answer(200, {"object": "list", "data": self.models})
        if len(self.replies) > 1:
            return self.replies.pop(0)
        return self.replies[0]


def answer(
    status: int, body: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None
) -> Reply:
    """A plain response."""
    data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()

    async def reply(_: Seen, writer: asyncio.StreamWriter) -> None:
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        kind = "" if "content-type" in (headers or {}) else "content-type: application/json\r\n"
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n{kind}{extra}\r\n"
        writer.write(head.encode() + data)

    return reply


def stream(
    pieces: Iterable[bytes],
    *,
    pause: float = 0.0,
    cut: bool = False,
    kind: str = "text/event-stream",
) -> Reply:
    """A chunked response of raw pieces; ``cut`` drops the connection before its end."""

    async def reply(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if cut:
            writer.close()
            raise ConnectionError
        writer.write(b"0\r\n\r\n")

    return reply


def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A ``chat.completion.chunk``."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}


def event(data: Any) -> bytes:
    """A server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}\n\n".encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def said(*words: str) -> list[bytes]:
    """A complete ordinary answer."""
    return [
        event(chunk({"role": "assistant", "content": ""})),
        *(event(chunk({"content": word})) for word in words),
        event(chunk({}, "stop")),
        event({"id": "c", "choices": [], "usage": USAGE}),
        event("[DONE]"),
    ]


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    """A fake provider that says "Hello world" until told otherwise."""
    fake = FakeProvider("")
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fake.url = f"http://127.0.0.1:{port}/v1"
    fake.replies = [stream(said("Hello ", "world"))]
    yield fake
    server.close()
    for task in list(fake.handlers):
        task.cancel()
    await asyncio.gather(*fake.handlers, return_exceptions=True)
    await server.wait_closed()


USER = Principal(
    "0" * 24, account={"name": "Zoë Łukasz", "email": "z@example.com", "emailVerified": True}
)


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    made = Connections(Outgoing(), connect_seconds=2, idle_seconds=2)
    yield made
    await made.close()


def model(provider: Any, connections: Connections, **changes: Any) -> CompletionsModel:
    options: dict[str, Any] = {
        "client": connections.configured(provider.url),
        "url": f"{provider.url}/chat/completions",
        "headers": {"Authorization": "Bearer sk-secret-key"},
        "base": {"model": "m", "stream": True, "stream_options": {"include_usage": True}},
        "dialect": Dialect(),
        "principal": USER,
        "retries": Retries(3, 0.01),
        "secrets": ("sk-secret-key", provider.url),
        **changes,
    }
    return CompletionsModel(ModelConnection(**options))


@pytest.fixture
def kit() -> Any:
    """The builders above, for tests that script a provider."""
    import types

    return types.SimpleNamespace(
        answer=answer,
        stream=stream,
        chunk=chunk,
        event=event,
        said=said,
        model=model,
        USAGE=USAGE,
    )
