"""Reading request bodies: size limit, inflating, JSON and forms, operator removal.

Follows contract kernel §3, rows 5 to 9.
"""

import asyncio
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import brotli  # type: ignore[import-untyped]
import orjson
from starlette.types import Receive

from locutory.errors import BadRequest, HTTPError

MALFORMED = {
    "error": "Invalid JSON format",
    "message": "The request body contains malformed JSON",
}
_MAX_FORM_FIELDS = 1000
_MAX_FORM_DEPTH = 32
_MAX_FORM_INDEX = 20
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_CHARSET = re.compile(rb"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
# What is read and thrown away of a body that is too large, as a multiple of the limit:
# closing at once would reset the connection before the client has read the 413.
_DISCARDED = 8


class ClientGone(Exception):
    """The client hung up before its request was complete."""


def too_large() -> HTTPError:
    """413, a compatible improvement over upstream's lost error."""
    return HTTPError(413, {"message": "request entity too large"}, headers={"connection": "close"})


async def read_payload(
    receive: Receive, headers: Mapping[bytes, bytes], limit: int, seconds: float
) -> Any:
    """The parsed JSON or form body without operators; ``{}`` for every other kind.

    ``limit`` in bytes, before and after inflating; ``seconds`` until the body must be
    complete. Raises 400, 408, 413 or 415.
    """
    kind, _, parameters = headers.get(b"content-type", b"").partition(b";")
    kind = kind.strip().lower()
    if kind == b"application/json":
        is_json = True
    elif kind == b"application/x-www-form-urlencoded":
        is_json = False
    else:
        return {}
    codec = _codec(parameters, is_json) if parameters else "utf-8"
    try:
        async with asyncio.timeout(seconds):
            body = await read_body(receive, headers.get(b"content-length"), limit)
    except TimeoutError:
        raise HTTPError(
            408, {"message": "request timeout"}, headers={"connection": "close"}
        ) from None
    encoding = headers.get(b"content-encoding")
    if encoding is not None:
        body = inflate(body, encoding.decode("latin-1").strip().lower(), limit)
    if codec != "utf-8":
        body = _as_utf8(body, codec)
    return drop_operators(parse_json(body) if is_json else parse_form(body))


def _codec(parameters: bytes, is_json: bool) -> str:
    found = _CHARSET.search(parameters)
    name = "utf-8" if found is None else found[1].decode("latin-1").lower()
    if name == "utf8":
        return "utf-8"
    allowed = ("utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be")
    if name not in (allowed if is_json else ("utf-8", "iso-8859-1")):
        raise HTTPError(415, {"message": f'unsupported charset "{name.upper()}"'})
    return name


def _as_utf8(body: bytes, codec: str) -> bytes:
    try:
        return body.decode(codec).encode()
    except UnicodeError:
        raise HTTPError(400, MALFORMED) from None


async def read_body(receive: Receive, declared: bytes | None, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes (413 above)."""
    size = 0
    body: bytes | bytearray = b""
    refused = declared is not None and declared.isdigit() and int(declared) > limit
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            refused = True
            body = b""
            if size > limit * _DISCARDED:
                raise too_large()
        elif chunk and not refused:
            if not body:
                body = chunk
            elif isinstance(body, bytearray):
                body += chunk
            else:
                body = bytearray(body) + chunk
        if not message.get("more_body", False):
            if refused:
                raise too_large()
            return bytes(body)


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """A gzip, deflate or br body, unpacked to at most ``limit`` bytes; 415 for another
    encoding, 400 for data that is damaged or cut off."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate", "br"):
        raise HTTPError(415, {"message": f'unsupported content encoding "{encoding}"'})
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
            raise too_large()
        if not unpacker.eof or unpacker.unused_data:
            raise zlib.error("cut off, or followed by something else")
    except (zlib.error, brotli.error):
        raise BadRequest("The request body is not valid compressed data") from None
    return plain


def _unbrotli(body: bytes, limit: int) -> bytes:
    unpacker = brotli.Decompressor()
    plain: bytes = unpacker.process(body, output_buffer_limit=limit + 1)
    if len(plain) > limit:
        raise too_large()
    if not unpacker.is_finished():
        raise brotli.error("cut off")
    return plain


def parse_json(body: bytes) -> Any:
    """A JSON object or array; empty is ``{}``; 400 with the contract's body otherwise."""
    if not body:
        return {}
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _halved(body)
    if not isinstance(value, dict | list):
        raise HTTPError(400, MALFORMED)
    return value


def _halved(body: bytes) -> Any:
    """JSON in which somebody cut a text inside an emoji: browsers send such halves as they
    are, and they become U+FFFD here, as they would in any UTF-8."""
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise HTTPError(400, MALFORMED) from None


def parse_form(body: bytes) -> dict[str, Any]:
    """A urlencoded form. ``a[b]=1`` nests, ``a[]=1`` and ``a[0]=1`` make a list, a repeated
    key becomes a list."""
    if body.count(b"&") >= _MAX_FORM_FIELDS:
        raise HTTPError(413, {"message": "too many parameters"})
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError:
        raise BadRequest("The form is not UTF-8") from None
    form: dict[str, Any] = {}
    for key, value in pairs:
        head = key.split("[", 1)[0]
        path = [head or key, *(_BRACKETS.findall(key) if head else ())]
        if len(path) > _MAX_FORM_DEPTH + 1:
            raise BadRequest("The form is nested too deeply")
        target = form
        for part in path[:-1]:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            target = inner
        else:
            before = target.get(path[-1])
            if before is None:
                target[path[-1]] = value
            elif isinstance(before, list):
                before.append(value)
            else:
                target[path[-1]] = [before, value]
    return {key: _lists(value) for key, value in form.items()}


def _lists(value: Any) -> Any:
    """Mappings whose keys are all empty or small numbers, as lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if list(inner) == [""]:
        return inner[""] if isinstance(inner[""], list) else [inner[""]]
    if all(len(key) <= 2 and key.isdecimal() and int(key) <= _MAX_FORM_INDEX for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def drop_operators(value: Any) -> Any:
    """Delete, at any depth, keys that start with ``$`` or contain ``.``; returns ``value``.
    Keys with a NUL go too: no database can store them."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            bad = [key for key in item if key[:1] == "$" or "." in key or "\0" in key]
            for key in bad:
                del item[key]
            stack.extend(inner for inner in item.values() if isinstance(inner, dict | list))
        else:
            stack.extend(inner for inner in item if isinstance(inner, dict | list))
    return value
