"""Access tokens of an OpenID issuer as bearers, beside API keys (contract agents-api §1)."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from joserfc import jws, jwt
from joserfc.errors import JoseError

from locutory import HTTPError, Services
from locutory_agentsapi.issuer_keys import IssuerKeys, NoKeys
from locutory_contracts.sign_in import SIGN_INS, Identity, IdentityRefused

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
)
"""Signatures by a key pair. Never ``none``, and never a secret that both sides know."""

LONGEST = 16 * 1024
BELIEVED_SECONDS = 60.0
"""The minimum seconds between two look-ups of a token's owner; their standing is checked on each
request."""

_MOST_KNOWN = 10_000


class _Registry(jws.JWSRegistry):
    """Tolerates header members beyond the standard's; those marked critical are refused."""

    max_header_length = 8 * 1024

    def __init__(self) -> None:
        super().__init__(algorithms=list(ALGORITHMS), strict_check_header=False)


class NotAcceptable(Exception):
    """A token is not acceptable; the text is the reason for the log."""


@dataclass(frozen=True, slots=True)
class Demands:
    """The claims that a token must have. ``issuer`` has no trailing slash; ``own_issuer``: it is
    the issuer of the deployment's sign-in, so accounts from before issuers were stored belong to
    it."""

    issuer: str
    audience: str
    scopes: frozenset[str]
    own_issuer: bool


class AccessTokens:
    """Finds the account of an access token."""

    def __init__(
        self,
        demands: Demands,
        keys: IssuerKeys,
        services: Services,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._demands = demands
        self._keys = keys
        self._services = services
        self._log = log
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def owner(self, token: str) -> str | None:
        """The id of the account; ``None`` when the token is invalid, or belongs to no account."""
        if token.count(".") != 2 or len(token) > LONGEST:
            return None
        # By its hash, whole: a token must not be mistaken for one that begins like it.
        name = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        user, until = self._known.get(name, ("", 0.0))
        if until > time.time():
            return user
        try:
            claims = await self._verified(token)
            user = await self._account(claims)
        except (NotAcceptable, IdentityRefused, HTTPError) as refusal:
            self._log.info("remote_api.token_refused", reason=str(refusal))
            return None
        self._known[name] = (user, min(time.time() + BELIEVED_SECONDS, float(claims["exp"])))
        self._known.move_to_end(name)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return user

    async def _verified(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that is signed and meant for us."""
        registry = _Registry()
        try:
            named = jws.extract_compact(token.encode(), registry=registry).headers().get("kid")
            keys = await self._keys.of(named if isinstance(named, str) else None)
            claims = dict(jwt.decode(token, keys, registry=registry).claims)
        except NoKeys as error:
            raise NotAcceptable(str(error)) from error
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            kind = getattr(error, "error", type(error).__name__)
            raise NotAcceptable(f"signature: {kind}") from error
        demands, issuer, moment = self._demands, claims.get("iss"), time.time()
        audiences = claims.get("aud")
        if not isinstance(issuer, str) or issuer.rstrip("/") != demands.issuer:
            raise NotAcceptable("issuer")
        if demands.audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise NotAcceptable("audience")
        if not _is_number(claims.get("exp")) or claims["exp"] <= moment:
            raise NotAcceptable("expired")
        if "nbf" in claims and (not _is_number(claims["nbf"]) or claims["nbf"] > moment):
            raise NotAcceptable("not yet")
        if not demands.scopes <= _scopes(claims):
            raise NotAcceptable("scope")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise NotAcceptable("subject")
        return claims

    async def _account(self, claims: Mapping[str, Any]) -> str:
        """The account of the token's subject: the same as when that person signs in, but
        none is made."""
        email, source = claims.get("email"), claims.get("oid")
        identity = Identity(
            provider="openid",
            key="openidId",
            subject=claims["sub"],
            email=email if isinstance(email, str) else "",
            email_verified=claims.get("email_verified") is True,
            issuer=self._demands.issuer,
            fields={"idOnTheSource": source} if isinstance(source, str) and source else {},
            issuer_configured=self._demands.own_issuer,
        )
        return await self._services.get(SIGN_INS).adopt(identity, may_register=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    found = claims.get("scp", claims.get("scope"))
    words = found if isinstance(found, list) else [found]
    return {scope for word in words if isinstance(word, str) for scope in word.split()}
