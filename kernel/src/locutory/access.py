"""Who calls, and what a route demands of them.

Every route declares its access; the kernel applies it. Authentication and policy
themselves come from plugins (`AUTHENTICATORS`, `POLICY`).
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
    """An answer of the policy with its reason; truthy when allowed."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


class Authenticator(Protocol):
    """Turns a request into a caller."""

    async def authenticate(self, request: "Request") -> Principal:
        """The caller; raises `locutory.Unauthorized` with the contract's message."""
        ...


class Policy(Protocol):
    """Decides what a role may do."""

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        """May the caller use ``action`` of permission group ``group``?"""
        ...

    async def holds(self, principal: Principal, capability: str) -> Decision:
        """Does the caller hold an administrative capability such as ``manage:roles``?"""
        ...


AUTHENTICATORS: Extension[Authenticator] = Extension(
    "kernel.authenticators",
    "Ways to authenticate a request: 'session' for signed-in users, 'api-key' for API keys, 'cookie' for what a page shows",
)
POLICY: Service[Policy] = Service("kernel.policy", "Permissions and capabilities of a caller")


@dataclass(frozen=True, slots=True)
class Public:
    """Anybody; the reason is shown by ``locutory routes``."""

    reason: str


@dataclass(frozen=True, slots=True)
class OptionalUser:
    """Anybody; a valid session is recognised, an invalid one ignored."""

    reason: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A valid session."""


@dataclass(frozen=True, slots=True)
class Can:
    """A valid session whose role has ``action`` of ``group``.

    ``refusal`` replaces the body of the 403 where the contract states another.
    """

    group: str
    action: str
    refusal: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Capability:
    """A valid session that holds an administrative capability."""

    name: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A valid API key with this scope."""

    scope: str


Access = Public | OptionalUser | SignedIn | Can | Capability | ApiKey


@dataclass(frozen=True, slots=True)
class Action:
    """Default of one permission for the two system roles."""

    user: bool
    admin: bool = True
    summary: str = ""


@dataclass(frozen=True, slots=True)
class PermissionGroup:
    """What the hook ``permissions`` returns: a group such as ``REPORTS`` and its actions."""

    name: str
    actions: Mapping[str, Action]
    summary: str
