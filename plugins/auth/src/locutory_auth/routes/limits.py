"""Rate limits of the routes (contract kernel §11)."""

import hashlib
from collections.abc import Callable

from locutory import Limit, Request, by_ip
from locutory_auth.config.limits import LimitSettings
from locutory_auth.sessions.tokens import Tokens

_ATTEMPTS = "Too many attempts, please try again after {} minute(s)"


class Limits:
    """One limit for each route that has any. Limits of one name share a counter, also with
    other plugins'."""

    def __init__(self, settings: LimitSettings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens

    def login(self) -> Limit:
        """Limits by address, shared by all ways to sign in."""
        settings = self._settings
        return _limit(
            "login_limiter",
            settings.login_max,
            settings.login_window,
            "Too many login attempts, please try again after {} minutes.",
            ("logins", settings.login_violation_score),
        )

    def register(self) -> Limit:
        """Limits of registrations by address."""
        settings = self._settings
        return _limit(
            "register_limiter",
            settings.register_max,
            settings.register_window,
            "Too many accounts created, please try again after {} minutes",
            ("registrations", settings.registration_violation_score),
        )

    def reset_request(self) -> Limit:
        """Limits of requests for a new password, by address."""
        settings = self._settings
        return _limit(
            "reset_password_limiter",
            settings.reset_max,
            settings.reset_window,
            _ATTEMPTS,
            ("reset_password_limit", settings.reset_violation_score),
        )

    def reset_submission(self) -> Limit:
        """Limits of submitted new passwords, by address."""
        settings = self._settings
        return _limit(
            "reset_password_submission_limiter",
            settings.reset_submission_max or settings.reset_max,
            settings.reset_submission_window or settings.reset_window,
            _ATTEMPTS,
            ("reset_password_limit", settings.reset_submission_violation_score),
        )

    def verify_request(self) -> Limit:
        """Limits of requests for a verification mail, by address."""
        settings = self._settings
        return _limit(
            "verify_email_limiter",
            settings.verify_max,
            settings.verify_window,
            _ATTEMPTS,
            ("verify_email_limit", settings.verify_violation_score),
        )

    def verify_submission(self) -> Limit:
        """Limits of submitted verifications, by address."""
        settings = self._settings
        return _limit(
            "verify_email_submission_limiter",
            settings.verify_submission_max or settings.verify_max,
            settings.verify_submission_window or settings.verify_window,
            _ATTEMPTS,
            ("verify_email_limit", settings.verify_submission_violation_score),
        )

    def second_factor(self) -> tuple[Limit, ...]:
        """Limits by address, then by account; before the account is known by the temporary
        token."""
        settings = self._settings
        score = settings.two_factor_violation_score
        terms = (
            settings.two_factor_max or settings.login_max,
            settings.two_factor_window or settings.login_window,
            "Too many verification attempts, please try again after {} minutes.",
            ("logins", settings.login_violation_score if score is None else score),
        )
        by_address = _limit("two_factor_temp_limiter", *terms)
        by_account = _limit("two_factor_temp_user_limiter", *terms, key=self._pending)
        return by_address, by_account

    def _pending(self, request: Request) -> str | None:
        body = request.payload
        token = body.get("tempToken") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            return by_ip(request)
        claims = self._tokens.read_pending(token)
        if claims is not None:
            return str(claims.user)
        return hashlib.sha256(token.encode()).hexdigest()


def _limit(
    name: str,
    amount: int,
    minutes: float,
    text: str,
    violation: tuple[str, float],
    key: Callable[[Request], str | None] = by_ip,
) -> Limit:
    kind, score = violation
    return Limit(
        name=name,
        amount=amount,
        seconds=max(1, round(minutes * 60)),
        body={"message": text.format(f"{minutes:g}")},
        key=key,
        violation=kind,
        score=score,
    )
