"""The metadata that an OpenID provider publishes about itself, and its keys."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from locutory_oauth.http_client import HttpClient, Unreachable
from locutory_oauth.identity import Refused

WELL_KNOWN = "/.well-known/openid-configuration"
TENANT = "{tenantid}"
"""Represents the id of the person's directory in the issuer of Entra's common endpoints."""

_RETRY_SECONDS = 10.0
_LIFE_SECONDS = 24 * 3600.0
_NEW_KEY_SECONDS = 10.0
_DIRECTORY = re.compile(r"[0-9A-Za-z-]{1,64}")


def normal_issuer(issuer: str) -> str:
    """An issuer as it is compared and stored: without slashes at the end and without the path
    of the discovery document (contract oauth §5.2, trap 6)."""
    trimmed = issuer.strip().rstrip("/")
    return trimmed.removesuffix(WELL_KNOWN).rstrip("/")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The members of a discovery document that are used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    revocation_endpoint: str | None
    auth_methods: tuple[str, ...]
    algorithms: tuple[str, ...]
    userinfo_algorithms: tuple[str, ...]
    offline_needs_consent: bool
    pkce: bool
    names_itself: bool

    def expected_issuer(self, claims: Mapping[str, Any]) -> str:
        """The issuer that tokens with these claims must name."""
        if TENANT not in self.issuer:
            return self.issuer
        directory = claims.get("tid")
        if not isinstance(directory, str) or not _DIRECTORY.fullmatch(directory):
            raise Refused("issuer", "the token does not name its directory")
        return self.issuer.replace(TENANT, directory)


def read_metadata(configured: str, document: Mapping[str, Any]) -> Metadata:
    """A discovery document, checked; `Unreachable` when it is not the configured issuer's.

    ``configured`` may be the address of the document itself: then the issuer has to be of the
    same origin, else it has to be exactly the configured one.
    """

    def address(name: str) -> str | None:
        value = document.get(name)
        if value is None:
            return None
        parts = urlsplit(value) if isinstance(value, str) else None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"the discovery document has no usable {name}")
        if parts.scheme == "http" and configured.lower().startswith("https"):
            raise Unreachable(f"{name} is not encrypted, although the issuer is")
        return str(value)

    def words(name: str) -> tuple[str, ...]:
        value = document.get(name)
        return tuple(map(str, value)) if isinstance(value, list) else ()

    issuer = address("issuer")
    needed = [address(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    authorization, token, keys = needed
    if not (issuer and authorization and token and keys):
        raise Unreachable("the discovery document is incomplete")
    if WELL_KNOWN in configured or TENANT in issuer:
        same = _origin(issuer) == _origin(configured)
    else:
        same = normal_issuer(issuer) == normal_issuer(configured)
    if not same:
        raise Unreachable("the discovery document names another issuer")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=authorization,
        token_endpoint=token,
        jwks_uri=keys,
        userinfo_endpoint=address("userinfo_endpoint"),
        end_session_endpoint=address("end_session_endpoint"),
        revocation_endpoint=address("revocation_endpoint"),
        auth_methods=words("token_endpoint_auth_methods_supported"),
        algorithms=words("id_token_signing_alg_values_supported"),
        userinfo_algorithms=words("userinfo_signing_alg_values_supported"),
        offline_needs_consent=_offline_needs_consent(issuer, document),
        pkce="S256" in words("code_challenge_methods_supported"),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _offline_needs_consent(issuer: str, document: Mapping[str, Any]) -> bool:
    """``True`` when ``offline_access`` is ignored without ``prompt=consent`` (OpenID Connect Core
    §11). Entra has other conditions, and would ask for a consent that only its administrators may
    give."""
    prompts = document.get("prompt_values_supported")
    offered = not isinstance(prompts, list) or "consent" in prompts
    return offered and TENANT not in issuer and "msgraph_host" not in document


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


class Discovery:
    """Metadata and keys of one issuer, fetched when needed and remembered.

    A provider that does not answer is asked again at the next sign-in, but not more than once
    in ten seconds.

    Args:
        key_seconds: how long keys are believed; 0 fetches them every time.
    """

    def __init__(
        self,
        issuer: str,
        http: HttpClient,
        key_seconds: float,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._issuer = issuer.strip()
        self._http = http
        self._key_seconds = key_seconds
        self._log = log
        self._lock = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._failure: Unreachable | None = None
        self._failure_until = 0.0
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    @property
    def issuer(self) -> str:
        """The configured issuer, as it is stored."""
        return normal_issuer(self._issuer)

    @property
    def known(self) -> Metadata | None:
        """The metadata that was read last."""
        return self._metadata

    async def metadata(self) -> Metadata:
        """The provider's metadata; `Unreachable` when it cannot be had."""
        if self._metadata is not None and time.monotonic() < self._metadata_until:
            return self._metadata
        async with self._lock:
            moment = time.monotonic()
            if self._metadata is not None and moment < self._metadata_until:
                return self._metadata
            if self._failure is not None and moment < self._failure_until:
                raise self._failure
            try:
                url = self._issuer
                if WELL_KNOWN not in url:
                    url = url.rstrip("/") + WELL_KNOWN
                found = read_metadata(self._issuer, await self._http.object(url))
            except Unreachable as failure:
                self._log.warning("openid.discovery_failed", reason=str(failure))
                if self._metadata is not None:  # old is better than nothing
                    self._metadata_until = moment + _RETRY_SECONDS
                    return self._metadata
                self._failure, self._failure_until = failure, moment + _RETRY_SECONDS
                raise
            self._metadata, self._metadata_until = found, moment + _LIFE_SECONDS
            self._failure = None
            return found

    async def keys(self, key_id: str | None = None) -> KeySet:
        """The provider's keys. They are fetched again for an unknown ``key_id``, since keys change;
        not more than once in ten seconds, since anybody can send an unknown id."""
        metadata = await self.metadata()
        async with self._lock:
            age = time.monotonic() - self._keys_at
            keys = self._keys
            if keys is not None and age < self._key_seconds:
                known = key_id is None or any(key.kid == key_id for key in keys)
                if known or age < _NEW_KEY_SECONDS:
                    return keys
            try:
                self._keys = await self._fetch_keys(metadata.jwks_uri)
            except Unreachable as failure:
                if keys is None:
                    raise
                # Signed-in people need not feel that the provider is down for a moment.
                self._log.warning("openid.keys_kept", reason=str(failure))
                self._keys = keys
            self._keys_at = time.monotonic()
            return self._keys

    async def _fetch_keys(self, url: str) -> KeySet:
        document = await self._http.object(url)
        try:
            return KeySet.import_key_set(_public(document))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unreachable(f"the provider's keys are unreadable: {error}") from error


def _public(document: Mapping[str, Any]) -> Any:
    """The keys that may sign: public ones, and never a shared secret."""
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise KeyError("keys")
    good = [
        key
        for key in keys
        if isinstance(key, dict) and key.get("kty") != "oct" and key.get("use", "sig") == "sig"
    ]
    return {"keys": good}
