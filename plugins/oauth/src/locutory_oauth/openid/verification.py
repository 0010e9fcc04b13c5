"""Checking tokens that an OpenID provider signed (contract security §4)."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.util import urlsafe_b64decode

from locutory_oauth.identity import Refused
from locutory_oauth.openid.discovery import Discovery

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
    "EdDSA",
    "Ed25519",
)
"""Signatures by a key pair. Never ``none``, and never a secret that both sides know."""

LONGEST = 64 * 1024


class _Registry(jws.JWSRegistry):
    """Tolerates header members beyond the standard's; those marked critical are refused."""

    max_header_length = 8 * 1024

    def __init__(self, algorithms: Sequence[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)


class TokenExpired(Refused):
    """A token that was good once."""

    def __init__(self) -> None:
        super().__init__("expired", "the token has expired")


class Verification:
    """Checks signatures and claims.

    Args:
        leeway: difference of clocks that is tolerated, in seconds.
    """

    def __init__(self, discovery: Discovery, leeway: int) -> None:
        self._discovery = discovery
        self._leeway = leeway

    async def id_token(
        self, token: str, *, client_id: str, nonce: str | None, access_token: str | None = None
    ) -> dict[str, Any]:
        """The claims of an id token: signed by the issuer, named by it exactly, for this
        client and (with ``nonce``) for this sign-in, and not expired."""
        metadata = await self._discovery.metadata()
        header, claims = await self._signed(token, metadata.algorithms or ("RS256",))
        checked = CodeIDToken(
            claims,
            header,
            options={
                "iss": {"essential": True, "value": metadata.expected_issuer(claims)},
                "aud": {"essential": True, "value": client_id},
            },
            params={"client_id": client_id, "nonce": nonce, "access_token": access_token},
        )
        self._validate(checked)
        return claims

    async def bearer(self, token: str, audiences: Sequence[str]) -> dict[str, Any]:
        """The claims of an id or access token that a client sends: signed by the issuer, for
        one of ``audiences``, and not expired."""
        metadata = await self._discovery.metadata()
        header, claims = await self._signed(token, metadata.algorithms or ("RS256",))
        checked = CodeIDToken(
            claims,
            header,
            options={
                "iss": {"essential": True, "value": metadata.expected_issuer(claims)},
                "aud": {"essential": True, "values": list(audiences)},
            },
        )
        self._validate(checked)
        return claims

    async def userinfo(self, token: str, client_id: str) -> dict[str, Any]:
        """The claims of signed user info: signed by the issuer and, as far as it has these claims,
        of this issuer, for this client and not expired (OpenID Connect Core §5.3.2)."""
        if token.count(".") == 4:
            text = "the user info is encrypted; the provider has to send it signed or plain"
            raise Refused("userinfo", text)
        metadata = await self._discovery.metadata()
        announced = metadata.userinfo_algorithms or ALGORITHMS
        try:
            _, claims = await self._signed(token, announced)
            if "iss" in claims and claims["iss"] != metadata.expected_issuer(claims):
                raise Refused("issuer", "it names another issuer")
            audiences = claims.get("aud", client_id)
            if client_id not in (audiences if isinstance(audiences, list) else [audiences]):
                raise Refused("audience", "it is for another client")
            expires, begins = claims.get("exp", math.inf), claims.get("nbf", -math.inf)
            if not _numbers(expires, begins):
                raise Refused("expired", "its times are no numbers")
            if not begins - self._leeway <= time.time() < expires + self._leeway:
                raise Refused("expired", "it is not good now")
        except Refused as refusal:
            raise Refused("userinfo", f"signed user info: {refusal}") from refusal
        return claims

    def _validate(self, token: CodeIDToken) -> None:
        try:
            token.validate(leeway=self._leeway)
        except ExpiredTokenError:
            raise TokenExpired from None
        except JoseError as error:
            raise Refused("token", f"the token is not acceptable: {error.error}") from error
        subject = token.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise Refused("token", "the token has no usable subject")

    async def _signed(
        self, token: str, announced: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if len(token) > LONGEST:
            raise Refused("token", "the token is too long")
        registry = _Registry([name for name in ALGORITHMS if name in announced] or ["RS256"])
        try:
            header = jws.extract_compact(token.encode(), registry=registry).headers()
            if "crit" in header:  # nothing of what may stand there is understood here
                raise Refused("token", "the token is not acceptable: crit")
            named = header.get("kid")
            keys = await self._discovery.keys(named if isinstance(named, str) else None)
            decoded = jwt.decode(token, keys, registry=registry)
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            kind = getattr(error, "error", type(error).__name__)
            raise Refused("token", f"the token is not acceptable: {kind}") from error
        return dict(decoded.header), dict(decoded.claims)


def _numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def unverified_claims(token: str) -> Mapping[str, Any]:
    """The claims of a token that came straight from the provider, and that is the provider's
    own affair (an access token); empty when it is none of the readable kind."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > LONGEST:
        return {}
    try:
        claims = orjson.loads(urlsafe_b64decode(parts[1].encode()))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
