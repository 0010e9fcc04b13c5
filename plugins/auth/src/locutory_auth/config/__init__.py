"""Settings of the plugin, and the sections of ``librechat.yaml`` that it owns."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from locutory import env, option
from locutory_auth.config.limits import BanSettings, LimitSettings
from locutory_auth.config.mail import MailSettings

__all__ = [
    "AuthConfig",
    "BanSettings",
    "LimitSettings",
    "MailSettings",
    "RegistrationSection",
    "TurnstileSection",
]


class RegistrationSection(BaseModel):
    """``registration``: unknown members are tolerated, as everywhere below the root."""

    model_config = ConfigDict(extra="allow")

    allowed_domains: list[str] | None = Field(
        default=None, alias="allowedDomains", description="E-mail domains that may register"
    )


class TurnstileOptions(BaseModel):
    """``turnstile.options``: how the captcha is shown."""

    model_config = ConfigDict(extra="allow")

    language: str | None = None
    size: str | None = None


class TurnstileSection(BaseModel):
    """``turnstile``: the captcha of the sign-in pages."""

    model_config = ConfigDict(extra="allow")

    site_key: str = Field(alias="siteKey")
    options: TurnstileOptions | None = None


class AuthConfig(MailSettings, LimitSettings, BanSettings):
    """Settings of sign-in, registration and sessions (contract auth §13)."""

    model_config = ConfigDict(extra="forbid")

    allow_email_login: bool = env("ALLOW_EMAIL_LOGIN", True, "Sign-in with e-mail and password")
    allow_email_login_override: bool = env(
        "ALLOW_EMAIL_LOGIN_OVERRIDE",
        False,
        "Keep password sign-in open although ALLOW_EMAIL_LOGIN hides its form",
    )
    allow_registration: bool | None = env(
        "ALLOW_REGISTRATION", None, "Anybody may register; unset: only whoever comes first"
    )
    allow_password_reset: bool = env("ALLOW_PASSWORD_RESET", False, "Password reset is offered")
    reset_link_in_answer: bool = env(
        "LOCUTORY_RESET_LINK_IN_ANSWER",
        False,
        "While no mail is configured, whoever asks for a password reset is shown the link, as in "
        "LibreChat: anybody who knows an address can take the account over",
    )
    allow_unverified_email_login: bool = env(
        "ALLOW_UNVERIFIED_EMAIL_LOGIN", False, "Sign-in before the e-mail address is verified"
    )
    allow_account_deletion: bool = env(
        "ALLOW_ACCOUNT_DELETION", True, "Tell the client that people may delete their account"
    )
    min_password_length: int | None = env(
        "MIN_PASSWORD_LENGTH", None, "Shortest password, in characters; 8 when unset", ge=1, le=128
    )
    session_expiry: int = env(
        "SESSION_EXPIRY", 900_000, "Life of an access token, in milliseconds", ge=1000
    )
    refresh_token_expiry: int = env(
        "REFRESH_TOKEN_EXPIRY", 604_800_000, "Life of a session, in milliseconds", ge=1000
    )
    session_cookie_secure: str = env(
        "SESSION_COOKIE_SECURE",
        "",
        "'true' or 'false' decides over the Secure attribute of cookies; else it is on when "
        "DOMAIN_SERVER or DOMAIN_CLIENT is https",
        words=("true", "false"),
    )
    password_rehash: bool = env(
        "PASSWORD_REHASH",
        False,
        "New passwords, and old ones at the next sign-in, are stored as Argon2id, which "
        "LibreChat cannot read; otherwise bcrypt",
    )
    hide_accounts: bool = env(
        "LOCUTORY_HIDE_ACCOUNTS",
        False,
        "A failed sign-in never tells an unknown e-mail address from a wrong password",
    )
    enrol_asks_password: bool = env(
        "LOCUTORY_ENROL_ASKS_PASSWORD",
        False,
        "The first enrolment of a second factor asks for the password, which LibreChat's web "
        "client does not send",
    )
    turnstile_secret_key: SecretStr | None = env(
        "TURNSTILE_SECRET_KEY",
        None,
        "Sign-in and registration need the answer of the captcha, which LibreChat's web client "
        "shows but does not send",
    )
    turnstile_verify_url: str = option(
        "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        "Where answers of the captcha are checked",
    )
    ldap_url: str | None = env(
        "LDAP_URL", None, "LDAP server; with LDAP_USER_SEARCH_BASE no stored password counts"
    )
    ldap_user_search_base: str | None = env("LDAP_USER_SEARCH_BASE", None, "LDAP search base")
    hash_threads: int | None = option(
        None, "Passwords hashed at once; the number of processors when unset", ge=1
    )
    account_cache_seconds: float = option(
        5.0, "How long an account that was read is believed, in seconds", ge=0
    )
    account_cache_size: int = option(10_000, "Accounts kept in memory at most", ge=1)

    @property
    def reset_reaches(self) -> bool:
        """``True`` when the link that resets a password reaches the person who requested it."""
        return self.mail_configured or self.reset_link_in_answer

    @property
    def shortest_password(self) -> int:
        """The shortest password, in characters."""
        return self.min_password_length or 8

    @property
    def ldap_configured(self) -> bool:
        """``True`` when passwords belong to a directory. Local ones must not be accepted even while
        the plugin that asks the directory is off."""
        return bool(self.ldap_url and self.ldap_user_search_base)
