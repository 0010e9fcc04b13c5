"""Removal and transfer of the prompts of a deleted account (contract prompts §5)."""

from collections.abc import Sequence

from bson import ObjectId

from locutory import Collection, Services, now
from locutory_contracts.accounts import ACCOUNTS
from locutory_prompts.service import NAMELESS, Prompts


class OwnedGroups:
    """Implements `locutory_resources.OwnedResources`."""

    def __init__(self, prompts: Prompts, services: Services) -> None:
        self._prompts = prompts
        self._services = services

    @property
    def collection(self) -> Collection:
        """The groups."""
        return self._prompts.groups

    async def remove(self, resource_ids: Sequence[ObjectId]) -> None:
        """Delete groups with their versions and entries."""
        await self._prompts.remove_groups(list(resource_ids))

    async def transfer(self, resource_id: ObjectId, user: ObjectId, heir: ObjectId) -> None:
        """Make the heir the author of a group, if the user still is."""
        accounts = self._services.find(ACCOUNTS)
        account = None if accounts is None else await accounts.find(str(heir))
        name = (account or {}).get("name") or (account or {}).get("username")
        await self._prompts.groups.update_one(
            {"_id": resource_id, "author": user},
            {
                "$set": {
                    "author": heir,
                    "authorName": name if isinstance(name, str) else NAMELESS,
                    "updatedAt": now(),
                }
            },
        )

    async def anonymise(self, user: ObjectId) -> None:
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
