"""The client's files: found once, served by exact name (contract kernel §7.1).

A request is looked up in a table of the files that lay in the folder when it was read,
so nothing outside of it can be named: no traversal, no hidden file, no link that leads
out, no folder listing.
"""

import gzip
import mimetypes
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from locutory import Request

_TYPES = {
    ".js": "application/javascript; charset=UTF-8",
    ".mjs": "application/javascript; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".html": "text/html; charset=UTF-8",
    ".txt": "text/plain; charset=UTF-8",
    ".json": "application/json; charset=UTF-8",
    ".map": "application/json; charset=UTF-8",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".wasm": "application/wasm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".otf": "font/otf",
    ".eot": "application/vnd.ms-fontobject",
    ".gz": "application/gzip",
    ".br": "application/octet-stream",
}
_COMPRESSIBLE = frozenset(
    {
        ".js",
        ".mjs",
        ".css",
        ".html",
        ".txt",
        ".json",
        ".map",
        ".webmanifest",
        ".svg",
        ".wasm",
        ".ttf",
        ".otf",
        ".ico",
    }
)
_NEVER_STORED = frozenset({"index.html", "sw.js", "sw-heal.js", "manifest.json"})
_NO_STORE = "no-store, no-cache, must-revalidate"
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})?|-\d{1,18}", re.ASCII)
_SHRINK_FROM, _SHRINK_TO = 1024, 1 << 20
_MEMORY = 16 << 20


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file, its type, its ``Cache-Control`` and the compressed files beside it."""

    path: Path
    media_type: str
    cache_control: str
    siblings: tuple[tuple[str, Path], ...] = ()
    compressible: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """Settings for sending files: cache seconds (``None`` outside production), brotli, gzip."""

    max_age: int | None
    s_max_age: int = 0
    brotli: bool = False
    compress: bool = True

    def cache_control(self, relative: str) -> str:
        """``Cache-Control`` of a file, by its path below the folder."""
        name = relative.rpartition("/")[2]
        if self.max_age is None or relative.startswith("images/"):
            return "public, max-age=0"
        if name in _NEVER_STORED or name.endswith(".webmanifest"):
            return _NO_STORE
        return f"public, max-age={self.max_age}, s-maxage={self.s_max_age}"


def _walk(root: Path) -> Iterator[Path]:
    """Files below ``root`` without hidden ones; links only to files inside of it."""
    home = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or not path.is_file():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                continue
            yield path


def scan(roots: list[Path], delivery: Delivery) -> dict[str, ClientFile]:
    """URL path → file. Of files with one path the one of the first root wins."""
    table: dict[str, ClientFile] = {}
    for root in roots:
        found = {path.relative_to(root).as_posix(): path for path in _walk(root)}
        for relative, path in found.items():
            suffix = path.suffix.lower()
            guessed = mimetypes.guess_type(path.name, strict=False)[0]
            encodings = (("br", ".br"), ("gzip", ".gz")) if delivery.brotli else (("gzip", ".gz"),)
            siblings = tuple(
                (coding, found[relative + ending])
                for coding, ending in encodings
                if relative + ending in found
            )
            table.setdefault(
                "/" + relative,
                ClientFile(
                    path,
                    _TYPES.get(suffix) or guessed or "application/octet-stream",
                    delivery.cache_control(relative),
                    siblings,
                    delivery.compress and suffix in _COMPRESSIBLE,
                ),
            )
    return table


def accepts(header: str, coding: str) -> bool:
    """``True`` when ``Accept-Encoding`` allows a coding. ``q=0`` refuses it."""
    anything = False
    for item in header.split(","):
        name, _, rest = item.partition(";")
        name = name.strip().lower()
        if name not in (coding, "*"):
            continue
        weight = rest.replace(" ", "").lower()
        allowed = not re.fullmatch(r"q=0(?:\.0*)?", weight)
        if name == coding:
            return allowed
        anything = allowed
    return anything


def is_current(headers: Headers, etag: str, modified: float) -> bool:
    """``True`` when the caller has this version. ``If-None-Match`` takes precedence over the
    date."""
    tags = headers.get("if-none-match")
    if tags is not None:
        plain = etag.removeprefix("W/")
        return any(
            tag.strip() == "*" or tag.strip().removeprefix("W/") == plain for tag in tags.split(",")
        )
    since = headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError, OverflowError):
        return False


def is_range(header: str) -> bool:
    """``True`` for a valid ``Range`` of bytes. Others are ignored (RFC 9110 §14.2)."""
    unit, _, ranges = header.strip().lower().partition("=")
    if unit != "bytes":
        return False
    for item in ranges.split(","):
        found = _RANGE.fullmatch(item.strip())
        if found is None or (found[2] is not None and int(found[2]) < int(found[1])):
            return False
    return True


class _File(FileResponse):
    """A file response without the 400 that a meaningless ``Range`` would get."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = Headers(scope=scope).get("range")
        if wanted is not None and not is_range(wanted):
            kept = [pair for pair in scope["headers"] if pair[0] != b"range"]
            scope = {**scope, "headers": kept}
        await super().__call__(scope, receive, send)


