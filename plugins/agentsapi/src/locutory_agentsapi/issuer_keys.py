"""The public keys of the OpenID issuer whose access tokens are accepted (agents-api §1)."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from locutory_agentsapi.config import WELL_KNOWN, acceptable
from locutory_http import Outgoing

_SECONDS = 10.0
_LARGEST = 1024 * 1024
_UNKNOWN_KEY_SECONDS = 10.0
"""Anybody can name a key that does not exist: it is not looked for more often than this."""


class NoKeys(Exception):
    """The issuer's keys cannot be had."""


class IssuerKeys:
    """Fetches and caches an issuer's keys.

    Args:
        issuer: without a slash at its end.
        address: of the keys; ``None``: as in the issuer's discovery document.
        seconds: for which keys are cached; 0 fetches them every time.
    """

    def __init__(
        self,
        issuer: str,
        address: str | None,
        seconds: float,
        outgoing: Outgoing,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._issuer = issuer
        self._address = address
        self._seconds = seconds
        self._outgoing = outgoing
        self._log = log
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._asked = -_UNKNOWN_KEY_SECONDS

    async def of(self, key_id: str | None) -> KeySet:
        """The keys that a token may be signed with: the one it names, or the only one.
        `NoKeys` when there is none such."""
        async with self._lock:
            age = time.monotonic() - self._asked
            found = _chosen(self._keys, key_id)
            if found is not None and age < self._seconds:
                return found
            if found is not None or age >= _UNKNOWN_KEY_SECONDS:
                self._asked = time.monotonic()
                try:
                    self._keys = await self._fetch()
                except NoKeys as failure:
                    # Programs need not feel that the issuer is down for a moment.
                    self._log.warning("remote_api.no_keys", reason=str(failure))
                found = _chosen(self._keys, key_id)
        if found is None:
            raise NoKeys(f"no key {key_id!r}")
        return found

    async def _fetch(self) -> KeySet:
        address = self._address
        if address is None:
            document = await self._object(self._issuer + WELL_KNOWN)
            named = document.get("issuer")
            if not isinstance(named, str) or named.rstrip("/") != self._issuer:
                raise NoKeys("the discovery document names another issuer")
            address = document.get("jwks_uri")
            if not isinstance(address, str) or not acceptable(address):
                raise NoKeys("the discovery document has no usable jwks_uri")
        keys = (await self._object(address)).get("keys")
        if not isinstance(keys, list):
            raise NoKeys("there are no keys at that address")
        # Never a secret that both sides know, nor a key for something else.
        good = [
            key
            for key in keys
            if isinstance(key, dict) and key.get("kty") != "oct" and key.get("use", "sig") == "sig"
        ]
        try:
            return KeySet.import_key_set({"keys": good})
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NoKeys(f"the keys are unreadable: {error}") from error

    async def _object(self, url: str) -> Mapping[str, Any]:
        headers = {"accept": "application/json"}
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._outgoing.client(_SECONDS, most=_LARGEST) as client,
            ):
                response = await client.get(url, headers=headers)
            if response.status_code != 200:
                raise NoKeys(f"{url} answers with status {response.status_code}")
            found = orjson.loads(response.content)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise NoKeys(f"{url}: {type(error).__name__}: {error}".rstrip(": ")) from error
        except orjson.JSONDecodeError:
            raise NoKeys(f"{url} does not answer with JSON") from None
        if not isinstance(found, dict):
            raise NoKeys(f"{url} does not answer with an object")
        return found


def _chosen(keys: KeySet | None, key_id: str | None) -> KeySet | None:
    """The key of that name as a set of its own; without a name the only key there is."""
    if keys is None:
        return None
    fitting = [key for key in keys if key_id is None or key.kid == key_id]
    return KeySet(fitting) if len(fitting) == 1 else None
