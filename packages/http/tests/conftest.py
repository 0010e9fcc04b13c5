"""A small HTTP server under the control of a test."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Origin:
    """Answers every request with ``reply``. ``seen``: the heads of requests."""

    scheme: str = "http"
    port: int = 0
    reply: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    seen: list[str] = field(default_factory=list)
    _running: set["asyncio.Task[Any]"] = field(default_factory=set)

    def url(self, host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}/v1/models"

    def heads(self, name: str) -> list[str]:
        """Values of a header in the requests seen."""
        lines = [line for head in self.seen for line in head.split("\r\n")]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name}: ")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    self.seen.append(head)
                    writer.write(self.reply)
                    await writer.drain()
                    if "connection: close" in head.lower():
                        break
        finally:
            self._running.discard(task)
            writer.close()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Origin"]:
        self.scheme = "https" if tls else "http"
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await server.wait_closed()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as made:
        yield made


class Socks:
    """A SOCKS 5 proxy. ``seen``: host:port of every connection."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly((await reader.readexactly(2))[1])
        writer.write(b"\x05\x00")
        *_, kind = await reader.readexactly(4)
        assert kind == 3, "the name is left to the proxy"
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.seen.append(f"{host}:{port}")
        there, back = await asyncio.open_connection(host, port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        back.write(await reader.readuntil(b"\r\n\r\n"))
        writer.write(await there.read(65536))
        await writer.drain()
        back.close()
        writer.close()


@pytest.fixture
async def socks() -> AsyncIterator[Socks]:
    made = Socks()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
def origins() -> type[Origin]:
    return Origin
