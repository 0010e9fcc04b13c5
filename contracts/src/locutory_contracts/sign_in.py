"""Sign-in other than by password: social logins, OpenID Connect, SAML, LDAP."""

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
    """An identity as an identity provider describes it.

    ``provider`` is the account's ``provider`` value (``google``, ``openid``, ``ldap`` …), ``key``
    the field that holds the provider's id (``googleId``, ``openidId``, …), ``subject`` that id, or
    "" where SAML gives an id that changes with each sign-in; ``issuer`` the OpenID issuer without
    trailing slash, or ``None``. ``email``: the address, or "" when the provider gives none;
    ``email_verified``: the provider has verified it. ``fields`` are further account fields:
    ``name``, ``username``, ``avatar``, ``idOnTheSource``, ``tenantId``; ``role``, which an existing
    account receives, too. ``issuer_configured``: the issuer is the one in the deployment's
    settings, so accounts from before issuers were stored belong to it.
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
    """A session that was opened. ``cookies`` are complete ``Set-Cookie`` values; ``account`` has
    the members of the login answer; ``second_factor`` is the temporary token when the second factor
    is still missing, and then there is no access token and no cookie."""

    access_token: str | None
    account: Mapping[str, Any]
    cookies: Sequence[str] = ()
    second_factor: str | None = None


class SignIns(Protocol):
    """Finds or creates accounts for identities, and opens and ends sessions."""

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        """The account id of an identity: found by provider id (and issuer), else by a verified
        address of an account of the same provider, else created. An account with another id at the
        provider is found by its address in SAML only. None is created without an address of the
        form ``x@y.z``. The provider's data is stored as in contract oauth §4-§7. ``address``: the
        IP address of the person, whose ban counts.

        Raises `IdentityRefused` when the deployment does not allow it; `HTTPError` with the
        contract's answer for banned users, and 409, with a text for the person, when a directory
        gives an identity the address of another account.
        """
        ...

    async def expect(self, identity: Identity) -> str:
        """The account id of a person whom a directory lists and who need not have signed in yet:
        ``subject`` is "" and ``fields`` contain ``idOnTheSource``. It is the account with this id,
        or else with this address; `adopt` finds it when that person signs in. Existing accounts are
        not changed; else one is created, with an address that counts as unverified. Only accounts
        of the tenant in ``fields`` are found, without it those that have none.

        Raises `IdentityRefused` when the deployment does not allow such an account (``domain``),
        when there is no address (``auth_failed``), or when the address is that of an account whose
        owner has never verified it (``unverified``), that has another id in the directory
        (``other_provider``), or that is being deleted (``closing``).
        """
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
        """Open a session for an account. ``address`` (IP) and ``agent`` (User-Agent) are shown in
        the list of its sessions."""
        ...

    async def close_all(self, user_id: str) -> None:
        """End every session of an account, on every server."""
        ...


SIGN_INS: Service[SignIns] = Service("accounts.sign-ins", "Accounts and sessions for identities")


class PasswordCheck(Protocol):
    """Checks a name and password elsewhere (in a directory). When one is registered, local
    passwords are not checked."""

    async def check(self, name: str, password: str) -> str:
        """The account id; raises `IdentityRefused` with the directory's message when the check
        fails."""
        ...


PASSWORD_CHECKS: Extension[PasswordCheck] = Extension(
    "accounts.password-checks", "Directories that check passwords instead of the account store"
)


@dataclass(frozen=True, slots=True)
class OutsideSession:
    """A session that an identity provider keeps, identified by the request's cookies. ``id``: 24
    hex characters, the same until it ends, or ``None``; ``began``: the moment of sign-in."""

    user_id: str
    id: str | None
    began: datetime


@dataclass(frozen=True, slots=True)
class OutsideAnswer:
    """The response of ``POST /api/auth/refresh``. ``cookies``: complete ``Set-Cookie`` values."""

    status: int
    body: Mapping[str, Any] | str | None
    cookies: Sequence[str] = ()
    location: str | None = None


@dataclass(frozen=True, slots=True)
class OutsideEnd:
    """Additions to the response of a logout: members of its body, and ``Set-Cookie`` values."""

    members: Mapping[str, Any] = field(default_factory=dict)
    cookies: Sequence[str] = ()


class OutsideSessions(Protocol):
    """Sessions that an identity provider keeps. An entry is for requests whose cookie
    ``token_provider`` is its name; the entry of `AUTHENTICATORS` with that name reads their tokens.
    The caller checks whether the account is closed or banned, or the session was ended."""

    def session(self, request: "Request") -> OutsideSession | None:
        """The session of a request, without a look-up in the database; ``None`` when it has
        none."""
        ...

    async def refresh(self, request: "Request") -> OutsideAnswer | None:
        """New tokens for a request; ``None`` when the default refresh has to answer."""
        ...

    async def end(self, request: "Request", account: Account) -> OutsideEnd:
        """End the session of a request in which the account logs out. Faults do not prevent the
        logout."""
        ...


OUTSIDE_SESSIONS: Extension[OutsideSessions] = Extension(
    "accounts.outside-sessions", "Sessions that an identity provider keeps"
)


class RoleNames(Protocol):
    """Lists the stored roles."""

    async def names(self, tenant: str | None) -> Collection[str]:
        """The names of the roles of a tenant."""
        ...


ROLE_NAMES: Service[RoleNames] = Service("access.role-names", "Names of the stored roles")


class Memberships(Protocol):
    """Membership in groups of a directory."""

    async def sync(self, user_id: str, source: str, group_ids: Collection[str]) -> None:
        """Make the account a member of the stored groups of ``source`` whose id there is in
        ``group_ids``, and of no other group of that source."""
        ...


MEMBERSHIPS: Service[Memberships] = Service(
    "access.memberships", "Membership in groups of a directory"
)


@dataclass(frozen=True, slots=True)
class AccountSignedIn(Fact):
    """A user signed in. ``provider``: the way of sign-in."""

    user_id: str
    provider: str
