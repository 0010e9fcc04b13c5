"""Accounts and sessions for identities: the service `SIGN_INS` (contract oauth §3-§7)."""

import time

from bson import ObjectId

from locutory import now
from locutory_auth.accounts.stored import StoredAccounts, closing
from locutory_auth.bans.gate import banned
from locutory_auth.sessions.adoption import Adoption
from locutory_auth.sessions.expectation import Expectation
from locutory_auth.sessions.opening import Opening
from locutory_auth.sessions.rotation import Device, Sessions
from locutory_contracts.sign_in import Identity, IdentityRefused, OpenedSession


class Identities:
    """Implements `locutory_contracts.sign_in.SignIns`."""

    def __init__(
        self,
        accounts: StoredAccounts,
        sessions: Sessions,
        opening: Opening,
        adoption: Adoption,
        expectation: Expectation,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._opening = opening
        self._adoption = adoption
        self._expectation = expectation

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        """See the contract."""
        return await self._adoption.adopt(identity, may_register, address)

    async def expect(self, identity: Identity) -> str:
        """See the contract."""
        return await self._expectation.expect(identity)

    async def open(
        self,
        user_id: str,
        *,
        token_provider: str = "librechat",
        skip_second_factor: bool = False,
        address: str = "",
        agent: str = "",
    ) -> OpenedSession:
        """See the contract; `HTTPError` 403 for a banned account, 401 for one that is being
        deleted, `IdentityRefused` when there is none."""
        asked = now()
        known = await self._accounts.read(user_id)
        if known is None:
            raise IdentityRefused("auth_failed", "The account does not exist")
        if known.closing:
            raise closing()
        if known.banned > time.time():
            raise banned()
        account = known.principal.account
        if account.get("twoFactorEnabled") and not skip_second_factor:
            return self._opening.owing(account, asked)
        return await self._opening.open(account, asked, Device(address, agent), token_provider)

    async def close_all(self, user_id: str) -> None:
        """See the contract."""
        if ObjectId.is_valid(user_id):
            await self._sessions.close_all(ObjectId(user_id))
