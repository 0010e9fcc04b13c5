"""Rights on single resources: agents, prompt groups, shared links … (roles §4).

Rights are bits: VIEW 1, EDIT 2, DELETE 4, SHARE 8. The rights of a user on a resource are the union
of those that its entries give to their account, their role, their groups and everybody.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from locutory import Decision, Extension, Fact, Principal, Service

VIEW = 1
EDIT = 2
DELETE = 4
SHARE = 8
OWNER = VIEW | EDIT | DELETE | SHARE


class ResourceKind(Protocol):
    """One type of shareable resource, offered under its name (``agent``, ``promptGroup``, …).

    ``permission`` is the permission group whose SHARE and SHARE_PUBLIC guard sharing,
    ``capability`` the one that bypasses the entries; ``access_roles`` the ids of its access
    roles and their bits, with the translation keys of name and description;
    ``missing_is_404``: an unknown resource answers 404 instead of 403.
    """

    permission: str
    capability: str
    access_roles: Sequence["AccessRole"]
    missing_is_404: bool

    async def exists(self, resource_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class AccessRole:
    """A named set of bits that may be granted."""

    id: str
    bits: int
    name: str
    description: str


RESOURCE_KINDS: Extension[ResourceKind] = Extension(
    "access.resources", "Types of resources whose access can be shared"
)


@dataclass(frozen=True, slots=True)
class Authored:
    """A resource with its author. ``id`` and ``author`` are 24-hex text. ``listed``: the id of the
    resource in the former list of resources that are open to everybody; ``public_role``: the access
    role that everybody gets when that list names it."""

    id: str
    author: str
    tenant: str | None
    listed: str
    public_role: str


class AuthoredResources(Protocol):
    """Resources of one type whose author is stored with them, offered under the type's name.

    ``locutory migrate`` gives the author an entry where no user has one: versions of LibreChat
    without entries left resources in that state. ``list_name``: the member of the project
    ``instance`` that lists the resources open to everybody.
    """

    list_name: str

    def all(self) -> AsyncIterator[Authored]: ...


AUTHORED: Extension[AuthoredResources] = Extension(
    "access.authored", "Resources that may be older than access entries, with their authors"
)


class ResourceAccess(Protocol):
    """Decides on and stores the rights on resources. Ids are 24-hex text (the resource's
    ``_id``)."""

    async def decide(
        self, principal: Principal, kind: str, resource_id: str, needed: int
    ) -> Decision:
        """A positive decision when the caller has all bits of ``needed``. The reason names the
        entry or capability."""
        ...

    async def bits(self, principal: Principal, kind: str, resource_id: str) -> int:
        """The caller's bits according to entries alone; 0 when there are none."""
        ...

    async def reachable(
        self, principal: Principal, kind: str, needed: int = VIEW
    ) -> Mapping[str, int]:
        """Resource id → bits, for every resource on which the caller has all bits of ``needed``."""
        ...

    async def public(self, kind: str, resource_ids: Sequence[str]) -> set[str]:
        """The ids of those of the resources that everybody may view."""
        ...

    async def grant_owner(self, user: str, kind: str, resource_id: str) -> None:
        """Give the creator of a resource the entry of an owner."""
        ...

    async def grant_public(self, kind: str, resource_id: str, access_role: str | None) -> None:
        """Give everybody an access role on a resource; ``None`` withdraws it."""
        ...

    async def owners(self, kind: str, resource_ids: Sequence[str]) -> Mapping[str, set[str]]:
        """Resource id → ids of the users who own it by an entry; empty sets included."""
        ...

    async def expire(self, kind: str, resource_id: str, at: datetime | None) -> None:
        """Let every entry of a resource, including later ones, end at a moment; ``None``: never."""
        ...

    async def forget(self, kind: str, resource_ids: Sequence[str]) -> None:
        """Delete every entry of resources that are deleted."""
        ...


ACCESS: Service[ResourceAccess] = Service("access", "Rights on single resources")


@dataclass(frozen=True, slots=True)
class AccessRevoked(Fact):
    """Users lost their rights on a resource."""

    kind: str
    resource_id: str
    users: Sequence[str]
