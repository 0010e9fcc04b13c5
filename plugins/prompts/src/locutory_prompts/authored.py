"""Prompt groups with their authors, for entries that old versions of LibreChat did not write."""

from collections.abc import AsyncIterator

from locutory_contracts.access import Authored
from locutory_prompts.service import Prompts


class AuthoredGroups:
    """Implements `locutory_contracts.access.AuthoredResources`."""

    list_name = "promptGroupIds"

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    async def all(self) -> AsyncIterator[Authored]:
        """Every group that has an author."""
        async for group in self._prompts.groups.find({}, {"author": 1, "tenantId": 1}):
            if group.get("author") is not None:
                key, author = str(group["_id"]), str(group["author"])
                yield Authored(key, author, group.get("tenantId"), key, "promptGroup_viewer")
