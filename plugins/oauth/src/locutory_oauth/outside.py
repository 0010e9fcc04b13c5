"""What this plugin offers to others, and would use of them, beyond the shared contracts.

Keys are matched by name, so the other side declares the same; a provider that is absent
only costs its feature.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from locutory import Extension, Request, Service
from locutory_contracts.accounts import Account


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
    """Sessions that an identity provider keeps."""

    async def refresh(self, request: Request) -> OutsideAnswer | None:
        """New tokens for a request whose cookie ``token_provider`` names this entry;
        ``None`` when the usual refresh has to answer."""
        ...

    async def end(self, request: Request, account: Account) -> OutsideEnd:
        """An account logs out, whatever its session."""
        ...


OUTSIDE_SESSIONS: Extension[OutsideSessions] = Extension(
    "accounts.outside-sessions", "Sessions that an identity provider keeps"
)


class RoleNames(Protocol):
    """Which roles exist."""

    async def names(self, tenant: str | None) -> Collection[str]: ...


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


class Avatars(Protocol):
    """Stores pictures of people."""

    async def fetch(
        self, user_id: str, name: str, url: str, headers: Mapping[str, str]
    ) -> str | None:
        """Fetch a picture, cut it to a square, store it as ``name``; its address here, or
        ``None`` when it cannot be had. ``headers`` are for the origin of ``url`` only; the
        address comes from outside and must be guarded."""
        ...


AVATARS: Service[Avatars] = Service("files.avatars", "Stored pictures of people")
