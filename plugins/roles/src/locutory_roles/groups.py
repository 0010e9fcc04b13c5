"""Groups of people: who belongs to which, and finding them (contract roles §5)."""

import re
import time
from collections.abc import Collection, Mapping
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Broadcast, Database, Principal, Raw, Services, now
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.directory import DirectoryEntry
from locutory_roles.documents import Group

_CAPACITY = 5000
_SEARCHED = ("name", "email", "description")
_SHOWN = {
    "name": 1,
    "email": 1,
    "avatar": 1,
    "description": 1,
    "source": 1,
    "idOnTheSource": 1,
}

Groups = frozenset[ObjectId]


class GroupStore:
    """Groups of one database.

    The groups of a caller are remembered for ``seconds`` (0: never), since they count in
    every look at a resource. `forget` makes a change visible at once; other servers hear
    of it through ``changes``, as ``groups``.
    """

    def __init__(
        self, database: Database, services: Services, seconds: float, changes: Broadcast
    ) -> None:
        self._database = database
        self._services = services
        self._seconds = seconds
        self._cache: dict[tuple[str | None, str, str | None], tuple[float, Groups]] = {}
        self._changes = 0
        self._announced = changes

    async def of(self, principal: Principal) -> Groups:
        """The groups that list the caller, by account id or by ``idOnTheSource``."""
        source = await self._source_id(principal)
        key = (principal.tenant, principal.id, source)
        entry = self._cache.get(key)
        if entry is not None and entry[0] > time.monotonic():
            return entry[1]
        changes = self._changes
        members = [principal.id] if source is None else [principal.id, source]
        found = self._database[Group].find(
            {"memberIds": {"$in": members}, "tenantId": principal.tenant}, {"_id": 1}
        )
        groups = frozenset([group["_id"] async for group in found])
        if self._seconds > 0 and changes == self._changes:
            if len(self._cache) >= _CAPACITY:
                self._cache.clear()
            self._cache[key] = (time.monotonic() + self._seconds, groups)
        return groups

    async def _source_id(self, principal: Principal) -> str | None:
        account: Mapping[str, Any] | None = principal.account
        if not account:  # a principal that another plugin made of an id
            accounts = self._services.find(ACCOUNTS)
            account = None if accounts is None else await accounts.find(principal.id)
        return source_id(account or {})

    async def find_many(self, ids: Collection[ObjectId], tenant: str | None) -> dict[ObjectId, Raw]:
        """Groups by id, as they are shown; unknown ones are left out."""
        if not ids:
            return {}
        found = self._database[Group].find({"_id": {"$in": list(ids)}, "tenantId": tenant}, _SHOWN)
        return {group["_id"]: group async for group in found}

    async def by_source_id(self, source: str, source_id: str, tenant: str | None) -> Raw | None:
        """The group that represents one of an outside directory."""
        return await self._database[Group].find_one(
            {"idOnTheSource": source_id, "source": source, "tenantId": tenant}, _SHOWN
        )

    async def keep(
        self,
        source: str,
        entry: DirectoryEntry,
        members: Collection[str] | None,
        tenant: str | None,
    ) -> ObjectId:
        """The group that represents one of an outside directory, created or updated. ``members``:
        their ids there; ``None`` leaves them unchanged, and missing members are added at their next
        sign-in."""
        key = {"idOnTheSource": entry.source_id, "source": source, "tenantId": tenant}
        told: dict[str, Any] = {
            "name": entry.name,
            "email": entry.email,
            "description": entry.description,
        }
        stored = await self._database[Group].find_one(key, {**_SHOWN, "memberIds": 1})
        if stored is None:
            group = {
                **{name: value for name, value in told.items() if value is not None},
                **{name: value for name, value in key.items() if value is not None},
                "memberIds": list(members or ()),
            }
            try:
                await self._insert(group)
            except DuplicateKeyError:  # another request was faster
                return await self.keep(source, entry, members, tenant)
            return ObjectId(group["_id"])
        if members is not None:
            # Accounts without an id there are members by their id here; the directory does
            # not know them by that.
            own = [each for each in stored.get("memberIds") or () if ObjectId.is_valid(each)]
            told["memberIds"] = [*members, *own]
        changed = {name: value for name, value in told.items() if stored.get(name) != value}
        if changed:
            kept = {name: value for name, value in changed.items() if value is not None}
            update: dict[str, Any] = {"$set": {**kept, "updatedAt": now()}}
            if len(kept) < len(changed):
                update["$unset"] = dict.fromkeys(changed.keys() - kept.keys(), "")
            await self._database[Group].update_one({"_id": stored["_id"]}, update)
        if "memberIds" in changed:
            await self.changed()
        return ObjectId(stored["_id"])

    async def _insert(self, group: Raw) -> None:
        moment = now()
        group.update({"createdAt": moment, "updatedAt": moment, "__v": 0})
        await self._database[Group].insert_one(group)
        await self.changed()

    async def search(self, text: str, limit: int, tenant: str | None) -> list[Raw]:
        """At most ``limit`` groups whose name, e-mail or description contains ``text``, each
        with ``memberCount``."""
        pattern = {"$regex": re.escape(text), "$options": "i"}
        wanted = {"$or": [{field: pattern} for field in _SEARCHED], "tenantId": tenant}
        members = {"memberCount": {"$size": {"$ifNull": ["$memberIds", []]}}}
        found = await self._database[Group].aggregate(
            [{"$match": wanted}, {"$limit": limit}, {"$project": {**_SHOWN, **members}}]
        )
        return await found.to_list()

    async def remove_user(self, user_id: str) -> int:
        """Remove an account from every group; return their number."""
        members = [user_id]
        accounts = self._services.find(ACCOUNTS)
        account = None if accounts is None else await accounts.find(user_id)
        source = source_id(account or {})
        if source is not None:
            members.append(source)
        outcome = await self._database[Group].update_many(
            {"memberIds": {"$in": members}}, {"$pullAll": {"memberIds": members}}
        )
        if outcome.modified_count:
            await self.changed()
        return int(outcome.modified_count)

    async def changed(self) -> None:
        """Drop the cached memberships on all servers after a change."""
        self.forget()
        await self._announced.announce("groups")

    def forget(self) -> None:
        """Drop the cached memberships."""
        self._changes += 1
        self._cache.clear()


def source_id(account: Mapping[str, Any]) -> str | None:
    """The id of an account in the directory that it comes from, or ``None``."""
    value = account.get("idOnTheSource")
    return value if isinstance(value, str) and value else None
