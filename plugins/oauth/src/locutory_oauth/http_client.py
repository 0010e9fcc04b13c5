"""Requests to providers: bounded in time and size."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from locutory_http import Outgoing

if TYPE_CHECKING:
    import httpx2
    import structlog.stdlib

SECONDS = 10.0
LARGEST = 1024 * 1024
"""The maximum bytes of a response."""

_ACCEPT = {"accept": "application/json"}


class Unreachable(Exception):
    """A provider does not answer, or not as it should. ``status``: the status of its response;
    ``wait``: the seconds for which it asks not to be called again."""

    def __init__(self, text: str, *, status: int | None = None, wait: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.wait = wait


class HttpClient:
    """Makes HTTP clients, and fetches JSON. Addresses are the operator's, or a provider's
    that the operator trusts."""

    def __init__(
        self, outgoing: Outgoing, debug: bool, log: "structlog.stdlib.BoundLogger"
    ) -> None:
        self._outgoing = outgoing
        self._debug = debug
        self._log = log

    def options(self) -> dict[str, Any]:
        """Arguments of a client of Authlib."""
        options = self._outgoing.options(SECONDS, most=LARGEST)
        options["headers"] |= _ACCEPT
        return {**options, "event_hooks": {"response": [self._note]}}

    def client(self) -> "httpx2.AsyncClient":
        """A client for one request or several."""
        return self._outgoing.client(
            SECONDS, most=LARGEST, headers=_ACCEPT, event_hooks={"response": [self._note]}
        )

    async def _note(self, response: "httpx2.Response") -> None:
        if self._debug:  # no query, headers or body: they hold codes and tokens
            url = response.request.url.copy_with(query=None, username=None, password=None)
            self._log.info(
                "oauth.request",
                method=response.request.method,
                url=str(url),
                status=response.status_code,
            )

    async def json(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """The JSON that an address answers with status 200; `Unreachable` otherwise."""
        content = None if body is None else orjson.dumps(body)
        content_type = {"content-type": "application/json"} if content else {}
        try:
            async with (
                reachable(_place(url)),
                self.client() as client,
                client.stream(
                    method,
                    url,
                    headers={**content_type, **(headers or {})},
                    params=params,
                    content=content,
                ) as response,
            ):
                if response.status_code != 200:
                    raise Unreachable(
                        f"{_place(url)} answers with status {response.status_code}",
                        status=response.status_code,
                        wait=_seconds(response.headers.get("retry-after", "")),
                    )
                return orjson.loads(await response.aread())
        except orjson.JSONDecodeError:
            raise Unreachable(f"{_place(url)} does not answer with JSON") from None

    async def object(self, url: str, **options: Any) -> dict[str, Any]:
        """The result of `json` for a response that must be an object."""
        found = await self.json(url, **options)
        if not isinstance(found, dict):
            raise Unreachable(f"{_place(url)} does not answer with an object")
        return found

    async def answer(self, url: str, label: str, headers: Mapping[str, str]) -> "httpx2.Response":
        """The answer to a GET, whatever its status and form; `Unreachable`, which names
        ``label``, when there is none."""
        async with reachable(label), self.client() as client:
            return await client.get(url, headers=headers)


@asynccontextmanager
async def reachable(label: str) -> AsyncIterator[None]:
    """Requests that are answered in time; else `Unreachable`, which names ``label``."""
    import httpx2

    try:
        async with asyncio.timeout(SECONDS):
            yield
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        raise Unreachable(f"{label}: {reason_of(error)}") from error


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a body; ``None`` when it holds anything else."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def reason_of(error: Exception) -> str:
    """The reason for a missing response, in a few words for the log."""
    response = getattr(error, "response", None)
    status = f" {response.status_code}" if response is not None else ""
    kind = type(error).__name__
    text = "" if status else str(error)
    return f"{kind}{status}: {text}" if text else f"{kind}{status}"


def _place(url: str) -> str:
    return url.partition("?")[0]


def _seconds(text: str) -> float:
    """``Retry-After`` in its form of seconds; 0 for anything else."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0
