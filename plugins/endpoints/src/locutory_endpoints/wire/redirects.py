"""Requests whose server sends them on to another address.

Gateways move (``http`` to ``https``, one host to another) and answer 307 or 308: the request
is then to be repeated there, body and all. Where it leads is the foreign server's word, so
that whoever asks chooses the client for it, and credentials stay with the host that they are
for.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import httpx2

MAX_REDIRECTS = 5
"""Redirects that are followed in a row."""

Headers = Sequence[tuple[bytes, bytes]]
RedirectClient = Callable[[str], Awaitable[httpx2.AsyncClient]]
"""The client for an address that a server named; `httpx2.ConnectError` refuses it."""

_KEEPS_METHOD = (307, 308)
_OF_A_GET = (301, 302, 303, *_KEEPS_METHOD)
_FOR_ANYBODY = frozenset((b"content-type", b"accept", b"accept-encoding", b"user-agent"))


def same_host(url: str, other: str) -> bool:
    """``True`` for the same server, including a host that moves from plain http to https."""
    a, b = httpx2.URL(url), httpx2.URL(other)
    if a.host != b.host:
        return False
    if a.scheme == b.scheme:
        return _port(a) == _port(b)
    return (a.scheme, _port(a), b.scheme, _port(b)) == ("http", 80, "https", 443)


def _port(url: httpx2.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _target(method: str, url: str, response: httpx2.Response) -> str | None:
    """The target of a redirect; ``None`` when the response is not one that may be followed."""
    statuses = _OF_A_GET if method == "GET" else _KEEPS_METHOD
    if response.status_code not in statuses or not response.headers.get("location"):
        return None
    try:
        target = httpx2.URL(url).join(response.headers["location"])
    except (httpx2.InvalidURL, ValueError):
        return None
    if target.scheme not in ("http", "https") or not target.host or target.userinfo:
        return None
    return str(target)


@asynccontextmanager
async def send(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    headers: Headers,
    redirect_client: RedirectClient | None,
    *,
    content: bytes | None = None,
    params: dict[str, str] | None = None,
) -> AsyncIterator[httpx2.Response]:
    """The response to a request, unread, after the redirects on the way. Without
    ``redirect_client`` none is followed."""
    for hop in range(MAX_REDIRECTS + 1):
        async with client.stream(
            method, url, content=content, headers=list(headers), params=params
        ) as response:
            target = _target(method, url, response) if redirect_client is not None else None
            if target is None or redirect_client is None or hop == MAX_REDIRECTS:
                yield response
                return
        if not same_host(url, target):
            headers = [pair for pair in headers if pair[0].lower() in _FOR_ANYBODY]
        client, url, params = await redirect_client(target), target, None
