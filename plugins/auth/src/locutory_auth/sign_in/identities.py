"""Accounts and sessions for identities: the service `SIGN_INS` (contract oauth §3-§7)."""

import time

from bson import ObjectId

from locutory import now
from locutory_auth.accounts.stored import StoredAccounts, deletion_in_progress
from locutory_auth.bans.gate import banned
from locutory_auth.sessions.issuer import SessionIssuer
from locutory_auth.sessions.rotation import Device, Sessions
from locutory_auth.sign_in.account_linking import AccountLinking
from locutory_auth.sign_in.provisioning import Provisioning
from locutory_contracts.sign_in import Identity, IdentityRefused, OpenedSession


class Identities:
    """Implements `locutory_contracts.sign_in.SignIns`."""

    def __init__(
        self,
        accounts: StoredAccounts,
        sessions: Sessions,
        session_issuer: SessionIssuer,
        account_linking: AccountLinking,
        provisioning: Provisioning,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._session_issuer = session_issuer
        self._account_linking = account_linking
        self._provisioning = provisioning

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        """The account id for an identity, which is linked or created."""
        return await self._account_linking.link(identity, may_register, address)

    async def expect(self, identity: Identity) -> str:
        """The account id for a person of a directory, which is found or created."""
        return await self._provisioning.provision(identity)

    async def open(
        self,
        user_id: str,
        *,
        token_provider: str = "librechat",
        skip_second_factor: bool = False,
        address: str = "",
        agent: str = "",
    ) -> OpenedSession:
        """Open a session for an account. Raises `HTTPError` 403 for a banned account, 401 for one
        that is being deleted, `IdentityRefused` when there is none."""
        requested_at = now()
        known = await self._accounts.read(user_id)
        if known is None:
            raise IdentityRefused("auth_failed", "The account does not exist")
        if known.being_deleted:
            raise deletion_in_progress()
        if known.banned > time.time():
            raise banned()
        account = known.principal.account
        if account.get("twoFactorEnabled") and not skip_second_factor:
            return self._session_issuer.second_factor_pending(account, requested_at)
        return await self._session_issuer.open(
            account, requested_at, Device(address, agent), token_provider
        )

    async def close_all(self, user_id: str) -> None:
        """End every session of an account."""
        if ObjectId.is_valid(user_id):
            await self._sessions.close_all(ObjectId(user_id))
