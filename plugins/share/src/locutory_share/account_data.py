"""The account data of this plugin: the links of a user."""

from locutory_contracts.account_data import AccountData
from locutory_share.service import SharedLinks


class LinkData(AccountData):
    """The user's links, which are not exported, since their addresses belong to this server."""

    def __init__(self, links: SharedLinks) -> None:
        self._links = links

    async def erase(self, user: str) -> None:
        """Delete every link of the user."""
        await self._links.erase(user)
