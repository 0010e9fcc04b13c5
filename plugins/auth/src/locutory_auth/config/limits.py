"""Settings of rate limits, violations and bans (contract kernel §11, §12)."""

from typing import Literal

from pydantic import BaseModel

from locutory import env, option


def _window(name: str, default: float | None, subject: str) -> float | None:
    field: float | None = env(name, default, f"Window of {subject}, in minutes", gt=0)
    return field


def _maximum(name: str, default: int | None, subject: str) -> int | None:
    field: int | None = env(name, default, f"{subject} of one address a window", ge=1)
    return field


def _score(name: str, subject: str) -> float:
    field: float = env(name, 1, f"Weight of {subject} that was refused")
    return field


class LimitSettings(BaseModel):
    """Limits for the attempts of one address, or of one account."""

    login_window: float = env("LOGIN_WINDOW", 5, "Window of LOGIN_MAX, in minutes", gt=0)
    login_max: int = env("LOGIN_MAX", 7, "Sign-in attempts of one address a window", ge=1)
    login_violation_score: float = _score("LOGIN_VIOLATION_SCORE", "a sign-in attempt")
    register_window: float = env("REGISTER_WINDOW", 60, "Window of REGISTER_MAX, in minutes", gt=0)
    register_max: int = env("REGISTER_MAX", 5, "Registrations of one address a window", ge=1)
    registration_violation_score: float = _score("REGISTRATION_VIOLATION_SCORE", "a registration")
    reset_window: float = env(
        "RESET_PASSWORD_WINDOW", 2, "Window of RESET_PASSWORD_MAX, in minutes", gt=0
    )
    reset_max: int = env("RESET_PASSWORD_MAX", 2, "Reset requests of one address a window", ge=1)
    reset_violation_score: float = _score("RESET_PASSWORD_VIOLATION_SCORE", "a reset request")
    reset_submission_window: float | None = _window(
        "RESET_PASSWORD_SUBMISSION_WINDOW", None, "RESET_PASSWORD_SUBMISSION_MAX"
    )
    reset_submission_max: int | None = _maximum(
        "RESET_PASSWORD_SUBMISSION_MAX", None, "Password resets"
    )
    reset_submission_violation_score: float = _score(
        "RESET_PASSWORD_SUBMISSION_VIOLATION_SCORE", "a password reset"
    )
    verify_window: float = env(
        "VERIFY_EMAIL_WINDOW", 2, "Window of VERIFY_EMAIL_MAX, in minutes", gt=0
    )
    verify_max: int = env(
        "VERIFY_EMAIL_MAX", 2, "Requests of one address for a verification mail a window", ge=1
    )
    verify_violation_score: float = _score(
        "VERIFY_EMAIL_VIOLATION_SCORE", "a request for a verification mail"
    )
    verify_submission_window: float | None = _window(
        "VERIFY_EMAIL_SUBMISSION_WINDOW", None, "VERIFY_EMAIL_SUBMISSION_MAX"
    )
    verify_submission_max: int | None = _maximum(
        "VERIFY_EMAIL_SUBMISSION_MAX", None, "E-mail verifications"
    )
    verify_submission_violation_score: float = _score(
        "VERIFY_EMAIL_SUBMISSION_VIOLATION_SCORE", "an e-mail verification"
    )
    two_factor_window: float | None = _window("TWO_FACTOR_TEMP_WINDOW", None, "TWO_FACTOR_TEMP_MAX")
    two_factor_max: int | None = _maximum(
        "TWO_FACTOR_TEMP_MAX", None, "Second factors, and of one account,"
    )
    two_factor_violation_score: float | None = env(
        "TWO_FACTOR_TEMP_VIOLATION_SCORE",
        None,
        "Weight of a second factor that was refused; LOGIN_VIOLATION_SCORE when unset",
    )
    account_failures: int = env(
        "LOCUTORY_ACCOUNT_FAILURES",
        10,
        "Failed sign-ins of one account, from whatever address, after which the next ones have "
        "to wait, up to a minute each; 0: never",
        ge=0,
    )


class BanSettings(BaseModel):
    """Violations that are counted, and bans that follow."""

    ban_violations: bool = env("BAN_VIOLATIONS", False, "Violations lead to bans")
    ban_duration: int = env(
        "BAN_DURATION",
        7_200_000,
        "Length of a ban, in milliseconds; 0 or less only ends the sessions",
    )
    ban_interval: int = env(
        "BAN_INTERVAL", 20, "A ban follows whenever the score passes a multiple of it", ge=1
    )
    violation_store: Literal["cache", "database"] = option(
        "cache",
        "Where scores are kept: in the cache (this process, or Redis when it is on), or in the "
        "database, which several workers without Redis share",
    )
