"""Groups and versions as they are stored (contract prompts §4, §5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from structlog.stdlib import BoundLogger

from locutory import Collection, Database, Principal, Raw, Services, now
from locutory_contracts.access import ACCESS
from locutory_prompts.documents import GROUP, PROMPT, Prompt, PromptGroup
from locutory_prompts.resource_kind import KIND

NAMELESS = "Unknown"
"""``authorName`` for an account without a name; LibreChat requires one."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new group with its first version, as stored."""

    group: Raw
    prompt: Raw


class Prompts:
    """Reads and writes groups and versions; callers check the rights before. Filters name the
    tenant: an account without one sees resources without one."""

    def __init__(self, database: Database, services: Services, log: BoundLogger) -> None:
        self._database = database
        self._services = services
        self._log = log

    @property
    def groups(self) -> Collection:
        """The raw collection of groups."""
        return self._database[PromptGroup]

    @property
    def prompts(self) -> Collection:
        """The raw collection of versions."""
        return self._database[Prompt]

    async def group(
        self, key: ObjectId | None, tenant: str | None, fields: Mapping[str, Any] = GROUP
    ) -> Raw | None:
        """One group, or ``None``."""
        if key is None:
            return None
        return await self.groups.find_one({"_id": key, "tenantId": tenant}, fields)

    async def version(self, key: ObjectId | None, tenant: str | None) -> Raw | None:
        """One version, or ``None``."""
        if key is None:
            return None
        return await self.prompts.find_one({"_id": key, "tenantId": tenant}, PROMPT)

    async def versions(self, group: ObjectId) -> list[Raw]:
        """The versions of a group, newest first."""
        found = await self.prompts.find({"groupId": group}, PROMPT).to_list()
        return newest_first(found)

    async def written(self, author: ObjectId, tenant: str | None) -> list[Raw]:
        """Every version that an account wrote, newest first."""
        found = await self.prompts.find({"author": author, "tenantId": tenant}, PROMPT).to_list()
        return newest_first(found)

    async def everything(self, tenant: str | None) -> list[Raw]:
        """Every version of a tenant, newest first."""
        return newest_first(await self.prompts.find({"tenantId": tenant}, PROMPT).to_list())

    async def create(
        self, principal: Principal, fields: Mapping[str, str], text: str, form: str
    ) -> Made:
        """Create a group with one version, owned by the caller. The group is written last: the
        remains of a crash are not visible."""
        moment, author = now(), ObjectId(principal.id)
        name = principal.account.get("name") or principal.account.get("username")
        group: Raw = {
            "_id": ObjectId(),
            "author": author,
            "authorName": name if isinstance(name, str) else NAMELESS,
            "category": "",
            "oneliner": "",
            **fields,
            "productionId": ObjectId(),
            "numberOfGenerations": 0,
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
        }
        prompt: Raw = {
            "_id": group["productionId"],
            "author": author,
            "groupId": group["_id"],
            "prompt": text,
            "type": form,
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
        }
        if principal.tenant is not None:
            group["tenantId"] = prompt["tenantId"] = principal.tenant
        await self.prompts.insert_one(prompt)
        await self.own(principal.id, group["_id"])
        await self.groups.insert_one(group)
        return Made(group, prompt)

    async def own(self, user: str, group: ObjectId) -> None:
        """Make an account the owner of a group; a failure is only logged."""
        access = self._services.find(ACCESS)
        if access is None:
            return
        try:
            await access.grant_owner(user, KIND, str(group))
        except Exception:
            self._log.exception("prompts.owner_not_granted", group=str(group))

    async def add_version(
        self, principal: Principal, group: ObjectId, text: str, form: str
    ) -> Raw | None:
        """Add a version, which does not become the one in use by itself; ``None`` when the group is
        deleted."""
        moment = now()
        prompt: Raw = {
            "groupId": group,
            "author": ObjectId(principal.id),
            "prompt": text,
            "type": form,
            "_id": ObjectId(),
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
        }
        if principal.tenant is not None:
            prompt["tenantId"] = principal.tenant
        await self.prompts.insert_one(prompt)
        if await self.groups.find_one({"_id": group}, {"_id": 1}) is None:  # since it was found
            await self.prompts.delete_one({"_id": prompt["_id"]})
            return None
        return prompt

    async def update(self, group: ObjectId, fields: Mapping[str, str | None]) -> Raw | None:
        """Set fields of a group and return it; ``None`` when it is gone."""
        if not fields:
            return await self.groups.find_one({"_id": group}, GROUP)
        change = {"$set": {**fields, "updatedAt": now()}}
        return await self._changed(group, change, GROUP)

    async def used(self, group: ObjectId) -> int | None:
        """Count one more use; returns the uses so far, ``None`` when the group is gone."""
        change = {"$inc": {"numberOfGenerations": 1}, "$set": {"updatedAt": now()}}
        found = await self._changed(group, change, {"numberOfGenerations": 1})
        return None if found is None else found["numberOfGenerations"]

    async def _changed(
        self, group: ObjectId, change: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> Raw | None:
        return await self.groups.find_one_and_update(
            {"_id": group}, change, fields, return_document=ReturnDocument.AFTER
        )

    async def put_to_use(self, prompt: Raw) -> bool:
        """Make a version the one in use; ``False`` when it, or its group, is gone."""
        group, key = prompt["groupId"], prompt["_id"]
        change = {"$set": {"productionId": key, "updatedAt": now()}}
        outcome = await self.groups.update_one({"_id": group}, change)
        if not outcome.matched_count:
            return False
        if await self.prompts.find_one({"_id": key}, {"_id": 1}) is not None:
            return True
        # Deleted since it was read, when it was not in use yet.
        await self._replace_production(group, key)
        return False

    async def remove_version(self, key: ObjectId, group: ObjectId) -> bool | None:
        """Delete a version; with the last one the group goes, and the result is ``True``.
        ``None`` when the version does not belong to this group."""
        outcome = await self.prompts.delete_one({"_id": key, "groupId": group})
        if not outcome.deleted_count:
            return None
        if await self._replace_production(group, key):
            return False
        await self.remove_groups([group])
        return True

    async def _replace_production(self, group: ObjectId, gone: ObjectId) -> bool:
        """Put the newest version in the place of a deleted one that is in use; ``False`` when none
        is left."""
        rest = await self.prompts.find({"groupId": group}, {"createdAt": 1}).to_list()
        if not rest:
            return False
        change = {"$set": {"productionId": newest_first(rest)[0]["_id"], "updatedAt": now()}}
        await self.groups.update_one({"_id": group, "productionId": gone}, change)
        return True

    async def remove_groups(self, groups: Sequence[ObjectId]) -> int:
        """Delete groups with their versions and entries; return their number. In this order a crash
        leaves groups that can be deleted again, or entries without a resource."""
        access, gone = self._services.find(ACCESS), list(groups)
        await self.prompts.delete_many({"groupId": {"$in": gone}})
        removed = (await self.groups.delete_many({"_id": {"$in": gone}})).deleted_count
        if access is not None:
            try:
                await access.forget(KIND, [str(group) for group in gone])
            except Exception:
                self._log.exception("prompts.entries_not_removed", groups=len(gone))
        return removed


def newest_first(prompts: list[Raw]) -> list[Raw]:
    """Versions in the order of the client's history."""
    return sorted(prompts, key=_age, reverse=True)


def _age(prompt: Raw) -> tuple[float, ObjectId]:
    created = prompt.get("createdAt")
    return created.timestamp() if isinstance(created, datetime) else 0.0, prompt["_id"]
