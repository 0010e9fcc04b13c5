"""The caller of a request, and the access that a route demands.

Every route declares its access; the kernel applies it. Authentication and policy themselves come
from plugins (`AUTHENTICATORS`, `POLICY`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from locutory.keys import Extension, Service

if TYPE_CHECKING:
    from locutory.http.request import Request

ADMIN_ROLE = "ADMIN"


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller.

    ``id`` is the account's id as text, ``role`` a role name, ``scopes`` ``None`` for a
    full session or the set an API key was granted. ``account`` is the stored account
    as the authenticator loaded it (without secrets), so that a handler needs no second
    read.
    """

    id: str
    role: str = "USER"
    tenant: str | None = None
    scopes: frozenset[str] | None = None
    account: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the policy and the reason for it; truthy when allowed."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


class Authenticator(Protocol):
    """Turns a request into a caller."""

    async def authenticate(self, request: "Request") -> Principal:
        """Return the caller; raise `locutory.Unauthorized` with the contract's message when there
        is none."""
        ...


class Policy(Protocol):
    """Decides which permissions and capabilities a caller has."""

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        """A positive decision when the caller may use ``action`` of permission group ``group``."""
        ...

    async def holds(self, principal: Principal, capability: str) -> Decision:
        """A positive decision when the caller holds an administrative capability such as
        ``manage:roles``."""
        ...


AUTHENTICATORS: Extension[Authenticator] = Extension(
    "kernel.authenticators",
    "Ways to authenticate a request: 'session' for signed-in users, 'api-key' for API keys, 'cookie' for what a page shows",
)
POLICY: Service[Policy] = Service("kernel.policy", "Permissions and capabilities of a caller")


@dataclass(frozen=True, slots=True)
class Public:
    """Access for anybody, signed in or not; the reason is shown by ``locutory routes``."""

    reason: str


@dataclass(frozen=True, slots=True)
class OptionalUser:
    """Access for anybody; a valid session is recognised, an invalid one is ignored. The reason is
    shown by ``locutory routes``."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Access with a valid session."""


@dataclass(frozen=True, slots=True)
class Can:
    """Access with a valid session whose role has ``action`` of ``group``.

    ``refusal`` replaces the body of the 403 where the contract states another.
    """

    group: str
    action: str
    refusal: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Capability:
    """Access with a valid session that holds an administrative capability."""

    name: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Access with a valid API key that has this scope."""

    scope: str


Access = Public | OptionalUser | SignedIn | Can | Capability | ApiKey


@dataclass(frozen=True, slots=True)
class Action:
    """The defaults of one permission for the two system roles, USER and ADMIN."""

    user: bool
    admin: bool = True
    summary: str = ""


@dataclass(frozen=True, slots=True)
class PermissionGroup:
    """A group of permissions such as ``REPORTS`` with its actions; the hook ``permissions`` returns
    a list of these."""

    name: str
    actions: Mapping[str, Action]
    summary: str
