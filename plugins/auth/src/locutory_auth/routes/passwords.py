"""Routes of resetting a password and verifying an address (contract auth §7, user §8)."""

from starlette.responses import Response

from locutory import JSON, HTTPError, Public, Request, Route
from locutory_auth.bans.sign_in_guard import SignInGuard
from locutory_auth.passwords.reset import PasswordReset
from locutory_auth.registration.registration import DONE
from locutory_auth.registration.verification import Verification
from locutory_auth.routes.bodies import EmailBody, Message, ResetBody, VerifyBody
from locutory_auth.routes.limits import Limits

SENT = "If an account with that email exists, a password reset link has been sent to it."
_LOST = Public("whoever forgot a password is not signed in")
_UNVERIFIED = Public("whoever has to verify an address cannot sign in yet")
_FAILURE = {"message": "Something went wrong."}


class PasswordRoutes:
    """Password reset and e-mail verification."""

    def __init__(
        self, reset: PasswordReset, verification: Verification, guard: SignInGuard, limits: Limits
    ) -> None:
        self._reset = reset
        self._verification = verification
        self._guard = guard
        self._limits = limits

    def all(self) -> list[Route]:
        """The routes."""
        limits = self._limits
        return [
            Route(
                path="/api/auth/requestPasswordReset",
                methods=("POST",),
                endpoint=self.request_reset,
                access=_LOST,
                limits=(limits.reset_request(),),
                body_schema=EmailBody,
                summary="Have a link sent that resets the password",
                responses={
                    200: Message,
                    400: "The e-mail domain is not allowed here",
                    403: "Banned, or passwords cannot be reset",
                    429: Message,
                },
                failure={"message": "Something went wrong"},
                contract="auth §7.1",
            ),
            Route(
                path="/api/auth/resetPassword",
                methods=("POST",),
                endpoint=self.reset,
                access=_LOST,
                limits=(limits.reset_submission(),),
                body_schema=ResetBody,
                summary="Set a new password with the link of the mail",
                responses={
                    200: Message,
                    400: "The link or the password is not good",
                    403: "Banned, or passwords cannot be reset",
                    429: Message,
                },
                failure={"message": "Something went wrong"},
                contract="auth §7.2",
            ),
            Route(
                path="/api/user/verify",
                methods=("POST",),
                endpoint=self.verify,
                access=_UNVERIFIED,
                limits=(limits.verify_submission(),),
                body_schema=VerifyBody,
                summary="Verify an e-mail address with the link of the mail",
                responses={
                    200: {
                        "message": "Email verification was successful",
                        "status": "success",
                    },
                    400: "The link is not good",
                    429: Message,
                },
                failure=_FAILURE,
                contract="user §8",
            ),
            Route(
                path="/api/user/verify/resend",
                methods=("POST",),
                endpoint=self.resend,
                access=_UNVERIFIED,
                limits=(limits.verify_request(),),
                body_schema=EmailBody,
                summary="Have a verification link sent again",
                responses={200: Message, 429: Message},
                failure=_FAILURE,
                contract="user §8",
            ),
        ]

    async def request_reset(self, request: Request) -> Response:
        """``{message}``, the same for a known and an unknown address; ``{link}`` while no
        mail is configured."""
        email = request.text("email")
        await self._guard.check(request, email)
        self._reset.check_allowed()
        link = await self._reset.request(email, request.named_tenant)
        return JSON({"message": SENT} if link is None else {"link": link})

    async def reset(self, request: Request) -> Response:
        """``{message}``; every session of the account ends."""
        await self._guard.check(request)
        self._reset.check_allowed()
        user, token = request.text("userId"), request.text("token")
        await self._reset.reset(user, token, request.fields, request.named_tenant)
        return JSON({"message": "Password reset was successful"})

    async def verify(self, request: Request) -> Response:
        """``{message, status}``."""
        email, token = request.fields.get("email"), request.fields.get("token")
        good = False
        if isinstance(email, str) and isinstance(token, str) and email and token:
            good = await self._verification.verify(email, token, request.named_tenant)
        if not good:
            raise HTTPError(400, {"message": "Invalid or expired email verification token"})
        return JSON({"message": "Email verification was successful", "status": "success"})

    async def resend(self, request: Request) -> Response:
        """``{message}``, the same for a known and an unknown address."""
        await self._verification.resend(request.text("email") or "", request.named_tenant)
        return JSON({"message": DONE})
