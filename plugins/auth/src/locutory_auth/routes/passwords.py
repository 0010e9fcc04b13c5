"""Routes of resetting a password and verifying an address (contract auth §7, user §8)."""

from starlette.responses import Response

from locutory import JSON, HTTPError, Public, Request, Route, RouteGroup, refusal
from locutory_auth.bans.sign_in_guard import SignInGuard
from locutory_auth.password_reset import PasswordReset
from locutory_auth.registration.registration import DONE
from locutory_auth.registration.verification import Verification
from locutory_auth.routes.bodies import EmailBody, Message, ResetBody, VerifyBody
from locutory_auth.routes.limits import Limits

SENT = "If an account with that email exists, a password reset link has been sent to it."
_NOT_GOOD = "Invalid or expired email verification token"


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
        lost = RouteGroup(
            "/api/auth",
            access=Public("whoever forgot a password is not signed in"),
            failure={"message": "Something went wrong"},
            responses={200: Message, 403: "Banned, or passwords cannot be reset", 429: Message},
        )
        unverified = RouteGroup(
            "/api/user/verify",
            access=Public("whoever has to verify an address cannot sign in yet"),
            failure={"message": "Something went wrong."},
            contract="user §8",
        )
        return [
            lost.post(
                "/requestPasswordReset",
                self.request_reset,
                "Have a link sent that resets the password",
                limits=(limits.reset_request(),),
                body=EmailBody,
                responses={400: "The e-mail domain is not allowed here"},
                contract="auth §7.1",
            ),
            lost.post(
                "/resetPassword",
                self.reset,
                "Set a new password with the link of the mail",
                limits=(limits.reset_submission(),),
                # Described only: what is wrong with a password is said after the link is found
                # to be good.
                body_schema=ResetBody,
                responses={400: "The link or the password is not good"},
                contract="auth §7.2",
            ),
            unverified.post(
                "",
                self.verify,
                "Verify an e-mail address with the link of the mail",
                limits=(limits.verify_submission(),),
                body=VerifyBody,
                invalid=refusal("message", {"": _NOT_GOOD}),
                responses={
                    200: {"message": "Email verification was successful", "status": "success"},
                    429: Message,
                },
            ),
            unverified.post(
                "/resend",
                self.resend,
                "Have a verification link sent again",
                limits=(limits.verify_request(),),
                body=EmailBody,
                responses={200: Message, 429: Message},
            ),
        ]

    async def request_reset(self, request: Request) -> Response:
        """``{message}``, the same for a known and an unknown address; ``{link}`` while no
        mail is configured."""
        email = request.valid(EmailBody).email
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
        body = request.valid(VerifyBody)
        if not await self._verification.verify(body.email, body.token, request.named_tenant):
            raise HTTPError(400, {"message": _NOT_GOOD})
        return JSON({"message": "Email verification was successful", "status": "success"})

    async def resend(self, request: Request) -> Response:
        """``{message}``, the same for a known and an unknown address."""
        email = request.valid(EmailBody).email or ""
        await self._verification.resend(email, request.named_tenant)
        return JSON({"message": DONE})
