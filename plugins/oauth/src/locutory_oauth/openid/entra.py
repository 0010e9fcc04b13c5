"""Microsoft Graph: groups of a person, by tokens exchanged on the person's behalf."""

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import structlog

from locutory import Cache
from locutory_oauth.identity import Refused
from locutory_oauth.openid.client import OpenIdClient
from locutory_oauth.outbound import Outbound, Unreachable

GRAPH = "https://graph.microsoft.com"
_OVERAGE_SCOPE = "https://graph.microsoft.com/User.Read"
_EXCHANGED = "oauth:exchanged"
_MOST_PAGES = 50


class Graph:
    """Asks the directory.

    Args:
        scopes: for reading membership in groups.
        owners: owned groups count too.
        address: where Graph is.
    """

    def __init__(
        self,
        client: OpenIdClient,
        outbound: Outbound,
        cache: Cache,
        scopes: str,
        owners: bool,
        log: structlog.stdlib.BoundLogger,
        address: str = GRAPH,
    ) -> None:
        self._client = client
        self._outbound = outbound
        self._cache = cache
        self._scopes = " ".join(scopes.replace(",", " ").split())
        self._owners = owners
        self._log = log
        self._root = f"{address}/v1.0"

    async def exchanged(self, access_token: str, scope: str) -> str:
        """A token of another scope, remembered while it is good."""
        key = hashlib.sha256(f"{scope}\0{access_token}".encode()).hexdigest()
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
            token = await self.exchanged(access_token, self._scopes)
            found = await self._ids(token, "/me/getMemberGroups", {"securityEnabledOnly": False})
            if self._owners:
                path = "/me/ownedObjects/microsoft.graph.group?$select=id"
                found += await self._ids(token, path, None)
        except (Refused, Unreachable) as failure:
            self._log.warning("openid.memberships_unknown", reason=str(failure))
            return None
        return list(dict.fromkeys(found))

    async def _ids(self, token: str, path: str, body: Any) -> list[str]:
        found: list[str] = []
        url: str | None = self._root + path
        for _ in range(_MOST_PAGES):
            if url is None:
                return found
            page = await self._outbound.object(
                url,
                method="GET" if body is None else "POST",
                headers={"authorization": f"Bearer {token}"},
                body=body,
            )
            values = page.get("value")
            if not isinstance(values, list):
                raise Unreachable("Graph does not answer with a list")
            for value in values:
                name = value.get("id") if isinstance(value, dict) else value
                if isinstance(name, str):
                    found.append(name)
            url = self._next(page.get("@odata.nextLink"))
        raise Unreachable("Graph has more pages than anybody has groups")

    def _next(self, link: Any) -> str | None:
        """The next page, which must be where the token may go."""
        if not isinstance(link, str) or not link:
            return None
        here, there = urlsplit(self._root), urlsplit(link)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise Unreachable("Graph's next page is elsewhere")
        return link
