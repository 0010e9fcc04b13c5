"""Requests of several clients through one real proxy that reuses its connections to the server."""

import asyncio
import json
from pathlib import Path

import pytest

from locutory import JSON, Plugin, Public, Request, Route, hook
from locutory_testing import Serve
from tests.proxies.programs import free_port, proxy

OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIA\r\n"


class Echo(Plugin):
    """Answers with the body that it was sent."""

    name = "echo"
    summary = "Echoes bodies; for this test"

    @hook
    def routes(self) -> list[Route]:
        async def echo(request: Request) -> JSON:
            return JSON({"payload": request.payload})

        access = Public("test")
        return [
            Route(
                path="/api/echo",
                endpoint=echo,
                methods=("POST",),
                access=access,
                summary="Echo the body",
            )
        ]


async def post(port: int, number: int, *, offer: bool, cut: bool, chunked: bool) -> str:
    """One request of its own connection; the answer up to its end."""
    body = json.dumps({"number": number}).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = (
        f"POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n{OFFER if offer else ''}"
        f"Content-Type: application/json\r\n{framing}\r\n\r\n"
    ).encode()
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head)
        if cut:
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(body)
        answer = await reader.readuntil(b"}}")
    finally:
        writer.close()
    return answer.decode()


@pytest.mark.slow
async def test_offers_through_caddy(serve: Serve, tmp_path: Path) -> None:
    port = free_port()
    async with serve(Echo()) as server:
        with proxy("caddy", tmp_path / "caddy", port, int(server.url.rpartition(":")[2])):
            for start in range(0, 160, 16):
                async with asyncio.timeout(30):
                    answers = await asyncio.gather(
                        *(
                            post(
                                port,
                                start + number,
                                offer=bool(number & 1),
                                cut=bool(number & 2),
                                chunked=bool(number & 4),
                            )
                            for number in range(16)
                        )
                    )
                for number, answer in enumerate(answers):
                    assert answer.startswith("HTTP/1.1 200 ")
                    assert answer.endswith(f'{{"payload":{{"number":{start + number}}}}}')
