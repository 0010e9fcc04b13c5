"""Fixtures of the tests that run several plugins together."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One OpenAI-compatible request; streams the words of the last user message back."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = json.loads(await reader.readexactly(length)) if length else {}
        said = next(
            (m["content"] for m in reversed(body.get("messages", ())) if m["role"] == "user"), "hi"
        )
        words = (said if isinstance(said, str) else json.dumps(said)).split()
        if not body.get("stream"):
            data = json.dumps(
                {
                    "choices": [{"message": {"role": "assistant", "content": " ".join(words)}}],
                    "data": [],
                }
            ).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
                + f"content-length: {len(data)}\r\n\r\n".encode()
                + data
            )
        else:
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            for word in words:
                chunk = {"choices": [{"index": 0, "delta": {"content": f"{word} "}}]}
                writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
                await writer.drain()
            last = {
                "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": 5,
                    "completion_tokens": len(words),
                    "total_tokens": 5 + len(words),
                },
            }
            writer.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
        await writer.drain()
    writer.close()


@pytest.fixture
async def fake_model() -> AsyncIterator[str]:
    """The base URL of a small OpenAI-compatible server that echoes what the user says."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}/v1"
