"""Signing people in by other ways than a password: social logins, OpenID Connect, SAML, LDAP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from locutory.events import Fact
from locutory.keys import Extension, Service


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an identity provider says somebody is.

    ``provider`` is the account's ``provider`` value (``google``, ``openid``, ``ldap`` …),
    ``key`` the field that holds the provider's id (``googleId``, ``openidId``, …),
    ``subject`` that id, ``issuer`` the OpenID issuer or ``None``. ``email_verified``: the
    provider vouches for the address. ``fields`` are further account fields to store
    (``name``, ``username``, ``avatar``, ``idOnTheSource``, ``role``).
    """

    provider: str
    key: str
    subject: str
    email: str
    email_verified: bool
    issuer: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


class IdentityRefused(Exception):
    """An identity may not sign in. ``code`` is for the log and the login page
    (``auth_failed``, ``registration_closed``, ``domain``, ``other_provider``, ``unverified``)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session that was opened. ``cookies`` are complete ``Set-Cookie`` values;
    ``account`` as the login answer shows it; ``second_factor`` is the temporary token when
    the account still owes one, and then there is no access token and no cookie."""

    access_token: str | None
    account: Mapping[str, Any]
    cookies: Sequence[str] = ()
    second_factor: str | None = None


class SignIns(Protocol):
    """Accounts for identities, and sessions for accounts."""

    async def adopt(self, identity: Identity, *, may_register: bool) -> str:
        """The id of the account of an identity: found by provider id (and issuer), else by a
        verified address of an account of the same provider kind or without one, else created.
        `IdentityRefused` when the deployment does not allow it."""
        ...

    async def open(
        self, user_id: str, *, token_provider: str = "librechat", skip_second_factor: bool = False
    ) -> OpenedSession:
        """Open a session for an account."""
        ...

    async def close_all(self, user_id: str) -> None:
        """End every session of an account, on every server."""
        ...


SIGN_INS: Service[SignIns] = Service("accounts.sign-ins", "Accounts and sessions for identities")


class PasswordCheck(Protocol):
    """Checks a name and password elsewhere (a directory). When one is registered, local
    passwords are not tried."""

    async def check(self, name: str, password: str) -> str:
        """The account id; `IdentityRefused` with the directory's message otherwise."""
        ...


PASSWORD_CHECKS: Extension[PasswordCheck] = Extension(
    "accounts.password-checks", "Directories that check passwords instead of the account store"
)


@dataclass(frozen=True, slots=True)
class AccountSignedIn(Fact):
    """Somebody signed in. ``provider`` says how."""

    user_id: str
    provider: str
