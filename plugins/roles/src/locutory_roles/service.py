"""The kernel's policy, decided by stored roles and grants."""

from locutory import Decision, Principal
from locutory_roles.grants import GrantStore, satisfied_by
from locutory_roles.store import RoleStore


class RolePolicy:
    """Implements `locutory.access.Policy`. Every decision has a reason."""

    def __init__(self, roles: RoleStore, grants: GrantStore) -> None:
        self._roles = roles
        self._grants = grants

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        """A positive decision when the caller's role has ``action`` of permission type
        ``group``."""
        role = await self._roles.find(principal.role, principal.tenant)
        if role is None:
            return Decision(False, f"role {principal.role} does not exist")
        if role.allows(group, action):
            return Decision(True, f"role {role.name} has {group}.{action}")
        return Decision(False, f"role {role.name} lacks {group}.{action}")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        """A positive decision when the caller, their role or a group holds a capability or a
        broader one."""
        holder = await self._grants.holder(principal, capability)
        if holder is not None:
            return Decision(True, f"{holder} holds {capability}")
        if not satisfied_by(capability):
            return Decision(False, f"{capability} is not a capability")
        return Decision(
            False, f"neither the user nor role {principal.role} nor a group holds {capability}"
        )
