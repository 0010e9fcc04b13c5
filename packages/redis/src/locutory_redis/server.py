"""The connection of a process to the Redis server that the workers share."""

import re
from typing import Any, cast

from limits.aio.storage import RedisStorage
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from locutory_redis.cache import RedisCache


def address_fault(address: str, *, is_cluster: bool = False) -> str:
    """The problem of an address, ``""`` when there is none. It does not contain the address, which
    may contain a password."""
    several = re.search(r",\s*\w+://", address)
    hosts = address.partition("?")[0].rpartition("@")[2]
    if is_cluster or several or "," in hosts:
        return "a cluster of Redis servers is not supported"
    try:
        parse_url(address)
    except ValueError:
        return "is no address of a Redis server"
    return ""


class RedisServer:
    """One Redis server, not connected before it is used.

    Args:
        address: such as ``redis://host:6379``.
        prefix: begins every key, before ``::``; empty for none.
        username: replaces the address's.
        password: replaces the address's.

    Attributes:
        client: the client of the library ``redis``.
        prefix: as given.
        cache: values that the workers share.
    """

    unreachable: tuple[type[Exception], ...] = (RedisConnectionError, RedisTimeoutError)
    """The exceptions of the client when the server does not answer."""

    def __init__(
        self, address: str, prefix: str = "", *, username: str = "", password: str = ""
    ) -> None:
        given = {"username": username, "password": password}
        extra: dict[str, Any] = {name: value for name, value in given.items() if value}
        self.client: Redis = Redis.from_url(address, **extra)
        self.prefix = prefix
        self.cache = RedisCache(self.client, self.key(""))

    def key(self, name: str) -> str:
        """A key or a channel with the prefix."""
        return f"{self.prefix}::{name}" if self.prefix else name

    def limit_storage(self) -> RedisStorage:
        """A storage in which the library ``limits`` counts requests for all workers."""
        return RedisStorage(
            "async+redis://",  # unused: the pool carries address and password
            implementation="redispy",
            key_prefix=self.key("limits"),
            connection_pool=cast(Any, self.client.connection_pool),
        )

    async def ping(self) -> None:
        """Raise one of `unreachable` when the server does not answer."""
        await self.client.ping()

    async def close(self) -> None:
        """Close every connection."""
        await self.client.aclose()
