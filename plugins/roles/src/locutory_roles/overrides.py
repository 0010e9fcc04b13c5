"""The permissions in ``librechat.yaml``, applied at every start (contract roles §3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from locutory_contracts.offers import INTERFACE_PERMISSIONS
from locutory_roles.config import (
    InterfacePermissions,
    Links,
    Market,
    MemoryPermissions,
    People,
    Sharing,
)
from locutory_roles.defaults import SYSTEM_ROLES, Permissions

_FLAGS = (
    *("bookmarks", "multiConvo", "temporaryChat", "runCode", "webSearch", "fileSearch"),
    *("fileCitations", "memories"),
)
_FEATURES = ("prompts", "agents", "skills", "mcpServers", "remoteAgents")

Named = dict[str, dict[str, bool | None]]
"""Type → permission → value; ``None`` represents the role's default."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """The permissions that the file names. ``memory`` is ``None`` without that section."""

    named: Named
    memory: MemoryPermissions | None = None

    def changes(self, defaults: Permissions, stored: Mapping[str, Any]) -> Permissions:
        """The permissions to write into a system role, given its defaults and its stored ones.
        Types that the file does not name are not changed."""
        found: Permissions = {}
        for kind, permissions in self.named.items():
            standard = defaults.get(kind, {})
            found[kind] = {
                name: standard.get(name, False) if value is None else value
                for name, value in permissions.items()
            }
        if self.memory is not None:
            memories = found.setdefault("MEMORIES", {})
            memories.update(self._memories(self.memory, defaults, stored))
        return found

    def names(self, role: str, kind: str, action: str) -> bool:
        """``True`` when the file decides about a permission of a role."""
        if role not in SYSTEM_ROLES:
            return False
        return action in self.named.get(kind, {}) or (
            kind == "MEMORIES" and self.memory is not None
        )

    def _memories(
        self, memory: MemoryPermissions, defaults: Permissions, stored: Mapping[str, Any]
    ) -> dict[str, bool]:
        standard = defaults["MEMORIES"]
        if memory.disabled:
            return dict.fromkeys(standard, False)
        changes = {"USE": True}
        before = stored.get("MEMORIES")
        if not isinstance(before, Mapping) or before.get("USE") is not True:
            # Switched on again: give back what ``disabled: true`` had taken.
            changes = {**standard, "USE": True}
        if memory.personalize is False:
            changes["OPT_OUT"] = False
        return changes


def read_overrides(interface: Any, memory: Any) -> Overrides:
    """The overrides of the sections ``interface`` and ``memory``, validated before."""
    parsed = InterfacePermissions.model_validate(interface or {})
    named: Named = {}
    for key in _FLAGS:
        value = getattr(parsed, key)
        if value is not None:
            named[INTERFACE_PERMISSIONS[key]] = {"USE": value}
    for key in _FEATURES:
        feature: Sharing | None = getattr(parsed, key)
        if feature is not None:
            kind = INTERFACE_PERMISSIONS[key]
            named[kind] = _feature(feature)
            if kind == "MCP_SERVERS" and feature.configureObo is not None:
                named[kind]["CONFIGURE_OBO"] = feature.configureObo
    if parsed.marketplace is not None:
        named["MARKETPLACE"] = _market(parsed.marketplace)
    if parsed.peoplePicker is not None:
        named["PEOPLE_PICKER"] = _people(parsed.peoplePicker)
    if parsed.sharedLinks is not None:
        named["SHARED_LINKS"] = _created_and_shared(parsed.sharedLinks)
    return Overrides(named, None if memory is None else MemoryPermissions.model_validate(memory))


def _created_and_shared(sharing: Sharing | Links) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    if sharing.create is not None:
        found["CREATE"] = sharing.create
    if sharing.share is not None or sharing.public is not None:
        found["SHARE"] = sharing.share
        found["SHARE_PUBLIC"] = sharing.public
    return found


def _feature(feature: Sharing) -> dict[str, bool | None]:
    return {"USE": feature.use, **_created_and_shared(feature)}


def _market(market: Market) -> dict[str, bool | None]:
    return {"USE": market.use}


def _people(people: People) -> dict[str, bool | None]:
    return {
        "VIEW_USERS": people.users,
        "VIEW_GROUPS": people.groups,
        "VIEW_ROLES": people.roles,
    }
