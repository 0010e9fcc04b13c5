"""A model server that never stops, over every plugin: the turn ends, and is kept."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest

from locutory.plugins import discovery
from locutory_testing import Serve
from locutory_testing.waiting import until
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
MEGABYTE = 1_000_000


def event(text: str) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + json.dumps(delta).encode() + b"\n\n"


@asynccontextmanager
async def endless(piece: bytes, first: bytes = b"") -> AsyncIterator[tuple[str, Callable[[], int]]]:
    """The base URL of a server that repeats a piece of an answer for ever, and how many
    answers it is giving."""
    running: set[asyncio.Task[Any]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(HEAD + first)
                while True:
                    writer.write(piece)
                    await writer.drain()
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1", lambda: len(running)
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def begin(client: httpx2.AsyncClient) -> str:
    body = {"text": "hello", "endpoint": "Fake", "model": "fake", "generationProtocolVersion": 2}
    started = await client.post("/api/agents/chat/Fake", json=body)
    return str(started.json()["conversationId"])


async def status(client: httpx2.AsyncClient, conversation: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/api/agents/chat/status/{conversation}")).json()
    return found


async def stored(client: httpx2.AsyncClient, conversation: str) -> dict[str, Any]:
    """The answer, as soon as the turn is over."""

    async def over() -> bool:
        return (await status(client, conversation)).get("active") is False

    await until(over)
    messages = (await client.get(f"/api/messages/{conversation}")).json()
    found: dict[str, Any] = messages[-1]
    return found


PIECES = {
    "events of a megabyte": event("x" * MEGABYTE),
    "events of a word": event("wörd ") * 200,
    "one event": b"x" * MEGABYTE,
}


@pytest.mark.parametrize("kind", PIECES)
async def test_an_endless_answer_ends_and_is_kept(serve: Serve, kind: str) -> None:
    first = event("begun ") + (b'data: {"x":"' if kind == "one event" else b"")
    async with (
        endless(PIECES[kind], first) as (url, running),
        serve(
            *sorted(discovery.available()), environment=ENVIRONMENT, yaml=custom_endpoint(url)
        ) as server,
    ):
        client = (await Person(server.client).join("first@example.com")).client
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        conversation = await begin(client)  # nobody reads
        answer = await stored(client, conversation)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < 400 * MEGABYTE
        text, error = answer["content"]
        assert text["text"].startswith("begun ")
        assert len(text["text"].encode()) <= 6 * MEGABYTE
        assert "too long" in error["error"]
        assert answer["unfinished"] is True
        assert running() == 0


async def test_an_endless_answer_is_stopped_at_once(serve: Serve) -> None:
    async with (
        endless(b": nothing of the answer\n\n" * 1000, event("begun")) as (url, running),
        serve(
            *sorted(discovery.available()), environment=ENVIRONMENT, yaml=custom_endpoint(url)
        ) as server,
    ):
        client = (await Person(server.client).join("first@example.com")).client
        conversation = await begin(client)

        async def begun() -> bool:
            return bool((await status(client, conversation)).get("aggregatedContent"))

        await until(begun)
        target = {"conversationId": conversation, "generationProtocolVersion": 2}
        stopped = await client.post("/api/agents/chat/abort", json=target)
        assert stopped.json()["success"] is True
        answer = await stored(client, conversation)
        assert answer["content"] == [{"type": "text", "text": "begun"}]
        assert answer["unfinished"] is True
        assert running() == 0
