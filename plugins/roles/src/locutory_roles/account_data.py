"""The account data of this plugin: grants, access entries, and memberships in groups."""

from bson import ObjectId

from locutory_contracts.account_data import AccountData
from locutory_roles.grants import GrantStore
from locutory_roles.groups import GroupStore
from locutory_roles.resources.entries import EntryStore


class RightsData(AccountData):
    """The user's rights, which are not exported, since others grant them."""

    def __init__(self, grants: GrantStore, entries: EntryStore, groups: GroupStore) -> None:
        self._grants = grants
        self._entries = entries
        self._groups = groups

    async def erase(self, user: str) -> None:
        """Delete the user's grants and entries, and take them out of every group."""
        await self._grants.remove_user(ObjectId(user))
        await self._entries.remove_user(ObjectId(user))
        await self._groups.remove_user(user)
