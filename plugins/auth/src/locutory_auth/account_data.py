"""The data beside an account: sessions, one-time tokens, used codes, bans."""

from bson import ObjectId

from locutory import Database
from locutory_auth.bans.store import Bans
from locutory_auth.documents import Token, UsedCode
from locutory_auth.sessions.account_cache import AccountCache
from locutory_auth.sessions.rotation import Sessions
from locutory_contracts.account_data import AccountData


class SignInData(AccountData):
    """The data of sign-in, which is not exported, since it is valid on this server only. The
    account itself is deleted last, after all plugins have erased their data
    (`locutory_auth.accounts.stored`)."""

    def __init__(
        self, database: Database, sessions: Sessions, bans: Bans, cache: AccountCache
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._bans = bans
        self._cache = cache

    async def erase(self, user: str) -> None:
        """Remove everything beside the account; nobody is signed in to it any more."""
        key = ObjectId(user)
        await self._sessions.end_all(key)
        await self._database[Token].delete_many({"userId": key})
        await self._database[UsedCode].delete_one({"_id": key})
        await self._bans.lift(user)
        await self._cache.changed(user)
