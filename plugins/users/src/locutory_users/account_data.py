"""The data beside an account: starred tools and secrets of tools."""

from locutory_contracts.account_data import AccountData
from locutory_users.plugin_keys import PluginKeys
from locutory_users.tool_favorites import ToolFavorites


class ToolData(AccountData):
    """The user's tool data, which is not exported: secrets stay on this server, and stars name its
    tools."""

    def __init__(self, stars: ToolFavorites, keys: PluginKeys) -> None:
        self._stars = stars
        self._keys = keys

    async def erase(self, user: str) -> None:
        """Delete the user's stars and secrets."""
        await self._stars.erase(user)
        await self._keys.erase(user)