class FileServer:
    """Serves a table of files with conditional requests, ranges and compression.

    A compressible file without a compressed sibling is compressed once and kept, as
    far as 16 MiB reach.
    """

    def __init__(self, table: dict[str, ClientFile]) -> None:
        self.table = table
        self._shrunk: OrderedDict[tuple[Path, float, int], bytes] = OrderedDict()
        self._kept = 0

    async def serve(self, request: Request, file: ClientFile) -> Response | None:
        """The file for a GET or HEAD; ``None`` when it has gone since the table was made."""
        coding, path = self._choose(request.headers.get("accept-encoding", ""), file)
        try:
            stat = await to_thread.run_sync(os.stat, path)
        except OSError:
            return None
        headers = {
            "cache-control": file.cache_control,
            "x-content-type-options": "nosniff",
        }
        if file.siblings or file.compressible:
            headers["vary"] = "Accept-Encoding"
        if coding is not None:
            headers["content-encoding"] = coding
        response = _File(path, headers=headers, media_type=file.media_type, stat_result=stat)
        if is_current(request.headers, response.headers["etag"], stat.st_mtime):
            return _not_modified(response)
        if coding is None and file.compressible and "range" not in request.headers:
            return await self._shrink(request, response, path, stat)
        return response

    @staticmethod
    def _choose(header: str, file: ClientFile) -> tuple[str | None, Path]:
        for coding, path in file.siblings:
            if accepts(header, coding):
                return coding, path
        return None, file.path

    async def _shrink(
        self, request: Request, plain: Response, path: Path, stat: os.stat_result
    ) -> Response:
        """The file compressed here, when that is worth it and the caller accepts it."""
        wanted = accepts(request.headers.get("accept-encoding", ""), "gzip")
        if not wanted or not _SHRINK_FROM <= stat.st_size <= _SHRINK_TO:
            return plain
        key = (path, stat.st_mtime, stat.st_size)
        body = self._shrunk.get(key)
        if body is None:
            try:
                body = await to_thread.run_sync(_compressed, path)
            except OSError:
                return plain
            self._keep(key, body)
        else:
            self._shrunk.move_to_end(key)
        response = Response(body, media_type=None, headers=dict(plain.headers))
        response.headers["content-encoding"] = "gzip"
        response.headers["content-length"] = str(len(body))
        response.headers["etag"] = "W/" + plain.headers["etag"]
        del response.headers["accept-ranges"]
        return response

    def _keep(self, key: tuple[Path, float, int], body: bytes) -> None:
        self._shrunk[key] = body
        self._kept += len(body)
        while self._kept > _MEMORY:
            self._kept -= len(self._shrunk.popitem(last=False)[1])


def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 6, mtime=0)


def _not_modified(response: Response) -> Response:
    kept = ("cache-control", "etag", "last-modified", "vary")
    return Response(
        status_code=304,
        headers={name: response.headers[name] for name in kept if name in response.headers},
    )
