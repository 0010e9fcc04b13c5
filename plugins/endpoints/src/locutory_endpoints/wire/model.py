"""A connection to one OpenAI-compatible model."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson

from locutory import Principal
from locutory_contracts.models import Finished, ModelCall, ModelEvent, ModelFailure, Usage
from locutory_endpoints.wire import failures
from locutory_endpoints.wire.body import Dialect, request_body
from locutory_endpoints.wire.headers import fill, to_wire
from locutory_endpoints.wire.redirects import RedirectClient, send
from locutory_endpoints.wire.stream import Decoder

_LONGEST_ERROR = 64 * 1024
_LONGEST_WAIT = 60.0
_TAIL_SECONDS = 0.25
_FINAL_CODES = frozenset(("insufficient_quota", "billing_hard_limit_reached"))

AFTERWARDS_SECONDS = 5.0
"""The seconds in which a finished response must end; its usage may still arrive."""


@dataclass(frozen=True, slots=True)
class Retries:
    """The number and timing of retries of a failed call, before its first event."""

    times: int = 3
    seconds: float = 0.5
    longest: float = 8.0

    def wait(self, attempt: int, retry_after: float | None) -> float | None:
        """Seconds before try ``attempt`` + 1; ``None`` gives up. The provider's wish takes
        precedence, unless it is longer than a user waits."""
        if attempt >= self.times:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= _LONGEST_WAIT else None
        backoff = min(self.longest, self.seconds * 2.0**attempt)
        return backoff * (0.75 + random.random() / 4)  # noqa: S311  (jitter)


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """The connection to a model: its address and settings. ``headers`` may contain placeholders of
    the caller; ``secrets`` are kept out of everything that a user sees. ``redirect_client``: the
    client for an address that the server redirects to, ``None`` to follow no redirects. ``strict``:
    an answer is complete when the model has given its reason to stop, and cut off otherwise."""

    client: httpx2.AsyncClient = field(repr=False)
    url: str
    headers: Mapping[str, str] = field(repr=False)
    base: Mapping[str, Any]
    dialect: Dialect
    principal: Principal
    retries: Retries = Retries()
    query: Mapping[str, str] = field(default_factory=dict)
    reasoning: tuple[str, ...] = ("reasoning_content", "reasoning")
    secrets: Sequence[str] = field(default=(), repr=False)
    redirect_client: RedirectClient | None = field(default=None, repr=False)
    strict: bool = True


class CompletionsModel:
    """`locutory_contracts.models.ChatModel` over chat completions."""

    def __init__(self, connection: ModelConnection) -> None:
        self._connection = connection

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        """Yield the events of the answer; closing the iterator closes the provider's connection.

        Raises `ModelFailure`. Busy or unreachable providers are tried again, but only until the
        first event. A stream without any answer is requested once more in one piece, so that the
        server can report the error.
        """
        connection = self._connection
        request = _WireRequest(connection, call)
        attempt = 0
        while True:
            started = False
            pause = None
            try:
                async with send(
                    connection.client,
                    "POST",
                    connection.url,
                    request.headers,
                    connection.redirect_client,
                    content=request.content,
                    params=dict(connection.query) or None,
                ) as response:
                    if response.status_code == 200:
                        async with aclosing(self._answer(response)) as events:
                            async for event in events:
                                started = started or not isinstance(event, Usage | Finished)
                                yield event
                        return
                    refusal = await _read(response)
                if request.without_options(response.status_code, refusal):
                    continue
                failure = failures.of_status(response.status_code, refusal, connection.secrets)
                if failures.code_of(refusal) in _FINAL_CODES:
                    failure.retryable = False
                pause = failure.retry_after = _retry_after(response.headers)
            except failures.EmptyAnswer:
                if started or not request.in_one_piece():
                    raise
                continue
            except httpx2.TransportError as error:
                failure = failures.of_transport(error, started=started)
            except httpx2.DecodingError as error:
                raise ModelFailure(failures.UNREADABLE) from error
            except (httpx2.InvalidURL, httpx2.HTTPError, UnicodeError) as error:
                raise ModelFailure(failures.UNREACHABLE) from error
            if started or not failure.retryable:
                raise failure
            wait = connection.retries.wait(attempt, pause)
            if wait is None:
                raise failure
            attempt += 1
            await asyncio.sleep(wait)

    async def _answer(self, response: httpx2.Response) -> AsyncGenerator[ModelEvent]:
        """The events of a response. Its connection may break off once the answer is over:
        servers that end it so are many."""
        decoder = Decoder(self._connection.reasoning, self._connection.secrets)
        broken: httpx2.TransportError | None = None
        given = False
        async with aclosing(response.aiter_bytes()) as pieces:
            while not decoder.done:
                try:
                    piece = await _next(pieces, AFTERWARDS_SECONDS if decoder.stopped else None)
                except httpx2.TransportError as error:
                    broken = error
                    break
                if piece is None:
                    break
                for event in decoder.feed(piece):
                    given = True
                    yield event
                decoder.check()
            if broken is not None and not decoder.stopped:
                for event in decoder.flush():
                    given = True
                    yield event
                if not given or isinstance(broken, httpx2.TimeoutException):
                    raise broken
            for event in decoder.finish(cut=broken is not None, strict=self._connection.strict):
                yield event
            decoder.check()
            if decoder.done:
                await _drain(pieces)


class _WireRequest:
    """A request as it is sent; it may be changed when a server cannot take it."""

    def __init__(self, connection: ModelConnection, call: ModelCall) -> None:
        self._body = request_body(connection.base, call, connection.dialect)
        self.headers = to_wire(
            {
                "content-type": "application/json",
                "accept": "text/event-stream, application/json",
                "accept-encoding": "identity",
                **_lower(fill(connection.headers, connection.principal, call.headers_context)),
            }
        )
        self.content = self._encoded()

    def _encoded(self) -> bytes:
        return orjson.dumps(self._body, default=_plain)

    def without_options(self, status: int, refusal: bytes) -> bool:
        """Leave out ``stream_options`` where a refusal names them; some servers know none."""
        refused = status in (400, 422) and b"stream_options" in refusal
        if not refused or "stream_options" not in self._body:
            return False
        del self._body["stream_options"]
        self.content = self._encoded()
        return True

    def in_one_piece(self) -> bool:
        """Ask for an unstreamed answer; false when that was asked for already."""
        if self._body.get("stream") is not True:
            return False
        self._body["stream"] = False
        self._body.pop("stream_options", None)
        self.content = self._encoded()
        return True


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


async def _next(pieces: AsyncIterator[bytes], seconds: float | None) -> bytes | None:
    """The next piece; ``None`` at the end, and when it does not come in time."""
    try:
        if seconds is None:
            return await anext(pieces)
        async with asyncio.timeout(seconds) as clock:
            return await anext(pieces)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        if seconds is None or not clock.expired():
            raise
        return None


async def _read(response: httpx2.Response) -> bytes:
    """The start of an error body; a provider that hangs on it must not hang the turn."""
    found = bytearray()
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(5), aclosing(response.aiter_bytes()) as pieces:
            async for piece in pieces:
                found += piece
                if len(found) >= _LONGEST_ERROR:
                    break
    return bytes(found[:_LONGEST_ERROR])


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read the few bytes after the end mark, so that the connection can be used again."""
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(_TAIL_SECONDS):
            async for _ in pieces:
                pass


def _retry_after(headers: httpx2.Headers) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if seconds >= 0:
            return seconds
    return None
