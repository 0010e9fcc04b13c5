"""Services for sign-in through an identity provider: the names of roles, and updates of membership
in a directory's groups (contract oauth §5.3)."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from bson import ObjectId

from locutory import Database, Services
from locutory_contracts.accounts import ACCOUNTS
from locutory_roles.defaults import SYSTEM_ROLES
from locutory_roles.documents import Group, Role
from locutory_roles.groups import GroupStore, source_id

_LOCAL = "local"


class StoredRoleNames:
    """Implements `locutory_contracts.sign_in.RoleNames`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def names(self, tenant: str | None) -> Collection[str]:
        """The names of a tenant's roles. A tenant without system roles of its own uses the common
        ones."""
        rows = self._database[Role].find({"tenantId": tenant}, {"_id": 0, "name": 1})
        found = [row["name"] async for row in rows]
        return [*found, *(name for name in SYSTEM_ROLES if name not in found)]


class DirectoryMemberships:
    """Implements `locutory_contracts.sign_in.Memberships`.

    Groups are never created here: those count that an administrator, or sharing something
    with them, has brought in. Local groups are nobody's but the administrator's.
    """

    def __init__(
        self,
        database: Database,
        groups: GroupStore,
        services: Services,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._groups = groups
        self._services = services
        self._log = log

    async def sync(self, user_id: str, source: str, group_ids: Collection[str]) -> None:
        """Update an account's membership in the groups of ``source``; does nothing for an account
        that does not exist. Accounts are members by their id in the directory, else by their id
        here (collections.md)."""
        account = await self._services.get(ACCOUNTS).find(user_id)
        if account is None or not source or source == _LOCAL:
            return
        there = source_id(account)
        keys = [user_id] if there is None else [there, user_id]
        ids = list(dict.fromkeys(group_ids))
        of_source = {"source": source, "tenantId": account.get("tenantId")}
        now_in = await self._ids({**of_source, "idOnTheSource": {"$in": ids}}) if ids else set()
        was_in = await self._ids({**of_source, "memberIds": {"$in": keys}})
        joined, left = now_in - was_in, was_in - now_in
        groups = self._database[Group]
        if joined:
            await groups.update_many(
                {"_id": {"$in": list(joined)}}, {"$addToSet": {"memberIds": keys[0]}}
            )
        if left:
            await groups.update_many(
                {"_id": {"$in": list(left)}}, {"$pullAll": {"memberIds": keys}}
            )
        if joined or left:
            await self._groups.changed()
            self._log.info(
                "groups.synchronised",
                user=user_id,
                source=source,
                joined=len(joined),
                left=len(left),
            )

    async def _ids(self, chosen: Mapping[str, Any]) -> set[ObjectId]:
        return {row["_id"] async for row in self._database[Group].find(chosen, {"_id": 1})}
