"""Accounts: the stored users, offered by the plugin that implements sign-in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from locutory import Fact, Service, Step

Account = Mapping[str, Any]
"""A stored account, a document of ``users`` (collections §3.1): ``_id`` (ObjectId), ``email``
(lower case), ``name``, ``username``, ``role`` (its name), ``provider`` (``local``, ``openid``, …),
``emailVerified``, ``twoFactorEnabled``, ``personalization``, ``favorites``, ``tenantId`` where
there are tenants; dates are aware. It never contains the password, TOTP secrets, backup codes and
``__v``."""

PROFILE_FIELDS = (
    "name",
    "username",
    "email",
    "emailVerified",
    "avatar",
    "provider",
    "role",
    "plugins",
    "twoFactorEnabled",
    "termsAccepted",
    "personalization",
    "favorites",
    "skillStates",
    "createdAt",
    "updatedAt",
    "tenantId",
)
"""The members of an account that its owner sees, in the order of ``GET /api/user`` (user §3). An
allow-list: a stored account also has members that are not for the browser."""


class Accounts(Protocol):
    """Reads and writes accounts. Ids are 24-hex text; an id of another form is never found."""

    async def find(self, user_id: str) -> Account | None:
        """One account, or ``None``. It may be some seconds old, but never older than a change made
        through this service."""
        ...

    async def update(self, user_id: str, fields: Mapping[str, Any]) -> Account | None:
        """Set fields (``updatedAt`` is renewed, ``expiresAt`` unset) and return the account;
        ``None`` when it does not exist. Never accepts secrets, role or e-mail."""
        ...

    async def count(self) -> int:
        """The number of accounts."""
        ...

    async def delete(self, user_id: str) -> bool:
        """Delete an account and everything it owns.

        Publishes `AccountDeleting` (a handler may veto), closes the account, publishes the durable
        `AccountDeleted`, and deletes the account last. ``False`` when it did not exist.
        """
        ...


ACCOUNTS: Service[Accounts] = Service("accounts", "Stored accounts")


class AccountStanding(Protocol):
    """The standing of accounts, for callers that authenticate without a session."""

    async def active(self, user_id: str) -> Account | None:
        """The account; ``None`` when it does not exist, is being deleted, or is banned."""
        ...


ACCOUNT_STANDING: Service[AccountStanding] = Service(
    "accounts.standing", "Whether an account may act at the moment"
)


class SecondFactor(Protocol):
    """Verifies the second factor of accounts that have one."""

    async def required(self, user_id: str) -> bool: ...

    async def verify(self, user_id: str, code: str | None, backup_code: str | None) -> bool: ...


SECOND_FACTOR: Service[SecondFactor] = Service(
    "accounts.second-factor", "Second factor of an account, for confirming dangerous operations"
)


@dataclass(frozen=True, slots=True)
class AccountCreated(Fact):
    """An account was created. ``user_id``: its id."""

    user_id: str


@dataclass(frozen=True, slots=True)
class AccountDeleting(Step):
    """An account is about to be deleted: handlers stop its running work, and raise to refuse."""

    user_id: str


@dataclass(frozen=True, slots=True)
class AccountDeleted(Fact):
    """An account was deleted: every plugin deletes what it stores of it. Delivered at least once,
    also to plugins that were off at that time."""

    durable: ClassVar[bool] = True
    erases: ClassVar[tuple[str, str] | None] = ("user_id", "user")
    user_id: str
