"""``plugins.roles.permissions``: permissions that every start writes into roles, over the stored
ones."""

from collections.abc import Callable, Mapping

from locutory import Check
from locutory_roles.defaults import Permissions
from locutory_roles.permissions.declared import Declared, readable
from locutory_roles.store import RoleStore

PLACE = "plugins.roles.permissions"

Wanted = Mapping[str, Mapping[str, Mapping[str, bool]]]
"""Role → permission type → permission → allowed."""


class RoleSettings:
    """The permissions in the setting, as far as enabled plugins declare them."""

    def __init__(self, wanted: Wanted, declared: Callable[[], Declared], roles: RoleStore) -> None:
        self._wanted = wanted
        self._declared = declared
        self._roles = roles

    def changes(self) -> dict[str, Permissions]:
        """Role → permissions to write."""
        declared = self._declared()
        return {role: readable(declared, types)[0] for role, types in self._wanted.items()}

    def sets(self, role: str, kind: str, action: str) -> bool:
        """``True`` when the setting decides about a permission."""
        return action in self.changes().get(role, {}).get(kind, {})

    def check(self) -> Check:
        """A sentence about the parts of the setting without effect, for every start and ``locutory
        doctor``."""
        return Check("permissions of the configuration", self._look)

    async def _look(self) -> str | None:
        declared = self._declared()
        found = [
            f"{PLACE}.{role}: {sentence}"
            for role, types in self._wanted.items()
            for sentence in readable(declared, types)[1]
        ]
        known = await self._roles.existing(list(self._wanted))
        found += [f"{PLACE}.{role}: there is no such role" for role in set(self._wanted) - known]
        return "; ".join(found) or None
