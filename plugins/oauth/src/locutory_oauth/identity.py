"""The outcome of a provider's answer: the result of a sign-in, or a refusal."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from locutory_contracts.sign_in import Identity

LONGEST_TEXT = 512


class Refused(Exception):
    """A sign-in that fails. ``code`` is for the log; the text never holds a secret."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Denied(Refused):
    """The provider reports that the person or the provider itself did not agree."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A profile picture. ``stored``: it is to be fetched and kept under ``name`` where that
    is possible; else the address itself is the picture."""

    url: str
    name: str = ""
    stored: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Statements of the provider's claims about the role. ``admin``: is an administrator, or
    ``None`` when the deployment does not ask; ``role``: the role to give, as configured, or
    ``None``."""

    admin: bool | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Tokens of an OpenID provider. ``claims`` are the verified ones of the id token;
    ``scope``: the granted one, ``None`` when it is the one that was asked for."""

    access: str = field(repr=False)
    id: str = field(repr=False)
    refresh: str | None = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class SignInResult:
    """A person whom a provider vouches for. ``claim_names``: of all claims or attributes that
    it sent, for those who have to find the right one."""

    identity: Identity
    may_register: bool
    claim_names: Collection[str] = ()
    picture: Picture | None = None
    rules: RoleRules = field(default_factory=RoleRules)
    tokens: TokenSet | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """The address to send a browser to, and the data to keep until it is back."""

    url: str
    memory: Mapping[str, str] = field(default_factory=dict, repr=False)


class Provider(Protocol):
    """One way to sign in."""

    async def start(self, state: str) -> Start:
        """Begin a sign-in whose answer will carry ``state``."""
        ...

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> SignInResult:
        """Read the provider's answer; raises `Refused`."""
        ...


def text(value: Any) -> str:
    """A claim as plain text: trimmed, cut to a sensible length, "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()[:LONGEST_TEXT]


def is_true(value: Any) -> bool:
    """``True`` for true, and for ``"true"``, which some providers send."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")
