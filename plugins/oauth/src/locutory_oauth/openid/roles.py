"""Roles that the provider's claims demand or give (contract oauth §5.3)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locutory_oauth.config import OpenIdSettings, TokenKind
from locutory_oauth.identity import Refused, RoleRules
from locutory_oauth.openid.claims import at_path
from locutory_oauth.openid.verification import unverified_claims

GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of roles. ``overage`` asks the directory for the groups of a person who has too
    many for a token; ``None`` when it does not answer."""

    id_claims: Mapping[str, Any]
    access_token: str
    userinfo: Mapping[str, Any]
    overage: Callable[[], Awaitable[Sequence[str] | None]]

    def claims(self, kind: TokenKind) -> Mapping[str, Any]:
        """The claims of one kind."""
        if kind == "id":
            return self.id_claims
        return self.userinfo if kind == "userinfo" else unverified_claims(self.access_token)


def has_overage(claims: Mapping[str, Any]) -> bool:
    """``True`` when Entra signals that there are more groups than the token contains."""
    if claims.get("hasgroups"):
        return True
    name = at_path(claims, "_claim_names.groups")
    sources = claims.get("_claim_sources")
    return isinstance(name, str) and isinstance(sources, Mapping) and bool(sources.get(name))


def words(value: Any) -> list[str]:
    """Roles as a list, or as text with spaces or commas between them."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return []


def names_in(value: Any) -> set[str]:
    """Every name that a claim may contain: its `words`, and, since providers send a single role as
    text and names may contain spaces, the whole text and its parts between commas."""
    found = set(words(value))
    if isinstance(value, str):
        found |= {value, *value.split(",")}
    elif isinstance(value, list):
        found |= {str(each) for each in value if type(each) is int}
    return {name.strip() for name in found} - {""}


class Roles:
    """The rules of a deployment."""

    def __init__(self, settings: OpenIdSettings) -> None:
        self._settings = settings

    async def read(self, sources: Sources) -> RoleRules:
        """The change of the role; raises `Refused` when a required role is missing."""
        await self._check_required(sources)
        admin = await self._is_admin(sources)
        return RoleRules(admin, None if admin else await self.synchronised(sources))

    async def _check_required(self, sources: Sources) -> None:
        required = self._settings.openid_required_role
        path = self._settings.openid_required_role_parameter_path
        kind = self._settings.openid_required_role_token_kind
        if not required or path is None or kind is None:
            return
        held = names_in(await self._held(sources, kind, path))
        if not any(role in held for role in required):
            named = ", ".join(f'"{role}"' for role in required)
            which = named if len(required) == 1 else f"one of: {named}"
            raise Refused("role", f"You must have {which} role to log in.")

    async def _is_admin(self, sources: Sources) -> bool | None:
        role = self._settings.openid_admin_role
        path = self._settings.openid_admin_role_parameter_path
        kind = self._settings.openid_admin_role_token_kind
        if not role or not path or kind is None:
            return None
        held = await self._held(sources, kind, path)
        return held is True or role in names_in(held)

    async def _held(self, sources: Sources, kind: TokenKind, path: str) -> Any:
        claims = sources.claims(kind)
        if kind == "id" and path == GROUPS and has_overage(claims):
            resolved = await sources.overage()
            if resolved is not None:
                return list(resolved)
        return at_path(claims, path)

    async def synchronised(self, sources: Sources) -> str | None:
        """The role to give by ``OPENID_ROLE_SYNC_*``: the first of the configured ones that
        the claim names, else the fallback. ``None``: leave it alone. Case does not matter."""
        settings = self._settings
        path = settings.openid_role_sync_claim
        if not settings.openid_role_sync_enabled or not path:
            return None
        claims = sources.claims(settings.openid_role_sync_source)
        in_token = settings.openid_role_sync_source != "userinfo"
        if path == GROUPS and in_token and has_overage(claims):
            resolved = await sources.overage()
            if resolved is None:
                return None
            claims = {GROUPS: list(resolved)}
        held = {role.lower() for role in names_in(at_path(claims, path))}
        wanted = [role for role in settings.openid_role_sync_role_priority if role.lower() in held]
        if settings.openid_role_sync_fallback_role:
            wanted.append(settings.openid_role_sync_fallback_role)
        return wanted[0] if wanted else None
