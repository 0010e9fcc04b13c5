"""Receives the file of a multipart form without holding it in memory."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from locutory import HTTPError, Request

_BUFFER = 1024 * 1024
_MAX_PARTS = 16
_MAX_FORM_OVERHEAD = 64 * 1024
_MAX_HEADERS = 16
_MAX_HEADER_BYTES = 8 * 1024
_SILENCE_SECONDS = 60.0
_DISCARDED = 64 * 1024 * 1024
_NAMES = (".json", ".jsonl", ".ndjson")
_TYPES = frozenset(("application/json", "application/x-ndjson", "application/jsonl"))


def refusal(status: int, text: str, *, close: bool = False) -> HTTPError:
    """An answer ``{"message": text}``."""
    return HTTPError(status, {"message": text}, headers={"connection": "close"} if close else None)


@dataclass(slots=True)
class Upload:
    """A received file: where it is, its size, and its name."""

    file: BinaryIO
    size: int
    name: str


@dataclass(slots=True)
class _Form:
    """The state of the parser: ``current`` are the headers of the part at hand."""

    buffer: bytearray = field(default_factory=bytearray)
    current: dict[str, str] = field(default_factory=dict)
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    name: str | None = None
    parts: int = 0
    wanted: bool = False
    ended: bool = False
    problem: str = ""


def temporary_file() -> BinaryIO:
    """A file without a name: whatever happens, it goes when it is closed."""
    return cast(BinaryIO, tempfile.TemporaryFile(prefix="locutory-import-"))


async def receive(request: Request, file: BinaryIO, limit: int) -> Upload:
    """Write the part ``file`` of the form into ``file``.

    Raises:
        HTTPError: 400 for what is no such form, 408, 413 above ``limit`` bytes, 415 for
            another kind of file.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise refusal(400, "Send the file as multipart/form-data, in the field 'file'")
    form = _Form()
    parser = MultipartParser(boundary, _callbacks(form))
    written = total = discarded = 0
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared) > limit + _MAX_FORM_OVERHEAD
    try:
        async for chunk in _chunks(request):
            if too_large or form.problem:
                # Read on for a while: a connection that is closed at once loses the answer.
                discarded += len(chunk)
                if discarded > _DISCARDED:
                    break
                continue
            total += len(chunk)
            parser.write(chunk)
            if written + len(form.buffer) > limit or total > limit + _MAX_FORM_OVERHEAD:
                too_large = True
                form.buffer.clear()
            elif len(form.buffer) >= _BUFFER:
                written += len(form.buffer)
                await asyncio.to_thread(file.write, bytes(form.buffer))
                form.buffer.clear()
        if not (too_large or form.problem):
            parser.finalize()
    except FormParserError:
        raise refusal(400, "The form is damaged") from None
    if too_large:
        raise refusal(413, "File exceeds the maximum allowed size", close=True)
    if form.problem:
        raise refusal(415, form.problem)
    if form.name is None or not form.ended:
        raise refusal(400, "No file was sent in the field 'file'")
    written += len(form.buffer)
    await asyncio.to_thread(_finish, file, bytes(form.buffer))
    return Upload(file, written, form.name)


async def discard(request: Request) -> None:
    """Read what a refused request sends, for a while: a connection that is closed at once
    loses the answer."""
    left = _DISCARDED
    async for chunk in _chunks(request):
        left -= len(chunk)
        if left < 0:
            return


def _finish(file: BinaryIO, rest: bytes) -> None:
    file.write(rest)
    file.flush()


async def _chunks(request: Request) -> Any:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise refusal(408, "request timeout", close=True) from None
        if chunk is None:
            return
        yield chunk


def _callbacks(form: _Form) -> Any:
    """The parser's callbacks: only the first part named ``file`` is kept."""

    def begin() -> None:
        form.parts += 1
        form.current.clear()
        form.wanted = False
        if form.parts > _MAX_PARTS:
            raise FormParserError("too many parts")

    def header_field(data: bytes, start: int, end: int) -> None:
        form.header += data[start:end]
        check()

    def header_value(data: bytes, start: int, end: int) -> None:
        form.value += data[start:end]
        check()

    def check() -> None:
        if (
            len(form.header) + len(form.value) > _MAX_HEADER_BYTES
            or len(form.current) > _MAX_HEADERS
        ):
            raise FormParserError("too much about a part")

    def header_end() -> None:
        form.current[form.header.decode("latin-1").lower()] = form.value.decode("latin-1")
        form.header.clear()
        form.value.clear()

    def headers_finished() -> None:
        _, options = parse_options_header(form.current.get("content-disposition", ""))
        if options.get(b"name") != b"file" or b"filename" not in options or form.name is not None:
            return
        form.name = unquote(options[b"filename"].decode("utf-8", "replace"))
        kind, _ = parse_options_header(form.current.get("content-type", ""))
        form.wanted = kind.decode("latin-1") in _TYPES or form.name.lower().endswith(_NAMES)
        if not form.wanted:
            form.problem = "Only JSON files are allowed"

    def data(chunk: bytes, start: int, end: int) -> None:
        if form.wanted:
            form.buffer += chunk[start:end]

    def part_end() -> None:
        form.ended = form.ended or form.wanted

    return {
        "on_part_begin": begin,
        "on_header_field": header_field,
        "on_header_value": header_value,
        "on_header_end": header_end,
        "on_headers_finished": headers_finished,
        "on_part_data": data,
        "on_part_end": part_end,
    }
