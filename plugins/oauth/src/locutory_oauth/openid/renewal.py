"""Renewing tokens: a provider's refresh token is turned once, however many tabs ask."""

import asyncio
import hashlib
import time
from dataclasses import asdict, replace

from locutory import Cache
from locutory_oauth.http_client import Unreachable
from locutory_oauth.identity import Refused, TokenSet
from locutory_oauth.openid.client import OpenIdClient

_TURNS = "oauth:turned"
_GRACE_SECONDS = 30.0
_TURN_SECONDS = 15.0
_FAILED_SECONDS = 5.0
_POLL_SECONDS = 0.05


class Renewal:
    """Asks the provider. Those who ask with the same refresh token get the same successor for
    30 seconds.

    Args:
        audience: of refresh requests, if any.
    """

    def __init__(self, client: OpenIdClient, cache: Cache, audience: str | None) -> None:
        self._client = client
        self._cache = cache
        self._audience = audience

    async def renewed(self, token: str) -> TokenSet:
        """New tokens for a refresh token, with the one that is good from now on; `Refused` or
        `Unreachable`."""
        key = hashlib.sha256(token.encode()).hexdigest()
        deadline = time.monotonic() + _TURN_SECONDS
        while not await self._cache.add(_TURNS, key, {"state": "turning"}, _TURN_SECONDS):
            found = await self._cache.get(_TURNS, key)
            if found is not None and found["state"] == "turned":
                return TokenSet(**found["tokens"])
            if found is not None and found["state"] == "failed":
                raise Refused("grant", "the provider refused a moment ago")
            if time.monotonic() > deadline:
                raise Unreachable("the provider takes too long")
            await asyncio.sleep(_POLL_SECONDS)
        try:
            fresh = await self._client.refresh(token, self._audience)
        except BaseException as failure:
            if isinstance(failure, Refused):
                await self._cache.set(_TURNS, key, {"state": "failed"}, _FAILED_SECONDS)
            else:
                await self._cache.delete(_TURNS, key)
            raise
        tokens = replace(fresh, refresh=fresh.refresh or token)
        value = {"state": "turned", "tokens": asdict(tokens)}
        await self._cache.set(_TURNS, key, value, _GRACE_SECONDS)
        return tokens
