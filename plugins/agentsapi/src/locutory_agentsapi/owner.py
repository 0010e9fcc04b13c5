"""The check that the owner of a key may act at the moment."""

from locutory import Services
from locutory_contracts.accounts import ACCOUNT_STANDING, ACCOUNTS, Account


class Owners:
    """Finds the owners of keys."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def active(self, user_id: str) -> Account | None:
        """The account when it may act. Without a provider of `ACCOUNT_STANDING`, all that can
        be known is that it exists; without accounts, `locutory.ServiceMissing`."""
        standing = self._services.find(ACCOUNT_STANDING)
        if standing is not None:
            return await standing.active(user_id)
        return await self._services.get(ACCOUNTS).find(user_id)
