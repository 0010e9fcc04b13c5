"""Stored accounts: the service `ACCOUNTS`, and the data that authentication reads."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import structlog
from bson import ObjectId

from locutory import Database, Events, Principal, Unauthorized, now
from locutory_auth.bans.store import Bans
from locutory_auth.documents import User
from locutory_auth.sessions.account_cache import AccountCache, CachedAccount
from locutory_auth.sessions.revocation import Revocations
from locutory_contracts.accounts import Account, AccountDeleted, AccountDeleting

HIDDEN = (
    "password",
    "totpSecret",
    "pendingTotpSecret",
    "backupCodes",
    "pendingBackupCodes",
    "subagentAdmissionFences",
    "federatedTokens",
    "__v",
)
"""Members that never leave this plugin. ``DELETION_STARTED`` is one more, read for itself."""

DELETION_STARTED = "agentTriggerDeletionStartedAt"
"""Set while an account is being deleted; LibreChat's name (contract auth §12)."""

CHANGEABLE = frozenset(
    {
        "name",
        "username",
        "avatar",
        "plugins",
        "termsAccepted",
        "termsAcceptedAt",
        "personalization",
        "favorites",
        "skillStates",
        "idOnTheSource",
    }
)
"""Fields that other plugins may set; none of them decides about identity or rights."""

ABANDONED = timedelta(minutes=15)
"""After this long a deletion that never ended is taken up again."""

WITHOUT_SECRETS = dict.fromkeys(HIDDEN, 0)
"""Projection of the fields that may leave this plugin, and `DELETION_STARTED`."""


class DeletionRunning(Exception):
    """The account is being deleted already."""


def deletion_in_progress() -> Unauthorized:
    """The answer to the owner of an account that is being deleted."""
    return Unauthorized("Account deletion is in progress", "ACCOUNT_DELETION_IN_PROGRESS")


def public(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored account without secrets."""
    return {
        key: value
        for key, value in document.items()
        if key != DELETION_STARTED and key not in HIDDEN
    }


class StoredAccounts:
    """Implements `locutory_contracts.accounts.Accounts`."""

    def __init__(
        self,
        database: Database,
        events: Events,
        cache: AccountCache,
        revocations: Revocations,
        bans: Bans,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._events = events
        self._cache = cache
        self._revocations = revocations
        self._bans = bans
        self._log = log

    async def load(self, user_id: str) -> CachedAccount | None:
        """An account for authentication, from memory when it was read a moment ago."""
        return self._cache.get(user_id) or await self.read(user_id)

    async def read(self, user_id: str) -> CachedAccount | None:
        """An account as it is now."""
        if not ObjectId.is_valid(user_id):
            return None
        seen, user = self._cache.changes, ObjectId(user_id)
        document, revoked, banned = await asyncio.gather(
            self._database[User].find_one({"_id": user}, WITHOUT_SECRETS),
            self._revocations.load(user),
            self._bans.of_account(user),
        )
        if document is None:
            return None
        if not document.get("role"):
            document["role"] = "USER"
            await self._database[User].update_one(
                {"_id": document["_id"]}, {"$set": {"role": "USER"}}
            )
        account = public(document)
        principal = Principal(
            id=str(document["_id"]),
            role=account["role"],
            tenant=account.get("tenantId"),
            account=MappingProxyType(account),
        )
        being_deleted = document.get(DELETION_STARTED) is not None
        return self._cache.put(principal, being_deleted, banned, revoked, seen)

    async def find(self, user_id: str) -> Account | None:
        """One account, possibly from the cache, or ``None``."""
        known = await self.load(user_id)
        return None if known is None else known.principal.account

    async def active(self, user_id: str) -> Account | None:
        """The account, unless it is banned or being deleted
        (`locutory_contracts.accounts.AccountStanding`)."""
        known = await self.load(user_id)
        if known is None or known.being_deleted or known.banned > time.time():
            return None
        return known.principal.account

    async def update(self, user_id: str, fields: Mapping[str, Any]) -> Account | None:
        """Set fields of an account and return it; ``None`` when it does not exist. ``ValueError``
        for a field that may not be set. A dotted name such as ``personalization.memories`` sets one
        member."""
        refused = [name for name in fields if name.partition(".")[0] not in CHANGEABLE]
        if refused:
            raise ValueError(f"account fields cannot be set here: {', '.join(refused)}")
        if not ObjectId.is_valid(user_id):
            return None
        return await self.write(ObjectId(user_id), fields)

    async def write(
        self,
        user: ObjectId,
        fields: Mapping[str, Any],
        *,
        where: Mapping[str, Any] | None = None,
        unset: Sequence[str] = (),
    ) -> Account | None:
        """Set any fields, for this plugin; `update` otherwise. ``where``: only while these
        members have these values. ``None`` when nothing was written."""
        change = {
            "$set": {**fields, "updatedAt": now()},
            "$unset": dict.fromkeys(("expiresAt", *unset), ""),
        }
        written = await self._database[User].update_one({"_id": user, **(where or {})}, change)
        await self._cache.changed(str(user))
        if written.matched_count == 0:
            return None
        known = await self.read(str(user))
        return None if known is None else known.principal.account

    async def count(self) -> int:
        """The number of accounts."""
        return await self._database[User].count_documents({})

    async def delete(self, user_id: str) -> bool:
        """Delete an account (contract `locutory_contracts.accounts.Accounts`); `DeletionRunning`
        when it is being deleted already.

        A veto opens the account again. Once `AccountDeleted` is stored the deletion cannot be
        undone: when a server stops before it has deleted the account itself, the account stays
        closed, and `finish_deletions` does the rest.
        """
        if not ObjectId.is_valid(user_id):
            return False
        user = ObjectId(user_id)
        if not await self._start_deletion(user):
            return False
        try:
            await self._events.check(AccountDeleting(user_id))
        except BaseException:
            await self._database[User].update_one({"_id": user}, {"$unset": {DELETION_STARTED: ""}})
            await self._cache.changed(user_id)
            raise
        await self._events.publish(AccountDeleted(user_id))
        await self._database[User].delete_one({"_id": user})
        await self._cache.changed(user_id)
        self._log.info("account.deleted", user=user_id)
        return True

    async def _start_deletion(self, user: ObjectId) -> bool:
        """Shut the account: from here on its access tokens are refused."""
        moment = now()
        for free in (None, {"$lt": moment - ABANDONED}):
            closed = await self._database[User].update_one(
                {"_id": user, DELETION_STARTED: free}, {"$set": {DELETION_STARTED: moment}}
            )
            if closed.matched_count:
                await self._cache.changed(str(user))
                return True
        if await self._database[User].find_one({"_id": user}, {"_id": 1}) is None:
            return False
        raise DeletionRunning(str(user))

    async def finish_deletions(self) -> None:
        """Take up deletions that a dying server left undone."""
        left = self._database[User].find(
            {DELETION_STARTED: {"$lt": now() - ABANDONED}}, {"_id": 1}, limit=100
        )
        for document in await left.to_list():
            await self.delete(str(document["_id"]))
