"""The account data of this plugin: the user's keys of providers."""

from locutory_contracts.account_data import AccountData
from locutory_endpoints.keystore import KeyStore


class KeyData(AccountData):
    """The user's keys, which are not exported, since they are secrets."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def erase(self, user: str) -> None:
        """Delete every key of the user."""
        await self._keys.delete(user)
