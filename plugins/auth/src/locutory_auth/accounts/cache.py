"""Accounts read a moment ago, so that most requests need no database.

Bounded, least recently used first; an entry is believed for a few seconds. A change made
through this process drops the entry at once, and with Redis on every other worker too.
"""

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from locutory import Principal

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from locutory_auth.sessions.revocation import Revoked

_RETRY_SECONDS = 1.0


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
        seconds: how long an entry is believed.
        size: entries at most.
        redis: connection over which workers tell each other of changes.
        channel: name of the Redis channel.
    """

    def __init__(
        self,
        seconds: float,
        size: int,
        redis: "Redis | None",
        channel: str,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._seconds = seconds
        self._size = size
        self._redis = redis
        self._channel = channel
        self._log = log
        self._entries: OrderedDict[str, CachedAccount] = OrderedDict()
        self._listener: asyncio.Task[None] | None = None
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
        """Keep what was read while `changes` was ``seen``. After a change in between it may
        be old already, and is returned without being kept."""
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
        if self._redis is None:
            return
        from redis.exceptions import RedisError

        try:
            await self._redis.publish(self._channel, user_id)
        except (RedisError, OSError) as error:
            self._log.warning("accounts.change_not_told", reason=str(error))

    async def listen(self) -> None:
        """Start to hear of the changes of other workers."""
        if self._redis is not None:
            self._listener = asyncio.create_task(self._hear(self._redis))

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
            self._listener = None

    async def _hear(self, redis: "Redis") -> None:
        from redis.exceptions import RedisError

        while True:
            try:
                async with redis.pubsub() as channel:
                    await channel.subscribe(self._channel)
                    # What changed while nobody listened is unknown.
                    self.clear()
                    async for message in channel.listen():
                        if message["type"] == "message":
                            self.forget(message["data"].decode())
            except (RedisError, OSError) as error:
                self._log.warning("accounts.not_listening", reason=str(error))
            self.clear()
            await asyncio.sleep(_RETRY_SECONDS)
