"""Reading request bodies: limits of size, time and content, inflating (contract kernel §3)."""

import asyncio
import re
import zlib
from collections.abc import Mapping
from typing import Any

import brotli  # type: ignore[import-untyped]
from starlette.types import Receive

from locutory_httpserver.parsing import (
    MALFORMED,
    BodyRefused,
    bad_request,
    drop_operators,
    form_parts,
    json_values,
    may_hold_operators,
    parse_form,
    parse_json,
)

_JSON = b"application/json"
_FORM = b"application/x-www-form-urlencoded"
_CHARSET = re.compile(rb"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
# What is parsed for everybody, on the event loop: bytes after inflating, and values.
SMALL = 64 * 1024
_FEW = 5_000
# What a caller may send who is not signed in, and how many values one may who is.
STRANGERS_BYTES = 256 * 1024
_MANY = 50_000
# What is read and thrown away of a body that is too large: closing at once would reset the
# connection before the client has read the 413.
_DISCARDED = 24 * 1024 * 1024


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def too_large() -> BodyRefused:
    """The 413 for a body that is too large; a compatible improvement, since LibreChat's error is
    lost."""
    return BodyRefused(
        413, {"message": "request entity too large"}, headers={"connection": "close"}
    )


class Body:
    """A JSON or form body, read in two steps: `early` reads a small and simple body before access
    is checked, as LibreChat does with all; `late` reads the rest afterwards, so that callers who
    are not signed in cause no work. Both raise `BodyRefused` (400, 408, 413 or 415), or
    `ClientGone`.

    ``seconds``: time in which the body must be complete.
    """

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], seconds: float) -> None:
        kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
        kind = kind.strip().lower()
        self._is_json = kind == _JSON
        self._none = kind not in (_JSON, _FORM)
        self._parameters = parameters
        self._encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        declared = headers.get(b"content-length", b"")
        self._declared = int(declared) if declared.isdigit() else 0
        self._asks = headers.get(b"expect", b"").lower() == b"100-continue"
        self._receive = receive
        self._until = asyncio.get_running_loop().time() + seconds
        self._data = bytearray()
        self._complete = False
        self.pending = False
        """``True`` when `late` has to read the body."""

    async def early(self) -> Any:
        """The value without MongoDB operators; ``{}`` for a body of another type, and for one that
        is now `pending`."""
        if self._none:
            return {}
        codec = _codec(self._parameters, self._is_json)
        if await self._read(SMALL):
            plain = self._plain(codec, SMALL)
            if plain is not None and self._count(plain, _FEW) <= _FEW:
                return self._value(plain)
        self.pending = True
        return {}

    async def late(self, limit: int, signed_in: bool, turn: asyncio.Semaphore) -> Any:
        """The value of a pending body, parsed in a thread, one body at a time per ``turn``.
        ``limit`` in bytes, before and after decompression."""
        if not signed_in:
            limit = min(limit, STRANGERS_BYTES)
        if not await self._read(limit):
            if not self._asks:  # else the client waits for a word before it sends anything
                await self._discard()
            raise too_large()
        async with turn:
            return await asyncio.to_thread(self._load, limit, _MANY if signed_in else _FEW)

    def _load(self, limit: int, values: int) -> Any:
        plain = self._plain(_codec(self._parameters, self._is_json), limit)
        if plain is None or self._count(plain, values) > values:
            raise too_large()
        return self._value(plain)

    async def _read(self, limit: int) -> bool:
        """Read until the body is complete, or larger than ``limit`` bytes; ``False`` in the latter
        case."""
        if self._declared > limit:
            return False
        while not self._complete and len(self._data) <= limit:
            self._data += await self._chunk()
        return len(self._data) <= limit

    async def _discard(self) -> None:
        size = len(self._data)
        self._data.clear()
        while not self._complete and size <= _DISCARDED:
            size += len(await self._chunk())

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise BodyRefused(
                408, {"message": "request timeout"}, headers={"connection": "close"}
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk

    def _plain(self, codec: str, limit: int) -> bytes | None:
        """The body decompressed, in UTF-8; ``None`` when that is larger than ``limit`` bytes."""
        plain = inflate(bytes(self._data), self._encoding, limit)
        if plain is None or codec == "utf-8":
            return plain
        try:
            return plain.decode(codec).encode()
        except UnicodeError:
            raise BodyRefused(400, MALFORMED) from None

    def _count(self, plain: bytes, many: int) -> int:
        return json_values(plain, many) if self._is_json else form_parts(plain)

    def _value(self, plain: bytes) -> Any:
        if not self._is_json:
            return drop_operators(parse_form(plain))
        value = parse_json(plain)
        return drop_operators(value) if may_hold_operators(plain) else value


def _codec(parameters: bytes, is_json: bool) -> str:
    found = _CHARSET.search(parameters)
    name = "utf-8" if found is None else found[1].decode("latin-1").lower()
    if name == "utf8":
        return "utf-8"
    allowed = ("utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be")
    if name not in (allowed if is_json else ("utf-8", "iso-8859-1")):
        raise BodyRefused(415, {"message": f'unsupported charset "{name.upper()}"'})
    return name


def inflate(body: bytes, encoding: str, limit: int) -> bytes | None:
    """Decompress a gzip, deflate or br body; ``None`` when the result has more than ``limit``
    bytes. Raises `BodyRefused`: 415 for another encoding, 400 for damaged or incomplete data."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate", "br"):
        raise BodyRefused(415, {"message": f'unsupported content encoding "{encoding}"'})
    if not body:
        return body
    try:
        if encoding == "br":
            return _unbrotli(body, limit)
        # Some clients send raw deflate data, without the header that HTTP asks for.
        raw = encoding == "deflate" and body[0] & 0x0F != 8
        unpacker = zlib.decompressobj(wbits=31 if encoding == "gzip" else -15 if raw else 15)
        plain = unpacker.decompress(body, limit + 1)
        if len(plain) > limit:
            return None
        if not unpacker.eof or unpacker.unused_data:
            raise zlib.error("cut off, or followed by something else")
    except (zlib.error, brotli.error):
        raise bad_request("The request body is not valid compressed data") from None
    return plain


def _unbrotli(body: bytes, limit: int) -> bytes | None:
    unpacker = brotli.Decompressor()
    plain: bytes = unpacker.process(body, output_buffer_limit=limit + 1)
    if len(plain) > limit:
        return None
    if not unpacker.is_finished():
        raise brotli.error("cut off")
    return plain
