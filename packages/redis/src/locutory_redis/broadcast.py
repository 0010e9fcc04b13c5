"""Announcements to all workers, through Redis publish/subscribe.

A lost announcement is not sent again. Listeners therefore receive `""` after every interruption,
which means that anything may have changed.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

if TYPE_CHECKING:
    import structlog.stdlib

    from locutory_redis.server import RedisServer

_RETRY_SECONDS = 1.0


class RedisBroadcast:
    """One channel.

    Args:
        redis: the server that the workers share.
        channel: its name, without the prefix.
        heard: called with each text that a worker announces, including this one; with ``""`` when
            listening begins and after an interruption.
    """

    def __init__(
        self,
        redis: "RedisServer",
        channel: str,
        heard: Callable[[str], None],
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._redis = redis
        self._channel = redis.key(channel)
        self._heard = heard
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, in the background."""
        self._task = asyncio.create_task(self._listen(), name=f"redis: {self._channel}")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def announce(self, text: str) -> None:
        """Send a text to every worker. A Redis error is logged."""
        try:
            await self._redis.client.publish(self._channel, text)
        except (RedisError, OSError) as error:
            self._log.warning("broadcast.not_sent", channel=self._channel, reason=str(error))

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    async for message in subscription.listen():
                        self._take(message)
            except (RedisError, OSError) as error:
                self._log.warning("broadcast.interrupted", channel=self._channel, reason=str(error))
            self._heard("")
            await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._heard("")
        elif message["type"] == "message":
            self._heard(bytes(message["data"]).decode("utf-8", "replace"))
