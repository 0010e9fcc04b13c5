"""Sessions made of the provider's own tokens, and logging out there (contract oauth §5.4, §5.5)."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from authlib.common.urls import add_params_to_uri  # type: ignore[import-untyped]
from bson import ObjectId
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from locutory import Cache, Principal, Request, Services, Unauthorized, now
from locutory_contracts.accounts import ACCOUNTS, Account
from locutory_contracts.sign_in import OutsideAnswer, OutsideEnd, OutsideSession
from locutory_oauth.config import OAuthConfig
from locutory_oauth.http_client import Unreachable
from locutory_oauth.identity import Refused, TokenSet, text
from locutory_oauth.login_state import COOKIE, LoginStateStore, new_id, set_cookie
from locutory_oauth.openid.client import OpenIdClient
from locutory_oauth.openid.discovery import normal_issuer
from locutory_oauth.openid.own_tokens import OwnTokens
from locutory_oauth.openid.renewal import Renewal
from locutory_oauth.openid.verification import TokenExpired, unverified_claims

PROVIDER = "openid"
_REFRESH = "refreshToken"
_USER = "openid_user_id"
_BUFFER_SECONDS = 30
_REVOKE_SECONDS = 3.0


class OpenIdSessions:
    """Implements `locutory_contracts.sign_in.OutsideSessions` and the authenticator "openid".

    The token of a session is an id token, or else an access token, that `authenticate` takes.
    Where the provider renews a session without giving one, it is a token of our own.
    """

    def __init__(
        self,
        config: OAuthConfig,
        client: OpenIdClient,
        login_states: LoginStateStore,
        cache: Cache,
        services: Services,
        secret: str,
        login_page: str,
        log: structlog.stdlib.BoundLogger,
        *,
        is_secure: bool,
    ) -> None:
        self._config = config
        self._client = client
        self._login_states = login_states
        self._services = services
        self._key = OctKey.import_key(secret)
        self._own = OwnTokens(secret, config.session_expiry / 1000)
        self._renewal = Renewal(client, cache, config.openid_refresh_audience)
        self._login_page = login_page
        self._log = log
        self._secure = is_secure
        self._seconds = config.refresh_token_expiry / 1000
        client_id = client.registration.client_id
        self._audiences = [client_id, *config.openid_audience]

    # Signing in and refreshing

    async def begin(self, user_id: str, tokens: TokenSet) -> list[str]:
        """Open a session of these tokens; its cookies. A new login session, so that nobody
        shares one that was known before."""
        opened = OutsideSession(user_id, str(ObjectId()), now())
        return await self._keep(new_id(), opened, tokens)

    async def _keep(
        self, browser: str, opened: OutsideSession, tokens: TokenSet, own_until: float = 0.0
    ) -> list[str]:
        """Keep the tokens in the login session; its cookies. ``own_until``: how long it may
        have tokens of our own."""
        value = {
            "own_until": own_until,
            "user": opened.user_id,
            "access": tokens.access,
            "id": tokens.id,
            "refresh": tokens.refresh,
            "at": time.time(),
        }
        await self._login_states.store(browser, value)
        claims = {
            "id": opened.user_id,
            "session": opened.id or str(ObjectId()),
            "began": round(opened.began.timestamp() * 1000),
            "exp": int(time.time() + self._seconds),
        }
        signed = jwt.encode({"alg": "HS256"}, claims, self._key)
        pairs = ((_REFRESH, tokens.refresh or ""), ("token_provider", PROVIDER), (_USER, signed))
        return [
            self._login_states.cookie(browser),
            *(
                set_cookie(name, value, self._seconds, is_secure=self._secure, site="Strict")
                for name, value in pairs
            ),
        ]

    async def refresh(self, request: Request) -> OutsideAnswer | None:
        """New tokens of the provider for a request, see
        `locutory_contracts.sign_in.OutsideSessions`."""
        if not self._config.openid_reuse_tokens:
            return None
        opened = self.session(request)
        session = await self._session_of(request, opened)
        token = session.get("refresh") or request.cookies.get(_REFRESH)
        if not token:
            return OutsideAnswer(200, "Refresh token not provided")
        user_id = None if opened is None else opened.user_id
        account = None if user_id is None else await self._services.get(ACCOUNTS).find(user_id)
        if opened is None or account is None:
            return OutsideAnswer(302, None, location="/login")
        ready = await self._reusable(session, account, opened) if session else None
        if ready is not None:
            return OutsideAnswer(200, {"token": ready, "user": account})
        try:
            tokens = await self._renewal.renewed(token)
        except (Refused, Unreachable) as failure:
            self._log.warning("openid.refresh_failed", user=user_id, reason=str(failure))
            return OutsideAnswer(403, "Invalid OpenID refresh token")
        if tokens.claims and not self._is_theirs(account, tokens.claims):
            self._log.warning("openid.refresh_for_another", user=user_id)
            return OutsideAnswer(302, None, location="/login")
        if not tokens.id and session:
            tokens = replace(tokens, id=session["id"])
        opened = replace(opened, id=opened.id or str(ObjectId()))
        ready = await self._acceptable(account, tokens.id, tokens.access)
        own_until = 0.0
        if ready is None:
            own_until = time.time() + self._own.seconds
            ready = self._own.issue(opened, own_until)
        browser = self._login_states.identify(request) or new_id()
        cookies = await self._keep(browser, opened, tokens, own_until)
        return OutsideAnswer(200, {"token": ready, "user": account}, cookies)

    async def _session_of(
        self, request: Request, opened: OutsideSession | None
    ) -> Mapping[str, Any]:
        """The login session of the browser; empty when it is somebody else's."""
        stored = await self._login_states.stored(request)
        return stored if opened is not None and stored.get("user") == opened.user_id else {}

    async def _reusable(
        self, session: Mapping[str, Any], account: Account, opened: OutsideSession
    ) -> str | None:
        """A token for the login session, when it need not be renewed yet."""
        age = (time.time() - session["at"]) * 1000
        if not 0 <= age <= self._config.openid_reuse_max_session_age_ms:
            return None
        tokens = (session["id"], session["access"])
        ready = await self._acceptable(account, *tokens, seconds=_BUFFER_SECONDS)
        until = session.get("own_until", 0.0)
        if ready is None and opened.id is not None and until - time.time() > _BUFFER_SECONDS:
            ready = self._own.issue(opened, until)
        return ready

    async def _acceptable(self, account: Account, *tokens: str, seconds: float = 0) -> str | None:
        """The first of the provider's tokens that `authenticate` takes, and that is good for
        more than ``seconds``."""
        for token in tokens:
            if not token or _seconds_left(token) <= seconds:
                continue
            try:
                claims = await self._client.verification.bearer(token, self._audiences)
            except (Refused, Unreachable):
                continue
            if self._is_theirs(account, claims):
                return token
        return None

    # Recognising a request

    async def authenticate(self, request: Request) -> Principal:
        """The account behind a bearer token of the provider, in a browser that signed in with
        it; `Unauthorized` for anything else."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("No auth token")
        opened = self.session(request)
        if opened is None:
            raise Unauthorized
        user_id = opened.user_id
        claims: Mapping[str, Any] | None = None
        try:
            if not self._own.is_for(token.strip(), opened):
                verification = self._client.verification
                claims = await verification.bearer(token.strip(), self._audiences)
        except TokenExpired:
            raise Unauthorized("jwt expired") from None
        except (Refused, Unreachable):
            raise Unauthorized("invalid token") from None
        account = await self._services.get(ACCOUNTS).find(user_id)
        if account is None or (claims is not None and not self._is_theirs(account, claims)):
            raise Unauthorized
        return Principal(
            id=user_id,
            role=account.get("role") or "USER",
            tenant=account.get("tenantId"),
            account=account,
        )

    def session(self, request: Request) -> OutsideSession | None:
        """The session in the signed cookie of a request, see
        `locutory_contracts.sign_in.OutsideSessions`."""
        cookie = request.cookies.get(_USER, "")
        reused = self._config.openid_reuse_tokens
        if not reused or not cookie or request.cookies.get("token_provider") != PROVIDER:
            return None
        try:
            claims = jwt.decode(cookie, self._key, algorithms=["HS256"]).claims
            jwt.JWTClaimsRegistry().validate(claims)
        except (JoseError, ValueError):
            return None
        user_id, session = claims.get("id"), claims.get("session")
        # A refresh token of ours is signed with the same secret, and is no such cookie.
        if "sessionId" in claims or not isinstance(user_id, str) or not ObjectId.is_valid(user_id):
            return None
        known = isinstance(session, str) and ObjectId.is_valid(session)
        return OutsideSession(user_id, session if known else None, _began(claims))

    def _is_theirs(self, account: Account, claims: Mapping[str, Any]) -> bool:
        """``True`` when the claims belong to this account: same issuer, and same id there."""
        issuer = normal_issuer(text(claims.get("iss")))
        stored = normal_issuer(text(account.get("openidIssuer"))) or self._client.discovery.issuer
        if stored != issuer:
            return False
        if account.get("openidId") == claims.get("sub"):
            return True
        source = account.get("idOnTheSource")
        return bool(source) and source == claims.get("oid")

    async def access_token(self, request: Request) -> str | None:
        """The access token of the caller's own login session in this browser; ``None`` for
        callers who signed in another way, and for sessions that are over."""
        caller = request.caller
        if caller.account.get("provider") != PROVIDER or not caller.account.get("openidId"):
            return None
        opened = self.session(request)
        if opened is None or opened.user_id != caller.id:
            return None
        token = (await self._session_of(request, opened)).get("access")
        return token if isinstance(token, str) and token else None

    # Logging out

    async def end(self, request: Request, account: Account) -> OutsideEnd:
        """End the session of a request: forget it, and revoke its refresh token, see
        `locutory_contracts.sign_in.OutsideSessions`."""
        session = await self._login_states.stored(request)
        token = request.cookies.get("openid_id_token", "")
        opened = self.session(request)
        refresh = request.cookies.get(_REFRESH) if opened is not None else None
        if session:
            theirs = session.get("user") == str(account["_id"])
            token = session["id"] if theirs else ""
            refresh = session["refresh"] if theirs else refresh
            await self._login_states.forget(request)
        if refresh and opened is not None and opened.user_id == str(account["_id"]):
            await self._revoke(refresh)
        cookies = []
        if COOKIE in request.cookies:
            cookies = [f"{COOKIE}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
        address = None
        if self._config.openid_use_end_session_endpoint and account.get("provider") == PROVIDER:
            address = await self._end_address(token, account)
        return OutsideEnd({} if address is None else {"redirect": address}, cookies)

    async def _revoke(self, token: str) -> None:
        """The refresh token opens nothing any more, wherever a copy of it may be."""
        try:
            async with asyncio.timeout(_REVOKE_SECONDS):
                await self._client.revoke(token)
        except (Unreachable, TimeoutError) as failure:
            reason = str(failure) or type(failure).__name__
            self._log.warning("openid.token_not_revoked", reason=reason)

    async def _end_address(self, token: str, account: Account) -> str | None:
        try:
            endpoint = (await self._client.discovery.metadata()).end_session_endpoint
        except Unreachable:
            endpoint = None
        if endpoint is None:
            self._log.warning("openid.no_end_session_endpoint")
            return None
        back = self._config.openid_post_logout_redirect_uri or self._login_page
        query = {"client_id": self._client.registration.client_id}
        address: str
        if token:
            query_with_token = {"post_logout_redirect_uri": back, "id_token_hint": token}
            address = add_params_to_uri(endpoint, query_with_token)
            if len(address) <= self._config.openid_max_logout_url_length:
                return address
            hint = account.get("email") or account.get("username") or account.get("openidId")
            query = {"logout_hint": str(hint or ""), **query}
        address = add_params_to_uri(endpoint, {"post_logout_redirect_uri": back, **query})
        return address


def _began(claims: Mapping[str, Any]) -> datetime:
    """The moment at which a session began; for LibreChat's cookies, at which they were signed. The
    epoch when it is unknown."""
    for claim, unit in (("began", 1000), ("iat", 1)):
        value = claims.get(claim)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return datetime.fromtimestamp(value / unit, UTC)
            except (ValueError, OverflowError, OSError):
                break
    return datetime.fromtimestamp(0, UTC)


def _seconds_left(token: str) -> float:
    """The seconds for which a token is still valid; 0 when it does not have an expiry."""
    expires = unverified_claims(token).get("exp")
    return expires - time.time() if isinstance(expires, int | float) else 0.0
