"""Accounts read a moment ago, so that most requests need no database.

Bounded, least recently used first; an entry is believed for a few seconds. A change made
through this process drops the entry at once, and with Redis on every other worker too.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from locutory import Broadcast, Principal

if TYPE_CHECKING:
    from locutory_auth.sessions.revocation import Revoked


@dataclass(frozen=True, slots=True)
class CachedAccount:
    """An account as it was read. ``being_deleted``: its deletion has begun; ``banned``: until
    when, in seconds since 1970, 0 when it is not; ``revoked``: its access tokens that count no
    more."""

    principal: Principal
    being_deleted: bool
    banned: float
    revoked: "Revoked"
    until: float


class AccountCache:
    """Accounts by id.

    Args:
        seconds: for which an entry is used.
        size: maximum number of entries.
        broadcast: opens the channel on which workers announce changes.
    """

    def __init__(
        self,
        seconds: float,
        size: int,
        broadcast: Callable[[str, Callable[[str], None]], Broadcast],
    ) -> None:
        self._seconds = seconds
        self._size = size
        self._others = broadcast("accounts:changed", self._heard)
        self._entries: OrderedDict[str, CachedAccount] = OrderedDict()
        self.changes = 0

    def get(self, user_id: str) -> CachedAccount | None:
        """A fresh entry."""
        known = self._entries.get(user_id)
        if known is None:
            return None
        if known.until <= time.monotonic():
            del self._entries[user_id]
            return None
        self._entries.move_to_end(user_id)
        return known

    def put(
        self,
        principal: Principal,
        being_deleted: bool,
        banned: float,
        revoked: "Revoked",
        seen: int,
    ) -> CachedAccount:
        """Store an account that was read while `changes` was ``seen``. After a change in between it
        may be out of date, and is returned without being stored."""
        known = CachedAccount(
            principal, being_deleted, banned, revoked, time.monotonic() + self._seconds
        )
        if seen == self.changes:
            self._entries[principal.id] = known
            self._entries.move_to_end(principal.id)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)
        return known

    def forget(self, user_id: str) -> None:
        """Drop an entry here."""
        self.changes += 1
        self._entries.pop(user_id, None)

    def clear(self) -> None:
        """Drop everything here."""
        self.changes += 1
        self._entries.clear()

    async def changed(self, user_id: str) -> None:
        """Drop an entry here and in every other worker."""
        self.forget(user_id)
        await self._others.announce(user_id)

    def _heard(self, user_id: str) -> None:
        """Drop the account that another worker has changed; all of them for "", when any may have
        changed."""
        if user_id:
            self.forget(user_id)
        else:
            self.clear()
