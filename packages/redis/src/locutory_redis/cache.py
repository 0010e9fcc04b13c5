"""Cached values in Redis."""

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from redis.asyncio import Redis


class RedisCache:
    """JSON values by namespace and key, with the methods of the kernel's ``Cache``, in Redis under
    ``{prefix}::{namespace}:{key}`` (contract kernel §14)."""

    def __init__(self, redis: "Redis", base: str = "") -> None:
        self._redis = redis
        self._base = base

    def _name(self, namespace: str, key: str) -> str:
        return f"{self._base}{namespace}:{key}"

    @staticmethod
    def _milliseconds(ttl: float | None) -> int | None:
        return None if ttl is None else max(1, int(ttl * 1000))

    async def get(self, namespace: str, key: str) -> Any:
        text = await self._redis.get(self._name(namespace, key))
        return None if text is None else orjson.loads(text)

    async def set(self, namespace: str, key: str, value: Any, ttl: float | None = None) -> None:
        await self._redis.set(
            self._name(namespace, key), orjson.dumps(value), px=self._milliseconds(ttl)
        )

    async def add(self, namespace: str, key: str, value: Any, ttl: float | None = None) -> bool:
        return bool(
            await self._redis.set(
                self._name(namespace, key), orjson.dumps(value), px=self._milliseconds(ttl), nx=True
            )
        )

    async def pop(self, namespace: str, key: str) -> Any:
        text = await self._redis.getdel(self._name(namespace, key))
        return None if text is None else orjson.loads(text)

    async def delete(self, namespace: str, key: str) -> None:
        await self._redis.delete(self._name(namespace, key))

    async def increment(
        self, namespace: str, key: str, by: float = 1, ttl: float | None = None
    ) -> float:
        name = self._name(namespace, key)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.incrbyfloat(name, by)
            if ttl is not None:
                pipe.pexpire(name, self._milliseconds(ttl) or 1)
            total = (await pipe.execute())[0]
        return float(total)
