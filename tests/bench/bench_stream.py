"""What a relayed token costs: CPU of the server per token, against a bare pass-through.

    python tests/bench/bench_stream.py [--chats 1,10,100] [--tokens 150] [--interval-ms 20]

Processes: a model server that streams tokens at a fixed pace, one after the other a pass-through
(uvicorn, and httpx2 that copies bytes) and Locutory (once with agents, endpoints and conversations
only, once with every plugin but ``auth``, whose place the test kit takes; each with a built-in
database of its own, which works in the server's process), and this one, which reads. Each case is
played with few and with many tokens; the difference is the price of a token without that of a
turn. Nothing is asserted: the numbers depend on the machine, their ratio hardly.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

FEW = 5
NEEDED = ("agents", "endpoints", "conversations")
USER = "a" * 24


# -- the model server ---------------------------------------------------------------------


async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """``POST /v1/chat/completions``: the last message says ``<tokens> <interval ms>``."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        count, pause = body["messages"][-1]["content"].split()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        )
        started = time.monotonic()
        for index in range(int(count)):
            wait = started + (index + 1) * int(pause) / 1000 - time.monotonic()
            await asyncio.sleep(max(0.0, wait))
            _write(writer, {"content": f" tok{index}"}, None)
            await writer.drain()
        _write(writer, {}, "stop")
        data = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def _write(writer: asyncio.StreamWriter, delta: dict[str, Any], reason: str | None) -> None:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [choice],
    }
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def run_model() -> None:
    server = await asyncio.start_server(model, "127.0.0.1", 0)
    _say(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    await server.serve_forever()


# -- the servers under test ---------------------------------------------------------------


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Meter:
    """An ASGI application that also tells its CPU seconds under ``/cpu``."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/cpu":
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(time.process_time()).encode()})


async def serve(app: Any) -> None:
    import uvicorn

    config = uvicorn.Config(
        Meter(app), host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn tells nobody)
        await asyncio.sleep(0.01)
    _say(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    await task


async def run_bare(upstream: str) -> None:
    client = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        count, pause = scope["path"].strip("/").split("/")
        body = {"messages": [{"role": "user", "content": f"{count} {pause}"}], "stream": True}
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        url = f"{upstream}/chat/completions"
        async with client.stream("POST", url, json=body) as answer:
            async for data in answer.aiter_raw():
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    await serve(app)


async def run_locutory(upstream: str, address: str, plugins: str) -> None:
    from locutory.config.configuration import Sources
    from locutory.plugins import discovery
    from locutory.run.kernel import Kernel
    from locutory_testing import SignIn
    from locutory_testing.server import SECRETS

    endpoint = {
        "name": "Bench",
        "apiKey": "key",
        "baseURL": upstream,
        "models": {"default": ["m"], "fetch": False},
        "titleConvo": False,
    }
    installed = discovery.available()
    chosen = NEEDED if plugins == "few" else [name for name in installed if name != "auth"]
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(
            Sources({**SECRETS, "MONGO_URI": address}, {"endpoints": {"custom": [endpoint]}}),
            [*discovery.load(installed, chosen), SignIn()],
            data_dir=Path(folder),
            installed=list(installed),
        )
        await kernel.start()
        await serve(kernel)


# -- the readers --------------------------------------------------------------------------


async def read_bare(client: httpx2.AsyncClient, count: int, pause: int) -> None:
    async with client.stream("GET", f"/{count}/{pause}") as answer:
        seen = b"".join([data async for data in answer.aiter_raw()])
    assert b"[DONE]" in seen


async def read_chat(client: httpx2.AsyncClient, count: int, pause: int) -> None:
    headers = {"authorization": f"Bearer {USER}"}
    body = {"text": f"{count} {pause}", "endpoint": "Bench", "endpointType": "custom", "model": "m"}
    answer = await client.post("/api/agents/chat/Bench", json=body, headers=headers)
    path = f"/api/agents/chat/stream/{answer.json()['streamId']}"
    async with client.stream("GET", path, headers=headers) as stream:
        seen = b"".join([data async for data in stream.aiter_raw()])
    assert f" tok{count - 1}".encode() in seen, seen[-500:]


async def cpu(client: httpx2.AsyncClient) -> float:
    return float((await client.get("/cpu")).text)


async def price(url: str, read: Any, chats: int, tokens: int, pause: int) -> float:
    """Microseconds of the server's CPU for one more token."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx2.AsyncClient(
        base_url=url, timeout=120, limits=limits, trust_env=False
    ) as client:
        spent = []
        for count in (FEW, FEW + tokens):
            before = await cpu(client)
            await asyncio.gather(*(read(client, count, pause) for _ in range(chats)))
            spent.append(await cpu(client) - before)
    return (spent[1] - spent[0]) / (tokens * chats) * 1e6


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[str]:
    """A part of this script in a process of its own; yields the line it says."""
    command = [sys.executable, __file__, "--run", *arguments]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "CONSOLE_JSON": "true"}
    )
    assert child.stdout is not None
    try:
        line = next(line for line in child.stdout if line.startswith("http"))
        # A full pipe would stop the server as soon as it logs.
        threading.Thread(target=child.stdout.read, daemon=True).start()
        yield line.strip()
    finally:
        child.kill()
        child.wait()


@contextlib.asynccontextmanager
async def cases() -> AsyncIterator[list[tuple[str, str, Any]]]:
    from locutory_testing.database import session_databases

    with contextlib.ExitStack() as stack:
        databases = stack.enter_context(session_databases(durable=True))
        addresses = [databases.address(f"bench_{uuid4().hex}") for _ in range(2)]
        upstream = stack.enter_context(process("model"))
        bare = stack.enter_context(process("bare", upstream))
        few = stack.enter_context(process("locutory", upstream, addresses[0], "few"))
        every = stack.enter_context(process("locutory", upstream, addresses[1], "all"))
        yield [
            ("pass-through", bare, read_bare),
            ("three plugins", few, read_chat),
            ("all plugins", every, read_chat),
        ]


async def measure(chats: list[int], tokens: int, pause: int) -> None:
    async with cases() as found:
        for name, url, read in found:
            await price(url, read, 1, 5, 1)  # everything is loaded afterwards
            del name
        _say(f"{tokens} tokens a chat, one every {pause} ms; µs of server CPU a token")
        _say(f"{'chats':>6} " + " ".join(f"{name:>14}" for name, _, _ in found) + "  ratio")
        for amount in chats:
            costs = [await price(url, read, amount, tokens, pause) for _, url, read in found]
            cells = " ".join(f"{cost:>14.1f}" for cost in costs)
            _say(f"{amount:>6} {cells} {costs[-1] / costs[0]:>6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU per relayed token.")
    parser.add_argument("--chats", default="1,10,100")
    parser.add_argument("--tokens", type=int, default=150)
    parser.add_argument("--interval-ms", type=int, default=20)
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        parts: dict[str, Any] = {"model": run_model, "bare": run_bare, "locutory": run_locutory}
        asyncio_run = asyncio.run
        with contextlib.suppress(ImportError):
            import uvloop

            asyncio_run = uvloop.run
        asyncio_run(parts[options.run[0]](*options.run[1:]))
        return
    amounts = [int(part) for part in options.chats.split(",")]
    asyncio.run(measure(amounts, options.tokens, options.interval_ms))


if __name__ == "__main__":
    main()
