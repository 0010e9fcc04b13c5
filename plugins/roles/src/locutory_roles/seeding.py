"""Writes at every start: system roles, access roles, grants, the file's permissions.

Idempotent, and safe for several servers that start together: documents are inserted
under unique indexes, permissions are set one by one to values that depend on nothing
but the configuration.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from locutory import Raw
from locutory_roles.defaults import SYSTEM_ROLES, Permissions
from locutory_roles.grants import GrantStore
from locutory_roles.old_form import OLD_SHARE, renamed
from locutory_roles.overrides import Overrides
from locutory_roles.permissions.settings import RoleSettings
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.resource_types import ResourceTypeRegistry
from locutory_roles.store import RoleStore, assignments

if TYPE_CHECKING:
    import structlog.stdlib


def repairs(document: Raw, defaults: Permissions) -> dict[str, Any]:
    """The update that an older role needs: the old name ``SHARED_GLOBAL`` becomes
    ``SHARE``, and missing types and permissions get their defaults."""
    stored = document.get("permissions")
    sets: dict[str, Any] = {}
    unsets: dict[str, str] = {}
    known: Any = stored
    if isinstance(stored, Mapping):
        known = {}
        for kind, permissions in stored.items():
            known[kind] = permissions
            if isinstance(permissions, Mapping) and OLD_SHARE in permissions:
                unsets[f"permissions.{kind}.{OLD_SHARE}"] = ""
                known[kind] = renamed(permissions)
                if permissions.get("SHARE") is None:
                    sets[f"permissions.{kind}.SHARE"] = known[kind]["SHARE"]
    missing = {
        kind: {
            name: value
            for name, value in permissions.items()
            if not isinstance(known, Mapping)
            or not isinstance(known.get(kind), Mapping)
            or known[kind].get(name) is None
        }
        for kind, permissions in defaults.items()
    }
    sets.update(assignments(known, missing))
    if document.get("description") is None:
        sets["description"] = ""
    update: dict[str, Any] = {}
    if sets:
        update["$set"] = sets
    if unsets:
        update["$unset"] = unsets
    return update


class Seeding:
    """Updates the stored roles and grants. Of custom roles only the form is changed, never the
    permissions."""

    def __init__(
        self,
        roles: RoleStore,
        grants: GrantStore,
        access_roles: AccessRoleStore,
        resource_types: ResourceTypeRegistry,
        defaults: Callable[[str], Permissions],
        overrides: Overrides,
        settings: RoleSettings,
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._grants = grants
        self._access_roles = access_roles
        self._resource_types = resource_types
        self._defaults = defaults
        self._overrides = overrides
        self._log = log

    async def run(self) -> None:
        """Contract roles §3, §4.2 and §6; collections §4 has the order."""
        for name in await self._roles.modernise():
            self._log.info("roles.form_changed", role=name)
        for name in SYSTEM_ROLES:
            await self._complete(name)
        added = await self._access_roles.seed(self._resource_types.all())
        if added:
            self._log.info("access.roles_added", count=added)
        granted = await self._grants.seed()
        for name in SYSTEM_ROLES:
            await self._override(name)
        for name, changes in self._settings.changes().items():
            document = await self._roles.document(name)
            if document is not None:
                await self._configure(document, changes)
        self._roles.forget()
        if granted:
            self._log.info("roles.grants_added", role="ADMIN", count=granted)

    async def _complete(self, name: str) -> None:
        document = await self._roles.document(name)
        if document is None:
            if await self._roles.create(name):
                self._log.info("roles.created", role=name)
                return
            document = await self._roles.document(name)
        if document is None:
            raise RuntimeError(f"role {name} can neither be created nor read")
        update = repairs(document, self._defaults(name))
        if update:
            await self._roles.write(document, update)
            self._log.info("roles.completed", role=name, changes=_paths(update))

    async def _override(self, name: str) -> None:
        document = await self._roles.document(name)
        if document is None:
            return
        stored = document.get("permissions")
        changes = self._overrides.changes(
            self._defaults(name), stored if isinstance(stored, Mapping) else {}
        )
        await self._configure(document, changes)

    async def _configure(self, document: Raw, changes: Permissions) -> None:
        update = assignments(document.get("permissions"), changes)
        if update:
            await self._roles.write(document, {"$set": update})
            self._log.info(
                "roles.configured", role=document["name"], changes=_paths({"$set": update})
            )


def _paths(update: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted(
        path.removeprefix("permissions.") for changes in update.values() for path in changes
    )
