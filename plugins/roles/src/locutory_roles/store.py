"""Stored roles: read through a short cache, changed permission by permission."""

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from locutory import Broadcast, Database, Raw, encode
from locutory_roles.defaults import SYSTEM_ROLES, Permissions, shown_permissions
from locutory_roles.documents import Role
from locutory_roles.old_form import moved, old_types, today

_CAPACITY = 2000


@dataclass(frozen=True, slots=True)
class StoredRole:
    """A role as it was read. ``body`` is its form for clients: its JSON without ``_id`` and
    ``__v``, and without the permissions of features that no plugin serves."""

    name: str
    permissions: Mapping[str, Any]
    body: bytes

    def allows(self, kind: str, permission: str) -> bool:
        """A permission that is missing counts as refused."""
        found = self.permissions.get(kind)
        return isinstance(found, Mapping) and found.get(permission) is True


def assignments(stored: Any, changes: Permissions) -> dict[str, Any]:
    """``$set`` of the permissions in ``changes`` that differ from the stored ones.

    Each permission is set by its own path, so that two servers or an administrator who
    change different permissions at the same moment do not undo each other.
    """
    if not isinstance(stored, Mapping):
        return {"permissions": changes} if changes else {}
    found: dict[str, Any] = {}
    for kind, permissions in changes.items():
        before = stored.get(kind)
        if not isinstance(before, Mapping):
            if permissions:
                found[f"permissions.{kind}"] = permissions
            continue
        for name, value in permissions.items():
            if before.get(name) is not value:
                found[f"permissions.{kind}.{name}"] = value
    return found


class RoleStore:
    """The roles of one database.

    Permission checks precede most requests, so a role is cached for ``seconds``. `forget` makes a
    change visible at once; other servers receive it through ``changes``, as ``role:`` and its name.
    A tenant without a system role of its own uses the common one.
    """

    def __init__(
        self,
        database: Database,
        defaults: Callable[[str], Permissions],
        served: Callable[[], Collection[str]],
        seconds: float,
        changes: Broadcast,
    ) -> None:
        self._database = database
        self._defaults = defaults
        self._served = served
        self._seconds = seconds
        self._cache: dict[tuple[str | None, str], tuple[float, StoredRole | None]] = {}
        self._changes = 0
        self._announced = changes

    async def find(self, name: str, tenant: str | None = None) -> StoredRole | None:
        """A role, at most ``seconds`` old; ``None`` when there is no such role."""
        key = (tenant, name)
        entry = self._cache.get(key)
        if entry is not None and entry[0] > time.monotonic():
            return entry[1]
        changes = self._changes
        role = await self._read(name, tenant)
        # A change that came while this was being read would be hidden by what was read before it.
        if changes == self._changes:
            if len(self._cache) >= _CAPACITY:
                self._cache.clear()
            self._cache[key] = (time.monotonic() + self._seconds, role)
        return role

    async def _read(self, name: str, tenant: str | None) -> StoredRole | None:
        document = await self.document(name, tenant)
        if document is None and name in SYSTEM_ROLES:
            document = await self.document(name)
            if document is None:
                await self.create(name)
                document = await self.document(name)
        if document is None:
            return None
        document.pop("_id", None)
        permissions = document.get("permissions")
        if not isinstance(permissions, Mapping):
            return StoredRole(name, {}, encode(document))
        shown = shown_permissions(permissions, self._served())
        return StoredRole(name, permissions, encode({**document, "permissions": shown}))

    async def document(self, name: str, tenant: str | None = None) -> Raw | None:
        """The stored document without ``__v`` and in today's form, read now."""
        found = await self._stored(name, tenant)
        return None if found is None else today(found)

    async def _stored(self, name: str, tenant: str | None) -> Raw | None:
        return await self._database[Role].find_one({"name": name, "tenantId": tenant}, {"__v": 0})

    async def modernise(self) -> list[str]:
        """Write every role that has an old form in today's; returns their names."""
        return [
            document["name"]
            for document in await self._database[Role].find({}).to_list()
            if isinstance(document.get("name"), str) and await self._modernise(document)
        ]

    async def _modernise(self, document: Raw) -> bool:
        old = old_types(document)
        if old:
            update: dict[str, Any] = {"$unset": dict.fromkeys(old, "")}
            sets = assignments(document.get("permissions"), moved(document))
            await self.write(document, {**update, "$set": sets} if sets else update)
        return bool(old)

    async def existing(self, names: Collection[str], tenant: str | None = None) -> set[str]:
        """Those of the names that are roles."""
        found = set(SYSTEM_ROLES).intersection(names)
        others = list(set(names) - found)
        if others:
            rows = self._database[Role].find(
                {"name": {"$in": others}, "tenantId": tenant}, {"_id": 0, "name": 1}
            )
            found.update([row["name"] async for row in rows])
        return found

    async def names(self) -> list[str]:
        """The names of the roles without a tenant."""
        rows = self._database[Role].find({"tenantId": None}, {"_id": 0, "name": 1})
        return [row["name"] async for row in rows]

    async def search(self, text: str, limit: int, tenant: str | None = None) -> list[str]:
        """At most ``limit`` names of roles that contain ``text``, whatever its case."""
        rows = self._database[Role].find(
            {"name": {"$regex": re.escape(text), "$options": "i"}, "tenantId": tenant},
            {"_id": 0, "name": 1},
            limit=limit,
        )
        found = [row["name"] async for row in rows]
        # A tenant without system roles of its own uses the common ones.
        common = [name for name in SYSTEM_ROLES if text.lower() in name.lower()]
        return [*found, *(name for name in common if name not in found)][:limit]

    async def create(self, name: str) -> bool:
        """Create a system role with its defaults; false when another server was faster."""
        document = {
            "name": name,
            "description": "",
            "permissions": self._defaults(name),
            "__v": 0,
        }
        try:
            await self._database[Role].insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def change(self, name: str, tenant: str | None, changes: Permissions) -> Raw | None:
        """Set permissions and return the document; ``None`` when there is no such role."""
        stored = await self._stored(name, tenant)
        if stored is None:
            return None
        await self._modernise(stored)
        document = today(stored)
        update = assignments(document.get("permissions"), changes)
        if not update:
            return document
        await self.write(stored, {"$set": update})
        return await self.document(name, tenant)

    async def write(self, document: Raw, update: Mapping[str, Any]) -> None:
        """Apply an update to a role that was read, and let every server forget it."""
        try:
            await self._database[Role].update_one({"_id": document["_id"]}, update)
        finally:
            self.forget(document["name"])
        await self._announced.announce(f"role:{document['name']}")

    def forget(self, name: str | None = None) -> None:
        """Drop a role (or all of them) from the cache."""
        self._changes += 1
        if name is None:
            self._cache.clear()
            return
        for key in [key for key in self._cache if key[1] == name]:
            del self._cache[key]
