"""Routes of the second factor (contract auth §8)."""

import hashlib

from bson import ObjectId
from starlette.responses import Response

from locutory import (
    JSON,
    Cache,
    HTTPError,
    Public,
    Request,
    Route,
    RouteGroup,
    SignedIn,
    now,
    refusal,
)
from locutory_auth.accounts.stored import StoredAccounts, deletion_in_progress
from locutory_auth.bans.sign_in_guard import SignInGuard
from locutory_auth.routes.bodies import (
    BackupCodesAnswer,
    CodeBody,
    EnableBody,
    EnrolmentAnswer,
    Message,
    PendingBody,
    SignedInAnswer,
)
from locutory_auth.routes.limits import Limits
from locutory_auth.routes.session import FAILURE, opened
from locutory_auth.second_factor.enrolment import Enrolment
from locutory_auth.second_factor.service import StoredSecondFactor
from locutory_auth.sessions.issuer import SessionIssuer, device_of
from locutory_auth.sessions.tokens import PENDING_SECONDS, Tokens

_EXPIRED = "Invalid or expired temporary token"


class SecondFactorRoutes:
    """Enrolment, and the second step of signing in."""

    def __init__(
        self,
        accounts: StoredAccounts,
        tokens: Tokens,
        session_issuer: SessionIssuer,
        factor: StoredSecondFactor,
        enrolment: Enrolment,
        guard: SignInGuard,
        limits: Limits,
        cache: Cache,
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._session_issuer = session_issuer
        self._factor = factor
        self._enrolment = enrolment
        self._guard = guard
        self._limits = limits
        self._cache = cache

    def all(self) -> list[Route]:
        """The routes."""
        factor = RouteGroup(
            "/api/auth/2fa",
            access=SignedIn(),
            failure=FAILURE,
            contract="auth §8",
            responses={400: Message, 429: Message},
        )
        return [
            factor.post(
                "/enable",
                self.enable,
                "Begin to set a second factor up",
                body=EnableBody,
                responses={200: EnrolmentAnswer, 401: Message},
            ),
            factor.post(
                "/verify",
                self.verify,
                "Check that the app shows the right codes",
                body=CodeBody,
                responses={200: "Empty"},
            ),
            factor.post(
                "/confirm",
                self.confirm,
                "Finish: sign-in asks for the second factor from now on",
                body=CodeBody,
                responses={200: "Empty"},
            ),
            factor.post(
                "/disable",
                self.disable,
                "Take the second factor away",
                body=CodeBody,
                responses={200: "Empty", 401: Message},
            ),
            factor.post(
                "/backup/regenerate",
                self.regenerate,
                "New backup codes instead of the old ones",
                body=CodeBody,
                responses={200: BackupCodesAnswer, 401: Message, 404: Message},
            ),
            factor.post(
                "/verify-temp",
                self.sign_in,
                "The second step of signing in",
                access=Public("the temporary token stands for the password"),
                limits=self._limits.second_factor(),
                checks=(self._guard.check,),
                body=PendingBody,
                invalid=refusal("message", {"tempToken": "Missing temporary token"}),
                responses={200: SignedInAnswer, 401: Message, 403: "Banned"},
            ),
        ]

    async def enable(self, request: Request) -> Response:
        """``{otpauthUrl, backupCodes}``."""
        body = request.valid(EnableBody)
        url, codes = await self._enrolment.enable(
            _user(request), body.token, body.backupCode, body.password
        )
        return JSON({"otpauthUrl": url, "backupCodes": codes})

    async def verify(self, request: Request) -> Response:
        """An empty body."""
        await self._enrolment.verify(_user(request), *_codes(request.valid(CodeBody)))
        return JSON(b"")

    async def confirm(self, request: Request) -> Response:
        """An empty body."""
        await self._enrolment.confirm(_user(request), request.valid(CodeBody).token)
        return JSON(b"")

    async def disable(self, request: Request) -> Response:
        """An empty body."""
        await self._enrolment.disable(_user(request), *_codes(request.valid(CodeBody)))
        return JSON(b"")

    async def regenerate(self, request: Request) -> Response:
        """``{backupCodes, backupCodesHash}``."""
        codes, stored = await self._enrolment.regenerate(
            _user(request), *_codes(request.valid(CodeBody))
        )
        return JSON({"backupCodes": codes, "backupCodesHash": stored})

    async def sign_in(self, request: Request) -> Response:
        """``{token, user}`` and cookies. The temporary token opens one session."""
        requested_at = now()
        body = request.valid(PendingBody)
        token = body.tempToken
        claims = self._tokens.read_pending(token)
        if claims is None:
            raise HTTPError(401, {"message": _EXPIRED})
        await self._guard.check_account(claims.user)
        known = await self._accounts.read(str(claims.user))
        if known is not None and (
            known.revoked.covers(claims.issued)
            or request.named_tenant not in (None, known.principal.tenant)
        ):
            raise HTTPError(401, {"message": _EXPIRED})
        if known is None or not known.principal.account.get("twoFactorEnabled"):
            raise HTTPError(400, {"message": "2FA is not enabled for this user"})
        if known.being_deleted:
            raise deletion_in_progress()
        used = hashlib.sha256(token.encode()).hexdigest()
        if await self._cache.get("two_factor:used", used) is not None:
            raise HTTPError(401, {"message": _EXPIRED})
        if not await self._factor.verify(str(claims.user), *_codes(body)):
            raise HTTPError(401, {"message": "Invalid 2FA code or backup code"})
        if not await self._cache.add("two_factor:used", used, 1, PENDING_SECONDS):
            raise HTTPError(401, {"message": _EXPIRED})
        session = await self._session_issuer.open(
            known.principal.account, requested_at, device_of(request)
        )
        return opened(session)


def _user(request: Request) -> ObjectId:
    return ObjectId(request.caller.id)


def _codes(body: CodeBody) -> tuple[str | None, str | None]:
    return body.token, body.backupCode
