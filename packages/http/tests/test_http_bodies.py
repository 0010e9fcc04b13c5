"""Bodies: packed, too large, and files that are fetched before there is a loop."""

import asyncio
import gzip
import zlib
from pathlib import Path
from typing import Any

import httpx2
import pytest

from locutory_http import BodyTooLarge, Outgoing, Proxies, Trust, parse_proxy
from locutory_testing.network import Authority, ForwardProxy


def reply(body: bytes, encoding: str = "", status: str = "200 OK", more: str = "") -> bytes:
    packed = f"content-encoding: {encoding}\r\n" if encoding else ""
    return f"HTTP/1.1 {status}\r\n{packed}{more}content-length: {len(body)}\r\n\r\n".encode() + body


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[:1000]) + gzip.compress(data[1000:])


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("gzip", two_members),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
async def test_packed_bodies(origin: Any, encoding: str, pack: Any) -> None:
    text = "Grüße an alle. " * 50_000
    origin.reply = reply(pack(text.encode()), encoding)
    for most in (None, len(text.encode())):
        async with Outgoing().client(5.0, most=most) as client:
            answer = await client.get(origin.url())
            assert answer.content.decode() == text
            async with client.stream("GET", origin.url()) as answer:
                pieces = [len(piece) async for piece in answer.aiter_bytes()]
            assert max(pieces) <= 64 * 1024
    assert origin.heads("accept-encoding")[0] == "gzip, deflate"


@pytest.mark.parametrize("guarded", [False, True])
async def test_bombs_are_not_unpacked(origin: Any, guarded: bool) -> None:
    """A few kilobytes that promise a gigabyte: reading ends at what was agreed."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(256)]
    bomb = b"".join(parts) + packer.flush()
    made = Outgoing()
    client = (
        made.guarded([f"127.0.0.1:{origin.port}"], 5.0, most=1 << 20)
        if guarded
        else made.client(5.0, most=1 << 20)
    )
    async with client:
        origin.reply = reply(bomb, "gzip")
        with pytest.raises(BodyTooLarge, match="1048576"):
            await client.get(origin.url("127.0.0.1"))
        for encoding in ("br", "zstd", "gzip, gzip", "compress"):
            origin.reply = reply(bomb, encoding)
            with pytest.raises(httpx2.DecodingError, match="not asked for"):
                await client.get(origin.url("127.0.0.1"))
        origin.reply = reply(bytes((1 << 20) + 1))
        with pytest.raises(httpx2.HTTPError):
            await client.get(origin.url("127.0.0.1"))
        origin.reply = reply(b"fine")
        assert (await client.get(origin.url("127.0.0.1"))).text == "fine"


async def test_broken_packing(origin: Any) -> None:
    async with Outgoing().client(5.0) as client:
        for encoding in ("gzip", "deflate"):
            origin.reply = reply(b"\xff this is not packed", encoding)
            with pytest.raises(httpx2.DecodingError):
                await client.get(origin.url())


async def test_redirects_are_not_followed(origin: Any) -> None:
    origin.reply = reply(b"", status="302 Found", more="location: http://10.0.0.1/\r\n")
    async with Outgoing().client(5.0) as client:
        assert (await client.get(origin.url())).status_code == 302
    assert len(origin.seen) == 1


class TestDownloads:
    async def test_a_file_through_a_proxy_and_redirects(
        self, origin: Any, origins: Any, tmp_path: Path
    ) -> None:
        authority = Authority(tmp_path)
        async with (
            ForwardProxy().running() as proxy,
            origins().running(authority.server("localhost")) as secure,
        ):
            origin.reply = reply(b"", status="307 X", more=f"location: {secure.url()}\r\n")
            proxies, trust = Proxies(parse_proxy(proxy.url)), Trust(extra=str(authority.file))
            made = Outgoing(proxies, trust)
            body = await asyncio.to_thread(made.download, origin.url(), 5.0, 100)
            assert body == b"hello"
            assert proxy.seen == [f"GET {origin.url()}", f"CONNECT localhost:{secure.port}"]
            with pytest.raises(OSError, match="certificate is not trusted"):
                await asyncio.to_thread(Outgoing().download, secure.url(), 5.0, 100)

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (reply(b"x", status="404 Not Found"), "status 404"),
            (reply(b"x" * 101), "more than 100 bytes"),
            (reply(gzip.compress(b"x" * 101), "gzip"), "more than 100 bytes"),
            (reply(b"", status="302 X", more="location: /again\r\n"), "without end"),
            (reply(b"", status="302 X", more="location: ftp://x/\r\n"), "protocol"),
        ],
        ids=["status", "too large", "too large unpacked", "circle", "other protocol"],
    )
    async def test_what_is_no_file(self, origin: Any, answer: bytes, told: str) -> None:
        origin.reply = answer
        with pytest.raises(OSError, match=told):
            await asyncio.to_thread(Outgoing().download, origin.url(), 5.0, 100)

    def test_addresses_that_are_none(self) -> None:
        for url in ("http://[::1", "x://y", "http://127.0.0.1:1/"):
            with pytest.raises(OSError):
                Outgoing().download(url, 2.0, 100)
