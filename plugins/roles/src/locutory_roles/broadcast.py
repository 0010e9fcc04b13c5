"""Tells other servers that roles, grants or groups changed, through Redis publish/subscribe.

A message that is lost costs nothing but time: what is remembered expires by itself.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    import structlog.stdlib
    from redis.asyncio import Redis

_RETRY_SECONDS = 1.0


class Broadcast:
    """Publishes what changed, as a short text, and passes what other servers publish to
    ``heard``. An empty text means that anything may have changed.
    """

    def __init__(
        self,
        redis: "Redis",
        prefix: str,
        heard: Callable[[str], None],
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._redis = redis
        self._channel = f"{prefix}::roles:changed" if prefix else "roles:changed"
        self._heard = heard
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, in the background."""
        self._task = asyncio.create_task(self._listen(), name="roles: changes of other servers")

    async def stop(self) -> None:
        """End listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def announce(self, what: str) -> None:
        """Tell every server what changed."""
        try:
            await self._redis.publish(self._channel, what)
        except (RedisError, OSError) as error:
            self._log.warning("roles.not_announced", reason=str(error))

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    async for message in subscription.listen():
                        if message["type"] == "subscribe":
                            self._heard("")
                        elif message["type"] == "message":
                            self._heard(bytes(message["data"]).decode("utf-8", "replace"))
            except (RedisError, OSError) as error:
                self._log.warning("roles.not_listening", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
