"""JSON Web Tokens of the plugin (contract auth §5): HS256 only, one secret a purpose."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from bson import ObjectId

from locutory import Credentials, Unauthorized

ALGORITHM = "HS256"
PENDING_SECONDS = 300
_NEVER_ACCESS = ("twoFAPending", "sessionId", "scope")
"""Claims of tokens made for another purpose: the second factor, refreshing, agent triggers."""

_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """The claims of a refresh token that verifies."""

    user: ObjectId
    session: ObjectId


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of an access token: its account, the moment of its request, and its session (which
    LibreChat's tokens do not name)."""

    user: str
    issued: datetime
    session: str | None = None


@dataclass(frozen=True, slots=True)
class PendingClaims:
    """The claims of the token of somebody who still owes the second factor."""

    user: ObjectId
    issued: datetime


class Tokens:
    """Signs and reads the tokens of one deployment.

    Args:
        credentials: the secrets.
        access_seconds: life of an access token.
    """

    def __init__(self, credentials: Credentials, access_seconds: float) -> None:
        self._access_secret = credentials.jwt_secret
        self._refresh_secret = credentials.jwt_refresh_secret
        self._life = timedelta(seconds=access_seconds)
        self._jwt = jwt.PyJWT(options={"require": ["exp"], "verify_iat": False})

    def access(self, account: Mapping[str, Any], session: ObjectId, requested_at: datetime) -> str:
        """An access token for a session of an account.

        ``requested_at``: when the request for it began. A revocation that comes in between is later
        than that, and so counts for this token too.
        """
        claims = {
            "id": str(account["_id"]),
            "username": account.get("username"),
            "provider": account.get("provider"),
            "email": account.get("email"),
            "iat": requested_at,
            "exp": requested_at + self._life,
            # Two tokens of one second would be the same text otherwise.
            "jti": secrets.token_hex(8),
            "sid": str(session),
            "at": _milliseconds(requested_at),
        }
        return self._jwt.encode(claims, self._access_secret, ALGORITHM)

    def pending(self, user: ObjectId, requested_at: datetime) -> str:
        """The token of somebody whose second factor is still to be checked."""
        claims = {
            "userId": str(user),
            "twoFAPending": True,
            "iat": requested_at,
            "exp": requested_at + timedelta(seconds=PENDING_SECONDS),
            "jti": secrets.token_hex(8),
            "at": _milliseconds(requested_at),
        }
        return self._jwt.encode(claims, self._access_secret, ALGORITHM)

    def read_access(self, text: str) -> AccessClaims:
        """The claims of an access token; `Unauthorized` with the contract's message (kernel §6)
        for anything else."""
        claims = self._claims(text)
        user, session = claims.get("id"), claims.get("sid")
        if not isinstance(user, str) or any(claim in claims for claim in _NEVER_ACCESS):
            raise Unauthorized
        known = session if isinstance(session, str) else None
        return AccessClaims(user, _issued(claims), known)

    def read_pending(self, text: str) -> PendingClaims | None:
        """The claims of the token of a pending sign-in, including LibreChat's; ``None`` for any
        other token: one that opens a session does not replace a password."""
        try:
            claims = self._claims(text)
        except Unauthorized:
            return None
        user = claims.get("userId")
        if claims.get("twoFAPending") is not True or "id" in claims:
            return None
        if not isinstance(user, str) or not ObjectId.is_valid(user):
            return None
        return PendingClaims(ObjectId(user), _issued(claims))

    def _claims(self, text: str) -> Mapping[str, Any]:
        if text.count(".") != 2:
            raise Unauthorized("jwt malformed")
        if text.endswith("."):
            raise Unauthorized("jwt signature is required")
        try:
            return self._jwt.decode(text, self._access_secret, algorithms=[ALGORITHM])
        except jwt.ExpiredSignatureError:
            message = "jwt expired"
        except jwt.ImmatureSignatureError:
            message = "jwt not active"
        except jwt.InvalidSignatureError:
            message = "invalid signature"
        except jwt.InvalidAlgorithmError:
            message = "invalid algorithm"
        except jwt.InvalidTokenError:
            message = "invalid token"
        raise Unauthorized(message)

    def refresh(
        self, claims: RefreshClaims, serial: str, issued: datetime, expires: datetime
    ) -> str:
        """The refresh token of a session. The same arguments give the same text."""
        payload = {
            "id": str(claims.user),
            "sessionId": str(claims.session),
            "iat": issued,
            "exp": expires,
            "jti": serial,
        }
        return self._jwt.encode(payload, self._refresh_secret, ALGORITHM)

    def read_refresh(self, text: str) -> RefreshClaims | None:
        """The claims of a refresh token, LibreChat's too; ``None`` when it does not verify."""
        try:
            claims = self._jwt.decode(text, self._refresh_secret, algorithms=[ALGORITHM])
        except jwt.InvalidTokenError:
            return None
        user, session = claims.get("id"), claims.get("sessionId")
        if not (ObjectId.is_valid(str(user)) and ObjectId.is_valid(str(session))):
            return None
        return RefreshClaims(ObjectId(str(user)), ObjectId(str(session)))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _issued(claims: Mapping[str, Any]) -> datetime:
    """The moment when a token was issued; to the second for LibreChat's, `_NEVER` when it has
    none."""
    for claim, unit in (("at", 1000), ("iat", 1)):
        value = claims.get(claim)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return datetime.fromtimestamp(value / unit, UTC)
            except (ValueError, OverflowError, OSError):
                return _NEVER
    return _NEVER


def bearer_of(header: str) -> str | None:
    """The token of an ``Authorization`` header; ``None`` without one."""
    words = header.split()
    return words[1] if len(words) >= 2 and words[0].lower() == "bearer" else None
