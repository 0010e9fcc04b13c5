"""Redis, through which several workers share caches, limits, streams and announcements.

The package ``locutory-redis`` does the work, and is imported only when ``USE_REDIS`` is on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from locutory.errors import Problem, StartupError
from locutory.settings import KernelConfig
from locutory_configfile import Environment

if TYPE_CHECKING:
    from locutory_redis import RedisBroadcast
    from locutory_redis import RedisServer as RedisServer

_FIX = "set REDIS_URI=redis://host:6379"


class Broadcast(Protocol):
    """A channel to all workers of a server, returned by ``ctx.broadcast(channel, heard)``.
    ``heard`` is called with each text that a worker announces, and with ``""`` when announcements
    may have been missed. Without Redis there are no other workers, and it is never called."""

    async def announce(self, text: str) -> None:
        """Send a text to every worker."""
        ...


class _Alone:
    async def announce(self, text: str) -> None:
        """Do nothing: without Redis there are no other workers."""


class Broadcasts:
    """The channels of one process, listened to from `start` to `stop`."""

    def __init__(self, redis: "RedisServer | None") -> None:
        self._redis = redis
        self._channels: list[RedisBroadcast] = []

    def open(
        self, channel: str, heard: Callable[[str], None], log: structlog.stdlib.BoundLogger
    ) -> Broadcast:
        """A channel on which ``heard`` receives announcements; it logs to ``log``."""
        if self._redis is None:
            return _Alone()
        from locutory_redis import RedisBroadcast

        made = RedisBroadcast(self._redis, channel, heard, log)
        self._channels.append(made)
        return made

    async def start(self) -> None:
        """Begin to listen."""
        for channel in self._channels:
            await channel.start()

    async def stop(self) -> None:
        """End listening."""
        for channel in self._channels:
            await channel.stop()


def key_prefix(config: KernelConfig, environment: Environment) -> str:
    """The prefix of every Redis key (contract kernel §16.8). `StartupError` when both settings for
    it are set."""
    if config.redis_key_prefix and config.redis_key_prefix_var:
        text = "set together with REDIS_KEY_PREFIX_VAR"
        raise StartupError(Problem("REDIS_KEY_PREFIX", text, "keep one of the two"))
    return config.redis_key_prefix or environment.get(config.redis_key_prefix_var, "")


def redis_problems(config: KernelConfig) -> list[Problem]:
    """The problems of the Redis settings; empty when ``USE_REDIS`` is off."""
    if not config.use_redis:
        return []
    if not config.redis_uri:
        return [Problem("USE_REDIS", "is on, but REDIS_URI is not set", _FIX)]
    try:
        from locutory_redis import address_fault
    except ImportError as error:
        return [Problem("USE_REDIS", f"is on, but {error}", "pip install locutory-redis")]
    fault = address_fault(config.redis_uri, is_cluster=bool(config.redis_cluster))
    if not fault:
        return []
    one = "give the address of one server (USE_REDIS_CLUSTER off, no list of addresses)"
    return [Problem("REDIS_URI", fault, one if "cluster" in fault else _FIX)]


def connect_redis(config: KernelConfig, environment: Environment) -> "RedisServer | None":
    """The server, not connected yet; ``None`` when ``USE_REDIS`` is off. `StartupError` when its
    settings are wrong."""
    prefix = key_prefix(config, environment)
    if not config.use_redis:
        return None
    if problems := redis_problems(config):
        raise StartupError(problems)
    from locutory_redis import RedisServer

    return RedisServer(
        str(config.redis_uri),
        prefix,
        username=config.redis_username or "",
        password=config.redis_password or "",
    )


async def check_redis(redis: "RedisServer | None") -> None:
    """Raise `StartupError` when Redis is used and does not answer."""
    if redis is None:
        return
    try:
        await redis.ping()
    except redis.unreachable as error:
        text, fix = f"Redis does not answer: {error}", "start it, or set USE_REDIS=false"
        raise StartupError(Problem("REDIS_URI", text, fix)) from error
