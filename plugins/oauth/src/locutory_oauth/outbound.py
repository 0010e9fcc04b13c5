"""Requests to providers: bounded in time and size, through ``PROXY`` when there is one."""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import httpx2
    import structlog.stdlib

SECONDS = 10.0
LARGEST = 1024 * 1024
"""Bytes of an answer at most."""


class Unreachable(Exception):
    """A provider does not answer, or not as it should. ``status``: what it answered with;
    ``wait``: the seconds that it asks to be left alone for."""

    def __init__(self, text: str, *, status: int | None = None, wait: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.wait = wait


class Outbound:
    """Makes HTTP clients, and fetches JSON. Addresses are the operator's, or a provider's
    that the operator trusts; the environment's proxies are not used, only ``proxy``."""

    def __init__(self, proxy: str | None, debug: bool, log: "structlog.stdlib.BoundLogger") -> None:
        self._proxy = proxy
        self._debug = debug
        self._log = log
        self._tls: ssl.SSLContext | None = None

    def options(self) -> dict[str, Any]:
        """Arguments of a client of httpx2."""
        if self._tls is None:  # costs more than the rest of a client
            self._tls = ssl.create_default_context()
        return {
            "timeout": SECONDS,
            "trust_env": False,
            "proxy": self._proxy,
            "verify": self._tls,
            "follow_redirects": False,
            "headers": {"user-agent": "Locutory", "accept": "application/json"},
            "event_hooks": {"response": [self._note]},
        }

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
        import httpx2

        content = None if body is None else orjson.dumps(body)
        given = {"content-type": "application/json"} if content else {}
        try:
            async with (
                httpx2.AsyncClient(**self.options()) as client,
                client.stream(
                    method,
                    url,
                    headers={**given, **(headers or {})},
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
                received = bytearray()
                async for piece in response.aiter_bytes():
                    received += piece
                    if len(received) > LARGEST:
                        raise Unreachable(f"{_place(url)} answers with too much")
                return orjson.loads(received)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(f"{_place(url)}: {type(error).__name__}") from error
        except orjson.JSONDecodeError:
            raise Unreachable(f"{_place(url)} does not answer with JSON") from None

    async def object(self, url: str, **options: Any) -> dict[str, Any]:
        """As `json`, for an answer that must be an object."""
        found = await self.json(url, **options)
        if not isinstance(found, dict):
            raise Unreachable(f"{_place(url)} does not answer with an object")
        return found


def _place(url: str) -> str:
    return url.partition("?")[0]


def _seconds(text: str) -> float:
    """``Retry-After`` in its form of seconds; 0 for anything else."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0
