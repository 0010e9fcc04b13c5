"""The types of resources whose access can be shared (contract roles §4.1, §4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from locutory import Services
from locutory_contracts.access import (
    EDIT,
    OWNER,
    RESOURCE_KINDS,
    VIEW,
    AccessRole,
    ResourceKind,
)

_BITS = {"viewer": VIEW, "editor": VIEW | EDIT, "owner": OWNER}


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type of resource. ``plugin`` is its entry in `RESOURCE_KINDS`, ``None`` while no
    enabled plugin has resources of this type."""

    name: str
    permission: str
    capability: str
    access_roles: Sequence[AccessRole]
    missing_is_404: bool = False
    plugin: ResourceKind | None = None

    async def exists(self, resource_id: str) -> bool:
        """``True`` when there is such a resource. Without a plugin nobody knows: then only
        entries count, and of a type that answers 404 there is nothing."""
        if self.plugin is None:
            return not self.missing_is_404
        return await self.plugin.exists(resource_id)

    @property
    def owner_role(self) -> str:
        """The access role of a resource's creator."""
        roles = (role.id for role in self.access_roles if role.bits == OWNER)
        return next(roles, f"{self.name}_owner")


def _access_roles(kind: str, words: str, *levels: str) -> tuple[AccessRole, ...]:
    return tuple(
        AccessRole(f"{kind}_{level}", _BITS[level], f"{words}_{level}", f"{words}_{level}_desc")
        for level in levels
    )


def _known() -> dict[str, ResourceType]:
    every = ("viewer", "editor", "owner")
    role = "com_ui_role"
    kinds = (
        ResourceType("agent", "AGENTS", "manage:agents", _access_roles("agent", role, *every)),
        ResourceType(
            "promptGroup", "PROMPTS", "manage:prompts", _access_roles("promptGroup", role, *every)
        ),
        ResourceType(
            "mcpServer",
            "MCP_SERVERS",
            "manage:mcpservers",
            _access_roles("mcpServer", "com_ui_mcp_server_role", *every),
            missing_is_404=True,
        ),
        ResourceType(
            "remoteAgent",
            "REMOTE_AGENTS",
            "manage:agents",
            _access_roles("remoteAgent", "com_ui_remote_agent_role", *every),
        ),
        ResourceType(
            "skill",
            "SKILLS",
            "manage:skills",
            _access_roles("skill", role, *every),
            missing_is_404=True,
        ),
        ResourceType(
            "sharedLink",
            "SHARED_LINKS",
            "manage:sharedlinks",
            _access_roles("sharedLink", role, "viewer", "owner"),
        ),
    )
    return {kind.name: kind for kind in kinds}


KNOWN = _known()
"""LibreChat's types. They exist whatever is enabled, because its database has their access
roles, and because its client asks for their rights at every start."""

FIXED_OWNER = frozenset({"sharedLink"})
"""Types whose owner can neither be changed nor be joined by another."""


class ResourceTypeRegistry:
    """All types: LibreChat's, and those that enabled plugins offer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def find(self, name: str) -> ResourceType | None:
        """A type by its name. A plugin's word counts more than the table, but access roles
        that only the table has stay: LibreChat counts on them."""
        known, plugin = KNOWN.get(name), self._services.named(RESOURCE_KINDS, name)
        if plugin is None:
            return known
        offered = {role.id for role in plugin.access_roles}
        standard = () if known is None else known.access_roles
        return ResourceType(
            name,
            plugin.permission,
            plugin.capability,
            (*plugin.access_roles, *(role for role in standard if role.id not in offered)),
            plugin.missing_is_404,
            plugin,
        )

    def all(self) -> list[ResourceType]:
        """LibreChat's types first, in its order."""
        names = [
            *KNOWN,
            *(name for name in self._services.all(RESOURCE_KINDS) if name not in KNOWN),
        ]
        return [kind for kind in map(self.find, names) if kind is not None]
