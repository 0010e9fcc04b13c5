"""Asking providers for their models (models §2)."""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import orjson
import structlog

from locutory_endpoints.wire.headers import to_wire
from locutory_endpoints.wire.redirects import RedirectClient, send
from locutory_http import CertificateNotTrusted

FRESH_SECONDS = 120.0
"""The seconds for which a list is used without fetching it again."""

STALE_SECONDS = 600.0
"""The seconds for which an older list is still used while a new one is fetched in the
background."""

FAILED_SECONDS = 30.0
"""The seconds for which a provider that gave no list is not asked, so that callers do not wait
again."""

_REMEMBERED = 1000
LARGEST = 8 * 1024 * 1024
"""Bytes of a model list."""

_OFFICIAL_KEEP = re.compile(r"text-davinci-003|gpt-|o\d+|chat-latest")
_OFFICIAL_DROP = re.compile(r"audio|realtime")

log = structlog.get_logger("locutory.endpoints")

TokenConfig = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Model names in the provider's order, and their windows and prices if the provider gave
    them."""

    models: tuple[str, ...] = ()
    token_config: TokenConfig = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a model list. ``owner`` is set when the answer belongs to one user."""

    name: str
    base: str
    client: httpx2.AsyncClient = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    owner: str = ""
    query: str = ""
    ollama: bool = False
    official: bool = False
    redirect_client: RedirectClient | None = field(default=None, repr=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compute the cache key, from which credentials cannot be recovered. A list that was
        fetched with one user's credentials is never used for another."""
        kind = (self.query, self.ollama, self.official)
        secret = repr((self.base, sorted(self.headers.items()), self.owner, kind))
        object.__setattr__(self, "key", hashlib.sha256(secret.encode()).hexdigest()[:32])


@dataclass(slots=True)
class _CacheEntry:
    listing: Listing
    moment: float
    again: float


class ModelLists:
    """Model lists of providers, with one request at a time for each list.

    A failure is logged and gives an empty list, so that the caller falls back.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._cache: dict[str, _CacheEntry] = {}
        self._asking: dict[str, asyncio.Task[Listing]] = {}

    def fresh(self, request: ListRequest) -> Listing | None:
        """The list when it needs no asking: known and young, or failed a moment ago."""
        cached = self._cache.get(request.key)
        return cached.listing if cached is not None and self._clock() < cached.again else None

    async def ask(self, request: ListRequest) -> Listing:
        """The list; from memory when it is young enough."""
        found = self.fresh(request)
        if found is not None:
            return found
        key = request.key
        cached = self._cache.get(key)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._fetch(request, key))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        if self._usable(cached):
            return cast(_CacheEntry, cached).listing
        return await asyncio.shield(task)

    def _usable(self, cached: _CacheEntry | None) -> bool:
        """``True`` for a list that may still be used, however old."""
        return (
            cached is not None
            and bool(cached.listing.models)
            and self._clock() - cached.moment < STALE_SECONDS
        )

    def forget(self) -> None:
        """Ask again next time, after a change of the configuration."""
        self._cache.clear()

    async def close(self) -> None:
        """Abandon the running requests."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, request: ListRequest, key: str) -> Listing:
        now = self._clock()
        try:
            async with asyncio.timeout(self._seconds):
                listing = await _answer(request)
            made = _CacheEntry(
                listing, now, now + (FRESH_SECONDS if listing.models else FAILED_SECONDS)
            )
        except Exception as error:  # an outage of a provider is no fault of ours
            log.warning("models.not_listed", endpoint=request.name, reason=_reason(error))
            before = self._cache.get(key)
            made = _CacheEntry(Listing(), now, now)
            if before is not None and self._usable(before):
                made = before
            made.again = self._clock() + FAILED_SECONDS
        self._cache.pop(key, None)
        while len(self._cache) >= _REMEMBERED:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = made
        return made.listing


def _reason(error: Exception) -> str:
    """The reason of a failure, without the address (it may hold credentials)."""
    if isinstance(error, _Unexpected | CertificateNotTrusted | httpx2.ProxyError):
        return str(error)
    return type(error).__name__


class _Unexpected(ValueError):
    """A provider's response that is not a model list."""


async def _answer(request: ListRequest) -> Listing:
    if request.ollama:
        root = urlsplit(request.base)
        try:
            tags = await _get(request, f"{root.scheme}://{root.netloc}/api/tags")
            return Listing(tuple(_names(tags.get("models"), "name")))
        except (httpx2.HTTPError, ValueError):
            pass
    body = await _get(request, f"{request.base}/models{request.query}")
    data = body.get("data")
    names = _names(data, "id")
    if request.official:
        names = [
            name
            for name in names
            if _OFFICIAL_KEEP.search(name) and not _OFFICIAL_DROP.search(name)
        ]
        names.sort(key=lambda name: "instruct" in name)
    return Listing(tuple(dict.fromkeys(names)), _token_config(data))


async def start(response: httpx2.Response, limit: int) -> bytes:
    """The body, or its first ``limit`` bytes when it is longer."""
    found = bytearray()
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            found += piece
            if len(found) >= limit:
                break
    return bytes(found[:limit])


async def _get(request: ListRequest, url: str) -> Mapping[str, Any]:
    headers = {"accept": "application/json", "accept-encoding": "identity", **request.headers}
    pairs = to_wire(headers)
    async with send(request.client, "GET", url, pairs, request.redirect_client) as response:
        if response.status_code != 200:
            raise _Unexpected(f"status {response.status_code}")
        answer = await start(response, LARGEST + 1)
    if len(answer) > LARGEST:
        raise _Unexpected("the list is too long")
    body = orjson.loads(answer)
    if isinstance(body, list):  # together.ai
        return {"data": body}
    if not isinstance(body, dict):
        raise _Unexpected("the answer is no model list")
    return body


def _names(items: Any, member: str) -> list[str]:
    if not isinstance(items, list):
        raise _Unexpected("the answer is no model list")
    found = [item.get(member) for item in items if isinstance(item, dict)]
    return [name for name in found if isinstance(name, str) and name]


def _token_config(items: Any) -> TokenConfig:
    """Windows and prices of an OpenRouter-like list; empty unless every item has both."""
    found: dict[str, dict[str, float]] = {}
    for item in items:
        try:
            pricing = item["pricing"]
            rates = {
                "prompt": float(pricing["prompt"]) * 1e6,
                "completion": float(pricing["completion"]) * 1e6,
                "context": int(item["context_length"]),
            }
            for member, name in (
                ("input_cache_read", "cacheRead"),
                ("input_cache_write", "cacheWrite"),
            ):
                if pricing.get(member):
                    rates[name] = float(pricing[member]) * 1e6
            found[str(item["id"])] = {
                name: round(value, 6) if name != "context" else value
                for name, value in rates.items()
            }
        except (KeyError, TypeError, ValueError):
            return {}
    return found
