"""The last steps of every response: ETag and 304, compression."""

import asyncio
import gzip
import hashlib
from base64 import b64encode
from collections.abc import Mapping

import brotli  # type: ignore[import-untyped]
from starlette.responses import Response

_MINIMUM = 1024
_IN_A_THREAD = 64 * 1024
_LEVEL = 4
_COMPRESSIBLE = ("json", "text/", "javascript", "xml", "svg", "wasm", "font/ttf")


async def finish(
    response: Response, method: str, headers: Mapping[bytes, bytes], *, compress: bool
) -> Response:
    """Apply ETag, 304 and compression to a response whose body is known; others pass
    unchanged. ``headers`` are the request's."""
    body = getattr(response, "body", None)
    if not isinstance(body, bytes) or not body:
        return response
    outgoing = response.headers
    if response.status_code == 200 and method in ("GET", "HEAD") and "etag" not in outgoing:
        digest = b64encode(hashlib.sha1(body, usedforsecurity=False).digest())[:27].decode()
        tag = f'W/"{len(body):x}-{digest}"'
        outgoing["etag"] = tag
        if _is_fresh(tag, headers):
            return _not_modified(response)
    if compress and len(body) >= _MINIMUM and "content-encoding" not in outgoing:
        kind = outgoing.get("content-type", "")
        if any(part in kind for part in _COMPRESSIBLE) and "no-transform" not in outgoing.get(
            "cache-control", ""
        ):
            outgoing.add_vary_header("Accept-Encoding")
            encoding = _encoding(headers.get(b"accept-encoding", b"").lower())
            if encoding is not None:
                if len(body) < _IN_A_THREAD:
                    response.body = _pack(body, encoding)
                else:
                    response.body = await asyncio.to_thread(_pack, body, encoding)
                outgoing["content-encoding"] = encoding
                outgoing["content-length"] = str(len(response.body))
    return response


def _is_fresh(tag: str, headers: Mapping[bytes, bytes]) -> bool:
    known = headers.get(b"if-none-match")
    if known is None or b"no-cache" in headers.get(b"cache-control", b""):
        return False
    # Weak comparison: W/"x" and "x" are the same.
    return known.strip() == b"*" or tag[2:].encode() in known


def _encoding(accepted: bytes) -> str | None:
    """The encoding for a response, br before gzip; ``None`` when the client accepts neither."""
    if b"br" not in accepted and b"gzip" not in accepted:
        return None
    offered = {}
    for item in accepted.split(b","):
        name, _, weight = item.partition(b";")
        offered[name.strip()] = weight.replace(b" ", b"").rstrip(b"0.") != b"q="
    return "br" if offered.get(b"br") else "gzip" if offered.get(b"gzip") else None


def _pack(body: bytes, encoding: str) -> bytes:
    if encoding == "br":
        packed: bytes = brotli.compress(body, quality=_LEVEL)
        return packed
    return gzip.compress(body, _LEVEL, mtime=0)


def _not_modified(response: Response) -> Response:
    plain = Response(status_code=304)
    keep = ("etag", "cache-control", "vary", "set-cookie", "expires")
    plain.raw_headers = [
        pair for pair in response.raw_headers if pair[0].decode("latin-1").lower() in keep
    ]
    return plain
