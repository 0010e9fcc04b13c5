"""The account data of this plugin: API keys, and recent requests made with them."""

from bson import ObjectId

from locutory_agentsapi.routes.response_cache import ResponseCache
from locutory_agentsapi.service import Keys
from locutory_contracts.account_data import AccountData


class ApiKeyData(AccountData):
    """The data of API keys, which is not exported: only the hash of a key is stored."""

    def __init__(self, keys: Keys, cache: ResponseCache) -> None:
        self._keys = keys
        self._cache = cache

    async def erase(self, user: str) -> None:
        """Delete the user's keys and remembered responses."""
        await self._keys.delete_all(ObjectId(user))
        await self._cache.forget(user)
