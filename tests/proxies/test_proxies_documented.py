"""The configurations of docs/proxies.md, in the real programs: sign-in, refresh, streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from locutory import JSON, Plugin, Public, Request, Route, hook
from locutory_testing import Serve
from locutory_testing.server import BROWSER
from tests.boot.person import ENVIRONMENT, ROOT_MESSAGE, Person, custom_endpoint
from tests.proxies.programs import PROGRAMS, free_port, proxy


class Mirror(Plugin):
    """Shows what the server makes of a request."""

    name = "mirror"
    summary = "Shows requests; for this test"

    @hook
    def routes(self) -> list[Route]:
        async def show(request: Request) -> JSON:
            size = len(await request.body())
            return JSON({"ip": request.ip, "id": request.path_params["id"], "size": size})

        return [
            Route(
                path="/api/mirror/{id}",
                endpoint=show,
                methods=("POST",),
                access=Public("test"),
                summary="Show the request",
                raw_body=True,
            )
        ]


@asynccontextmanager
async def waiting_model() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The address of a model that says "one", waits for the event, and says "two"."""
    go_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(head)
        for word in ("one", "two"):
            chunk = {"choices": [{"index": 0, "delta": {"content": f"{word} "}}]}
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
            await go_on.wait()
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        writer.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", go_on


async def start(client: httpx2.AsyncClient) -> str:
    """Start a turn; the id of its stream."""
    body = {
        "text": "count",
        "parentMessageId": ROOT_MESSAGE,
        "messageId": "m",
        "endpoint": "Fake",
        "endpointType": "custom",
        "model": "fake",
        "isContinued": False,
        "generationProtocolVersion": 2,
    }
    return str((await client.post("/api/agents/chat/Fake", json=body)).json()["streamId"])


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
async def test_documented_configurations(serve: Serve, tmp_path: Path, name: str) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {**ENVIRONMENT, "DOMAIN_CLIENT": address, "DOMAIN_SERVER": address}
    plugins: list[Any] = [
        "auth",
        "users",
        "roles",
        "endpoints",
        "conversations",
        "agents",
        Mirror(),
    ]
    async with (
        waiting_model() as (model, go_on),
        serve(*plugins, environment=environment, yaml=custom_endpoint(model)) as server,
        httpx2.AsyncClient(
            base_url=address, headers={"user-agent": BROWSER}, timeout=30, trust_env=False
        ) as client,
    ):
        with proxy(name, tmp_path / name, port, int(server.url.rpartition(":")[2])):
            await Person(client).join("ann@example.com")
            refreshed = await client.post("/api/auth/refresh", headers={"origin": address})
            assert refreshed.status_code == 200
            assert refreshed.json()["token"]
            foreign = await client.post(
                "/api/auth/refresh", headers={"origin": "http://evil.example"}
            )
            assert foreign.status_code == 403

            # A client's invented address is not believed; large bodies and odd paths arrive.
            shown = await client.post(
                "/api/mirror/large",
                content=b"x" * 2_000_000,
                headers={"x-forwarded-for": "198.51.100.77"},
            )
            assert shown.json() == {"ip": "127.0.0.1", "id": "large", "size": 2_000_000}
            odd = await client.post(f"{address}/api/mirror/a%2Fb")
            if name == "lighttpd":  # decodes the slash
                assert odd.status_code == 404
            else:
                assert odd.json()["id"] == "a/b"

            # The second word is not made before the first has arrived.
            stream = await start(client)
            text = ""
            async with (
                asyncio.timeout(60),
                client.stream("GET", f"/api/agents/chat/stream/{stream}") as answer,
            ):
                async for line in answer.aiter_lines():
                    text += line
                    if "one" in text:
                        go_on.set()
            assert '"final":true' in text
            assert "two" in text
