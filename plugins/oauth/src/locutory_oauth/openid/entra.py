"""Microsoft Graph, called with tokens exchanged on a user's behalf: the groups of that user, and
the data for the directory of people and groups."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog

from locutory import Cache
from locutory_oauth.http_client import HttpClient, Unreachable
from locutory_oauth.identity import Refused
from locutory_oauth.openid.client import OpenIdClient

GRAPH = "https://graph.microsoft.com"
_OVERAGE_SCOPE = "https://graph.microsoft.com/User.Read"
_EXCHANGED = "oauth:exchanged"
_MOST_PAGES = 50


class Graph:
    """Asks the directory.

    Args:
        scopes: for reading groups and people, by their names at Graph.
        owners: owned groups count too.
        address: where Graph is.
    """

    def __init__(
        self,
        client: OpenIdClient,
        http: HttpClient,
        cache: Cache,
        scopes: str,
        owners: bool,
        log: structlog.stdlib.BoundLogger,
        address: str = GRAPH,
    ) -> None:
        self._client = client
        self._http = http
        self._cache = cache
        self.scopes = scopes.replace(",", " ").split()
        self._owners = owners
        self._log = log
        self._root = f"{address}/v1.0"
        self._exchanging: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def owners(self) -> bool:
        """``True`` when the owners of a group count as its members."""
        return self._owners

    async def token(self, access_token: str) -> str:
        """The token for the configured scopes."""
        return await self.exchanged(access_token, self._own_scope)

    @property
    def _own_scope(self) -> str:
        return " ".join(name if "://" in name else f"{GRAPH}/{name}" for name in self.scopes)

    async def forget(self, access_token: str) -> None:
        """Drop the token exchanged for ``access_token``, since Graph did not accept it."""
        await self._cache.delete(_EXCHANGED, _key(self._own_scope, access_token))

    async def exchanged(self, access_token: str, scope: str) -> str:
        """A token of another scope, remembered while it is good."""
        key = _key(scope, access_token)
        async with self._exchanging.setdefault(key, asyncio.Lock()):  # once for many requests
            known = await self._cache.get(_EXCHANGED, key)
            if isinstance(known, str):
                return known
            token, seconds = await self._client.on_behalf(access_token, scope)
            await self._cache.set(_EXCHANGED, key, token, max(1.0, seconds - 60))
            return token

    async def overage(self, access_token: str) -> Sequence[str] | None:
        """Ids of all groups of the person; ``None`` when they cannot be had."""
        try:
            token = await self.exchanged(access_token, _OVERAGE_SCOPE)
            return await self._ids(token, "/me/getMemberObjects", {"securityEnabledOnly": False})
        except (Refused, Unreachable) as failure:
            self._log.warning("openid.groups_unknown", reason=str(failure))
            return None

    async def memberships(self, access_token: str) -> Sequence[str] | None:
        """Ids of the groups that the person is a member (or owner) of; ``None`` when they
        cannot be had."""
        try:
            token = await self.token(access_token)
            found = await self._ids(token, "/me/getMemberGroups", {"securityEnabledOnly": False})
            if self._owners:
                path = "/me/ownedObjects/microsoft.graph.group?$select=id"
                found += await self._ids(token, path, None)
        except (Refused, Unreachable) as failure:
            self._log.warning("openid.memberships_unknown", reason=str(failure))
            return None
        return list(dict.fromkeys(found))

    async def _ids(self, token: str, path: str, body: Any) -> list[str]:
        values = await self.values(token, path, body=body)
        names = [value.get("id") if isinstance(value, dict) else value for value in values]
        return [name for name in names if isinstance(name, str)]

    async def one(self, token: str, path: str) -> Mapping[str, Any]:
        """An object by its path, which begins with a slash; `Unreachable` otherwise."""
        return await self._http.object(self._root + path, headers=_headers(token))

    async def values(
        self, token: str, path: str, *, body: Any = None, pages: int = _MOST_PAGES
    ) -> list[Any]:
        """The members of a list, page after page; with ``pages`` 1 those of the first.
        `Unreachable` when there are more pages than that, or no list."""
        found: list[Any] = []
        url: str | None = self._root + path
        for _ in range(pages):
            if url is None:
                return found
            page = await self._http.object(
                url,
                method="GET" if body is None else "POST",
                headers=_headers(token),
                body=body,
            )
            values = page.get("value")
            if not isinstance(values, list):
                raise Unreachable("Graph does not answer with a list")
            found += values
            if pages == 1:
                return found
            url = self._next(page.get("@odata.nextLink"))
        raise Unreachable("Graph has more pages than a directory should")

    def _next(self, link: Any) -> str | None:
        """The next page, which must be where the token may go."""
        if not isinstance(link, str) or not link:
            return None
        here, there = urlsplit(self._root), urlsplit(link)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise Unreachable("Graph's next page is elsewhere")
        return link


def _key(scope: str, access_token: str) -> str:
    return hashlib.sha256(f"{scope}\0{access_token}".encode()).hexdigest()


def _headers(token: str) -> dict[str, str]:
    # Searches, and counts across a directory, are answered only so.
    return {"authorization": f"Bearer {token}", "consistencylevel": "eventual"}
