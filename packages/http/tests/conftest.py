"""A small HTTP server and a SOCKS proxy under the control of a test."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import pytest

from locutory_testing.network import LocalServer


@dataclass
class Origin(LocalServer):
    """Answers every request with ``reply``. ``seen``: the heads of requests."""

    scheme: str = "http"
    reply: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    seen: list[str] = field(default_factory=list)

    def url(self, host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}/v1/models"

    def heads(self, name: str) -> list[str]:
        """Values of a header in the requests seen."""
        lines = [line for head in self.seen for line in head.split("\r\n")]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name}: ")]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.seen.append(head)
            writer.write(self.reply)
            await writer.drain()
            if "connection: close" in head.lower():
                break

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        self.scheme = "https" if tls else "http"
        async with super().running(tls):
            yield self


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as made:
        yield made


@dataclass
class Socks(LocalServer):
    """A SOCKS 5 proxy. ``seen``: host:port of every connection."""

    seen: list[str] = field(default_factory=list)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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


@pytest.fixture
async def socks() -> AsyncIterator[Socks]:
    async with Socks().running() as made:
        yield made


@pytest.fixture
def origins() -> type[Origin]:
    return Origin
