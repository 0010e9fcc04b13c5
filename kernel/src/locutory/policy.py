"""The policy of a kernel: that of a plugin, or defaults."""

from collections.abc import Mapping

from locutory.access import ADMIN_ROLE, POLICY, Decision, PermissionGroup, Principal
from locutory.services import Services


class DefaultPolicy:
    """The policy when no plugin provides `POLICY`: the defaults that plugins declare.

    The role ``ADMIN`` holds every capability, every other role none.
    """

    def __init__(self, groups: Mapping[str, PermissionGroup]) -> None:
        self._groups = groups

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        known = self._groups.get(group)
        default = None if known is None else known.actions.get(action)
        if default is None:
            return Decision(False, f"no plugin declares {group}.{action}")
        allowed = default.admin if principal.role == ADMIN_ROLE else default.user
        return Decision(allowed, f"default of {group}.{action} for role {principal.role}")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        admin = principal.role == ADMIN_ROLE
        return Decision(
            admin, f"role {principal.role} {'holds' if admin else 'lacks'} {capability}"
        )


class CurrentPolicy:
    """The policy of a server: the service `POLICY`, else `DefaultPolicy`."""

    def __init__(self, services: Services, groups: Mapping[str, PermissionGroup]) -> None:
        self._services = services
        self._default = DefaultPolicy(groups)

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        policy = self._services.find(POLICY) or self._default
        return await policy.allows(principal, group, action)

    async def holds(self, principal: Principal, capability: str) -> Decision:
        policy = self._services.find(POLICY) or self._default
        return await policy.holds(principal, capability)
