"""The account data of this plugin: the balance of a user, and the record of their usage."""

from bson import ObjectId

from locutory_balance.turns import Turns
from locutory_contracts.account_data import AccountData


class BalanceData(AccountData):
    """The balance, which is not exported: credits are valid on this server only."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def erase(self, user: str) -> None:
        """Delete the data stored for the user, and write no more of it."""
        await self._turns.forget(ObjectId(user))
