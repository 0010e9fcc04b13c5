"""Signing people in by other ways than a password: social logins, OpenID Connect, SAML, LDAP."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from locutory import Extension, Fact, Service
from locutory_contracts.accounts import Account

if TYPE_CHECKING:
    from locutory import Request


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an identity provider says somebody is.

    ``provider`` is the account's ``provider`` value (``google``, ``openid``, ``ldap`` …),
    ``key`` the field that holds the provider's id (``googleId``, ``openidId``, …),
    ``subject`` that id, or "" where SAML tells one that the next sign-in will not have;
    ``issuer`` the OpenID issuer without trailing slash, or ``None``. ``email``: the address,
    or "" when the provider tells none; ``email_verified``: the provider vouches for it.
    ``fields`` are further account fields: ``name``, ``username``, ``avatar``,
    ``idOnTheSource``, ``tenantId``; ``role``, which is given to an account that exists, too.
    ``issuer_configured``: the issuer is the one of the deployment's settings, so accounts
    from before issuers were stored are its.
    """

    provider: str
    key: str
    subject: str
    email: str
    email_verified: bool
    issuer: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    issuer_configured: bool = True


class IdentityRefused(Exception):
    """An identity may not sign in. ``code`` is for the log and the login page
    (``auth_failed``, ``registration_closed``, ``no_address``, ``domain``, ``other_provider``,
    ``unverified``, ``closing``)."""

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

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        """The id of the account of an identity: found by provider id (and issuer), else by a
        verified address of an account of the same provider, else created. An account that
        has another id at the provider is found by its address in SAML only. None is created
        without an address of the form ``x@y.z``. What the provider says is written as
        contract oauth §4-§7 has it. ``address``: where the person comes from, whose ban
        counts.

        `IdentityRefused` when the deployment does not allow it; `HTTPError` with the
        contract's answer for those who are banned, and 409, with a text for the person,
        where a directory gives somebody the address of another account."""
        ...

    async def expect(self, identity: Identity) -> str:
        """The id of the account of somebody who need not have signed in yet, and of whom a
        directory tells: ``subject`` is "" and ``fields`` hold ``idOnTheSource``. It is the
        account with this id there, or else with this address; `adopt` finds it when that
        person signs in. Accounts that are there are not changed; else one is created, with
        an address that counts as unverified. Only in the tenant that ``fields`` name, or
        among accounts without one.

        `IdentityRefused` when the deployment wants no such account (``domain``), when there
        is no address (``auth_failed``), or when it is that of an account whose owner never
        showed that it is theirs (``unverified``), who is somebody else there
        (``other_provider``), or which is being deleted (``closing``)."""
        ...

    async def open(
        self,
        user_id: str,
        *,
        token_provider: str = "librechat",
        skip_second_factor: bool = False,
        address: str = "",
        agent: str = "",
    ) -> OpenedSession:
        """Open a session for an account. ``address`` and ``agent`` (User-Agent) are shown in
        the list of its sessions."""
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
class OutsideSession:
    """A session that an identity provider keeps, as the browser proves it. ``id``: 24 hex
    characters, the same until it ends, or ``None``; ``began``: when the person signed in."""

    user_id: str
    id: str | None
    began: datetime


@dataclass(frozen=True, slots=True)
class OutsideAnswer:
    """What ``POST /api/auth/refresh`` answers. ``cookies``: complete ``Set-Cookie`` values."""

    status: int
    body: Mapping[str, Any] | str | None
    cookies: Sequence[str] = ()
    location: str | None = None


@dataclass(frozen=True, slots=True)
class OutsideEnd:
    """What logging out adds: members of the answer, and ``Set-Cookie`` values."""

    members: Mapping[str, Any] = field(default_factory=dict)
    cookies: Sequence[str] = ()


class OutsideSessions(Protocol):
    """Sessions that an identity provider keeps. An entry is for requests whose cookie
    ``token_provider`` is its name, and `AUTHENTICATORS` of that name reads their tokens.
    Whether the account is closed or banned, or the session was ended, is checked by whoever
    asks."""

    def session(self, request: "Request") -> OutsideSession | None:
        """The session of a request; ``None`` without one. Costs no look-up."""
        ...

    async def refresh(self, request: "Request") -> OutsideAnswer | None:
        """New tokens; ``None`` when the usual refresh has to answer."""
        ...

    async def end(self, request: "Request", account: Account) -> OutsideEnd:
        """An account logs out, whatever its session. Faults do not keep it from that."""
        ...


OUTSIDE_SESSIONS: Extension[OutsideSessions] = Extension(
    "accounts.outside-sessions", "Sessions that an identity provider keeps"
)


class RoleNames(Protocol):
    """Which roles exist."""

    async def names(self, tenant: str | None) -> Collection[str]:
        """Names of the roles of a tenant."""
        ...


ROLE_NAMES: Service[RoleNames] = Service("access.role-names", "Names of the stored roles")


class Memberships(Protocol):
    """Membership in groups that come from a directory."""

    async def sync(self, user_id: str, source: str, group_ids: Collection[str]) -> None:
        """Make the account a member of the stored groups of ``source`` whose id there is in
        ``group_ids``, and of no other group of that source."""
        ...


MEMBERSHIPS: Service[Memberships] = Service(
    "access.memberships", "Membership in groups of a directory"
)


@dataclass(frozen=True, slots=True)
class AccountSignedIn(Fact):
    """Somebody signed in. ``provider`` says how."""

    user_id: str
    provider: str
