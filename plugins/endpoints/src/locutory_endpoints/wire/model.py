"""A line to one OpenAI-compatible model."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson

from locutory import Principal
from locutory_contracts.models import ModelCall, ModelEvent, ModelFailure
from locutory_endpoints.wire import failures
from locutory_endpoints.wire.body import Dialect, request_body
from locutory_endpoints.wire.headers import fill, to_wire
from locutory_endpoints.wire.stream import Decoder

_LONGEST_ERROR = 64 * 1024
_LONGEST_WAIT = 60.0
_TAIL_SECONDS = 0.25
_FINAL_CODES = frozenset(("insufficient_quota", "billing_hard_limit_reached"))


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how soon a failed call is tried again, before its first event."""

    times: int = 3
    seconds: float = 0.5
    longest: float = 8.0

    def wait(self, attempt: int, retry_after: float | None) -> float | None:
        """Seconds before try ``attempt`` + 1; ``None`` gives up. What the provider asks for
        goes first, unless it is longer than a person waits."""
        if attempt >= self.times:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= _LONGEST_WAIT else None
        backoff = min(self.longest, self.seconds * 2.0**attempt)
        return backoff * (0.75 + random.random() / 4)  # noqa: S311  (jitter)


@dataclass(frozen=True, slots=True)
class Line:
    """Where and how a model is reached. ``headers`` may hold placeholders of the caller;
    ``secrets`` are kept out of everything a user sees."""

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


class CompletionsModel:
    """`locutory_contracts.models.ChatModel` over chat completions."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        """The answer as it is made; closing the iterator closes the provider's connection.

        Raises `ModelFailure`. Busy or unreachable providers are tried again, but only as
        long as nothing of the answer has come.
        """
        line = self._line
        body = request_body(line.base, call, line.dialect)
        headers = to_wire(
            {
                "content-type": "application/json",
                "accept": "text/event-stream, application/json",
                "accept-encoding": "identity",
                "user-agent": "locutory",
                **_lower(fill(line.headers, line.principal, call.headers_context)),
            }
        )
        content = orjson.dumps(body, default=_plain)
        attempt = 0
        while True:
            started = False
            try:
                async with line.client.stream(
                    "POST", line.url, content=content, headers=headers, params=line.query or None
                ) as response:
                    if response.status_code != 200:
                        refusal = await _read(response)
                        if _stream_options_refused(response.status_code, refusal, body):
                            body.pop("stream_options")
                            content = orjson.dumps(body, default=_plain)
                            continue
                        failure = failures.of_status(response.status_code, refusal, line.secrets)
                        if failures.code_of(refusal) in _FINAL_CODES:
                            failure.retryable = False
                        pause = failure.retry_after = _retry_after(response.headers)
                    else:
                        decoder = Decoder(line.reasoning, line.secrets)
                        pieces = response.aiter_bytes()
                        try:
                            async for piece in pieces:
                                for event in decoder.feed(piece):
                                    started = True
                                    yield event
                                if decoder.done:
                                    break
                        except httpx2.RemoteProtocolError:
                            if not started:
                                raise
                            # Servers that end a finished answer by dropping the connection
                            # are many; `finish` tells whether it was finished.
                            for event in decoder.finish(cut=True):
                                yield event
                            return
                        for event in decoder.finish():
                            yield event
                        if decoder.done:
                            await _drain(pieces)
                        return
            except httpx2.TransportError as error:
                failure = failures.of_transport(error, started=started)
                pause = None
            except (httpx2.InvalidURL, httpx2.HTTPError, UnicodeError) as error:
                raise ModelFailure(failures.UNREACHABLE) from error
            if started or not failure.retryable:
                raise failure
            wait = line.retries.wait(attempt, pause)
            if wait is None:
                raise failure
            attempt += 1
            await asyncio.sleep(wait)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


async def _read(response: httpx2.Response) -> bytes:
    """The start of an error body; a provider that hangs on it must not hang the turn."""
    parts: list[bytes] = []
    size = 0
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(5):
            async for piece in response.aiter_bytes():
                parts.append(piece)
                size += len(piece)
                if size >= _LONGEST_ERROR:
                    break
    return b"".join(parts)[:_LONGEST_ERROR]


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read the few bytes after the end mark, so that the connection can be used again."""
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(_TAIL_SECONDS):
            async for _ in pieces:
                pass


def _stream_options_refused(status: int, refusal: bytes, body: Mapping[str, Any]) -> bool:
    """Some servers know no ``stream_options``: they are asked again without."""
    return status in (400, 422) and "stream_options" in body and b"stream_options" in refusal


def _retry_after(headers: httpx2.Headers) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if seconds >= 0:
            return seconds
    return None
