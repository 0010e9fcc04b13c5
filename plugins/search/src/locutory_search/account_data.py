"""The account data of this plugin: the entries of a user's history in the index."""

from locutory_contracts.account_data import AccountData
from locutory_search.service import SearchService


class SearchData(AccountData):
    """The entries of a user in the index, which are not exported, since they are built from the
    history."""

    def __init__(self, service: SearchService) -> None:
        self._service = service

    async def erase(self, user: str) -> None:
        """Remove every entry of the user; nothing while search is switched off, when there is no
        index."""
        if self._service.backend is not None:
            await self._service.backend.deleted("user", user)
