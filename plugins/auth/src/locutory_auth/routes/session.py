"""Routes of signing in and out with a password (contract auth §2-§4, §6)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from locutory import (
    JSON,
    Empty,
    NoBody,
    Public,
    Request,
    Route,
    RouteGroup,
    SignedIn,
    Text,
    Unauthorized,
    now,
)
from locutory_auth.accounts.stored import StoredAccounts, deletion_in_progress
from locutory_auth.bans.sign_in_guard import SignInGuard
from locutory_auth.registration.registration import DONE, Registration
from locutory_auth.routes.bodies import (
    LoginBody,
    Message,
    RefreshQuery,
    RegisterBody,
    SignedInAnswer,
)
from locutory_auth.routes.limits import Limits
from locutory_auth.sessions import cookies
from locutory_auth.sessions.cookies import Cookies, Gate
from locutory_auth.sessions.issuer import SessionIssuer, device_of
from locutory_auth.sessions.rotation import Sessions
from locutory_auth.sessions.tokens import Tokens, bearer_of
from locutory_auth.sign_in.external import ExternalSessions
from locutory_auth.sign_in.password import SignIn
from locutory_contracts.sign_in import OpenedSession

FAILURE = {"message": "Something went wrong"}


class SessionRoutes:
    """Sign-in, refresh, sign-out, registration."""

    def __init__(
        self,
        accounts: StoredAccounts,
        tokens: Tokens,
        sessions: Sessions,
        session_issuer: SessionIssuer,
        sign_in: SignIn,
        registration: Registration,
        guard: SignInGuard,
        limits: Limits,
        session_cookies: Cookies,
        external: ExternalSessions,
        own_cookies_only: Gate,
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._sessions = sessions
        self._session_issuer = session_issuer
        self._sign_in = sign_in
        self._registration = registration
        self._guard = guard
        self._limits = limits
        self._cookies = session_cookies
        self._external = external
        self._own_cookies_only = own_cookies_only

    def all(self) -> list[Route]:
        """The routes."""
        auth = RouteGroup("/api/auth", failure=FAILURE)
        # The bodies of signing in and registering are described only: bans and the captcha come
        # before they are looked at, and wrong members count as wrong credentials.
        return [
            auth.post(
                "/login",
                self.login,
                "Sign in with e-mail and password",
                access=Public("whoever signs in has no session yet"),
                limits=(self._limits.login(),),
                body_schema=LoginBody,
                responses={
                    200: SignedInAnswer,
                    403: "Banned, or sign-in with a password is switched off",
                    404: Message,
                    422: "The e-mail address is not verified",
                    429: Message,
                },
                contract="auth §2",
            ),
            RouteGroup("/api/auth").post(
                "/refresh",
                self.refresh,
                "A new access token for the refresh token in the cookie",
                access=Public("the refresh token in the cookie authenticates"),
                gates=(self._own_cookies_only,),
                body=NoBody,
                query=RefreshQuery,
                responses={
                    200: SignedInAnswer,
                    302: "The account is gone; to the login page",
                    401: "The session is over",
                    403: "The refresh token is not valid",
                },
                contract="auth §3",
            ),
            auth.post(
                "/logout",
                self.logout,
                "End the session of the refresh token in the cookie",
                access=SignedIn(),
                gates=(self._own_cookies_only, self._nobody),
                body=NoBody,
                responses={200: Message},
                contract="auth §4",
            ),
            auth.post(
                "/register",
                self.register,
                "Create an account with e-mail and password",
                access=Public("whoever registers has no account yet"),
                limits=(self._limits.register(),),
                body_schema=RegisterBody,
                responses={
                    200: Message,
                    400: "The invitation is not valid",
                    403: "Banned, registration is closed, or not open to this e-mail domain",
                    404: Message,
                    429: Message,
                },
                contract="auth §6",
            ),
        ]

    async def login(self, request: Request) -> Response:
        """``{token, user}`` and cookies, or ``{twoFAPending, tempToken}``."""
        requested_at = now()
        await self._guard.check(request, request.fields.get("email"))
        self._sign_in.check_allowed()
        await self._guard.captcha(request)
        account = await self._sign_in.sign_in(request.fields, request.ip, request.named_tenant)
        if account.get("twoFactorEnabled"):
            return opened(self._session_issuer.second_factor_pending(account, requested_at))
        return opened(await self._session_issuer.open(account, requested_at, device_of(request)))

    async def refresh(self, request: Request) -> Response:
        """``{token, user}`` and fresh cookies."""
        requested_at = now()
        kept = await self._external.refresh(request)
        if kept is not None:
            return kept
        token = cookies.read(request, cookies.REFRESH)
        if token is None:
            return Text("Refresh token not provided")
        claims = self._tokens.read_refresh(token)
        if claims is None:
            return Text("Invalid refresh token", 403)
        known = await self._accounts.load(str(claims.user))
        if known is None or request.named_tenant not in (None, known.principal.tenant):
            return Empty(302, {"location": "/login"})
        if known.being_deleted:
            raise deletion_in_progress()
        refresh = await self._sessions.rotate(token, claims, device_of(request))
        if refresh is None:
            if request.valid(RefreshQuery).retry:
                return Text("No session found", 403)
            return Text("Refresh token expired or not found for this user", 401)
        account = known.principal.account
        access = self._tokens.access(account, refresh.session, requested_at)
        response = JSON({"token": access, "user": account})
        self._cookies.set(response, refresh)
        return response

    async def _nobody(self, request: Request) -> Response | None:
        """The response to a logout of a deleted account, which succeeds like any other: the client
        would show a refusal as a failed sign-in, and keep useless cookies. ``None`` for existing
        accounts."""
        session = self._external.session(request)
        token = bearer_of(request.headers.get("authorization", ""))
        if session is not None:
            user = session.user_id
        elif token is not None:
            try:
                user = self._tokens.read_access(token).user
            except Unauthorized:
                return None
        else:
            return None
        return None if await self._accounts.load(user) is not None else self._left()

    def _left(self, members: Mapping[str, Any] | None = None) -> Response:
        response = JSON({**(members or {}), "message": "Logout successful"})
        self._cookies.clear(response)
        return response

    async def logout(self, request: Request) -> Response:
        """``{message}``, and ``redirect`` where an identity provider is to end its session
        too; the cookies are taken back whether or not a session was found."""
        token = cookies.read(request, cookies.REFRESH)
        claims = None if token is None else self._tokens.read_refresh(token)
        if claims is not None and str(claims.user) == request.caller.id:
            await self._sessions.end(claims)
        external = await self._external.end(request)
        response = self._left(external.members)
        cookies.add(response, external.cookies)
        return response

    async def register(self, request: Request) -> Response:
        """``{message}``, the same for a new and for a known address."""
        await self._guard.check(request, request.fields.get("email"))
        await self._guard.captcha(request)
        await self._registration.register(request.fields, request.named_tenant)
        return JSON({"message": DONE})


def opened(session: OpenedSession) -> Response:
    """The answer that hands a session out, or asks for the second factor."""
    if session.second_factor is not None:
        return JSON({"twoFAPending": True, "tempToken": session.second_factor})
    response = JSON({"token": session.access_token, "user": session.account})
    cookies.add(response, session.cookies)
    return response
