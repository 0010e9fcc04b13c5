"""Removal and transfer of the resources of a deleted account."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bson import ObjectId
from pymongo import UpdateOne

from locutory import Collection, Principal, Services
from locutory_contracts.access import ACCESS, OWNER
from locutory_contracts.accounts import ACCOUNTS


class OwnedResources(Protocol):
    """The resources of one kind, implemented by the plugin that stores them."""

    @property
    def collection(self) -> Collection:
        """The collection of the resources, whose ``author`` is an ObjectId."""
        ...

    async def remove(self, resource_ids: Sequence[ObjectId]) -> None:
        """Delete resources with everything that belongs to them, including their entries."""
        ...

    async def transfer(self, resource_id: ObjectId, user: ObjectId, heir: ObjectId) -> None:
        """Make the heir the author of a resource, if the user still is."""
        ...

    async def anonymise(self, user: ObjectId) -> None:
        """Remove the user's id from everything that remains of the resources."""
        ...


class OwnershipTransfer:
    """Deletes the resources of an account that nobody else owns. Those with another owner are kept
    and transferred to them: nothing names the account any more. ``pending`` returns a collection of
    the plugin for ``{_id: the resource's, user}``."""

    def __init__(
        self,
        kind: str,
        owned: OwnedResources,
        pending: Callable[[], Collection],
        services: Services,
    ) -> None:
        self._kind = kind
        self._owned = owned
        self._pending = pending
        self._services = services

    async def note(self, user: str) -> None:
        """Record the resources by other authors that only this user owns, before their entries are
        deleted."""
        access, accounts = self._services.find(ACCESS), self._services.find(ACCOUNTS)
        if access is None:
            return
        account = None if accounts is None else await accounts.find(user)
        # No role and no groups: entries that name the account itself.
        account_alone = Principal(user, "", tenant=(account or {}).get("tenantId"))
        reachable = await access.reachable(account_alone, self._kind, OWNER)
        others = {
            "_id": {"$in": [ObjectId(key) for key in reachable]},
            "author": {"$ne": ObjectId(user)},
        }
        foreign = await self._owned.collection.find(others, {"_id": 1}).to_list()
        owners = await access.owners(self._kind, [str(resource["_id"]) for resource in foreign])
        note = {"$set": {"user": user}}
        writes = [
            UpdateOne({"_id": ObjectId(resource_id)}, note, upsert=True)
            for resource_id, users in owners.items()
            if users == {user}
        ]
        if writes:
            await self._pending().bulk_write(writes, ordered=False)

    async def carry_out(self, user: str) -> None:
        """Delete or transfer the resources of the user. Idempotent, whether the account's entries
        are still stored or not."""
        key = ObjectId(user)
        written = await self._owned.collection.find({"author": key}, {"_id": 1}).to_list()
        noted = await self._pending().find({"user": user}, {"_id": 1}).to_list()
        await self._transfer_or_remove(key, [resource["_id"] for resource in (*written, *noted)])
        await self._owned.anonymise(key)
        await self._pending().delete_many({"user": user})

    async def _transfer_or_remove(self, user: ObjectId, resource_ids: Sequence[ObjectId]) -> None:
        access, keys = self._services.find(ACCESS), [str(key) for key in resource_ids]
        owners = {} if access is None else await access.owners(self._kind, keys)
        heirs = {key: owners.get(str(key), set()) - {str(user)} for key in resource_ids}
        await self._owned.remove([key for key in resource_ids if not heirs[key]])
        for key in resource_ids:
            if heirs[key]:
                await self._owned.transfer(key, user, ObjectId(min(heirs[key])))
