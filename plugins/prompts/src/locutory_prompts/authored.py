"""Prompt groups with their authors, for entries that old versions of LibreChat did not write."""

from collections.abc import AsyncIterator

from locutory import Database
from locutory_contracts.access import Authored
from locutory_prompts.documents import PromptGroup

_FIELDS = {"author": 1, "tenantId": 1}


class AuthoredGroups:
    """Implements `locutory_contracts.access.AuthoredResources`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> AsyncIterator[Authored]:
        """Every group that has an author. Those in the list of the project ``instance`` were
        open to everybody."""
        shared = await self._shared()
        async for group in self._database[PromptGroup].find({}, _FIELDS):
            key, author = str(group["_id"]), group.get("author")
            if author is not None:
                public = "promptGroup_viewer" if key in shared else None
                yield Authored(key, str(author), group.get("tenantId"), public)

    async def _shared(self) -> set[str]:
        # The collection belongs to nobody any more: LibreChat only reads it, for the same reason.
        projects = self._database.collection("projects")
        instance = await projects.find_one({"name": "instance"}, {"_id": 0, "promptGroupIds": 1})
        listed = (instance or {}).get("promptGroupIds")
        return {str(item) for item in listed} if isinstance(listed, list) else set()
