"""Removal and transfer of the prompts of a deleted account (contract prompts §5)."""

from bson import ObjectId
from pymongo import UpdateOne

from locutory import Database, Principal, Services, now
from locutory_contracts.access import ACCESS, OWNER
from locutory_contracts.accounts import ACCOUNTS
from locutory_prompts.documents import PendingTransfer
from locutory_prompts.resource_kind import KIND
from locutory_prompts.service import NAMELESS, Prompts


class OwnershipTransfer:
    """Deletes the groups that nobody else owns. Groups with another owner stay and pass to
    them: nothing names the account any more."""

    def __init__(self, prompts: Prompts, database: Database, services: Services) -> None:
        self._prompts = prompts
        self._database = database
        self._services = services

    async def note(self, user: str) -> None:
        """Note which groups of others the user alone owns, before their entries go."""
        access, accounts = self._services.find(ACCESS), self._services.find(ACCOUNTS)
        if access is None:
            return
        account = None if accounts is None else await accounts.find(user)
        # No role and no groups: entries that name the account itself.
        account_alone = Principal(user, "", tenant=(account or {}).get("tenantId"))
        owned = [ObjectId(key) for key in await access.reachable(account_alone, KIND, OWNER)]
        others = {"_id": {"$in": owned}, "author": {"$ne": ObjectId(user)}}
        foreign = await self._prompts.groups.find(others, {"_id": 1}).to_list()
        owners = await access.owners(KIND, [str(group["_id"]) for group in foreign])
        note = {"$set": {"user": user}}
        writes = [
            UpdateOne({"_id": ObjectId(group)}, note, upsert=True)
            for group, users in owners.items()
            if users == {user}
        ]
        if writes:
            await self._database[PendingTransfer].bulk_write(writes, ordered=False)

    async def carry_out(self, user: str) -> None:
        """Delete, or hand over. Does the same when it runs again, before or after the
        account's entries are removed."""
        author = ObjectId(user)
        written = await self._prompts.groups.find({"author": author}, {"_id": 1}).to_list()
        noted = await self._database[PendingTransfer].find({"user": user}, {"_id": 1}).to_list()
        await self._transfer_or_remove(author, [group["_id"] for group in (*written, *noted)])
        await self._release_versions(author)
        await self._database[PendingTransfer].delete_many({"user": user})

    async def _transfer_or_remove(self, user: ObjectId, groups: list[ObjectId]) -> None:
        access, keys = self._services.find(ACCESS), [str(group) for group in groups]
        owners = {} if access is None else await access.owners(KIND, keys)
        heirs = {group: owners.get(str(group), set()) - {str(user)} for group in groups}
        await self._prompts.remove_groups([group for group in groups if not heirs[group]])
        for group in groups:
            if heirs[group]:
                await self._transfer(user, group, min(heirs[group]))

    async def _transfer(self, user: ObjectId, group: ObjectId, heir: str) -> None:
        accounts = self._services.find(ACCOUNTS)
        account = None if accounts is None else await accounts.find(heir)
        name = (account or {}).get("name") or (account or {}).get("username")
        await self._prompts.groups.update_one(
            {"_id": group, "author": user},
            {
                "$set": {
                    "author": ObjectId(heir),
                    "authorName": name if isinstance(name, str) else NAMELESS,
                    "updatedAt": now(),
                }
            },
        )

    async def _release_versions(self, user: ObjectId) -> None:
        """Versions in groups that stay pass to the group's author; others go."""
        written = await self._prompts.prompts.find({"author": user}, {"groupId": 1}).to_list()
        for group in {prompt["groupId"] for prompt in written}:
            mine = {"groupId": group, "author": user}
            found = await self._prompts.groups.find_one({"_id": group}, {"author": 1})
            if found is None or found.get("author") == user:
                await self._prompts.prompts.delete_many(mine)
            else:
                change = {"$set": {"author": found["author"]}}
                await self._prompts.prompts.update_many(mine, change)
