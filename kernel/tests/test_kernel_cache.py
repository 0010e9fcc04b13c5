"""The cache in process and in Redis: the same promises."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from locutory.data.cache import Cache, MemoryCache
from locutory_redis import RedisServer
from locutory_testing import Serve
from locutory_testing.waiting import until


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    redis = RedisServer(request.getfixturevalue("redis_url"), f"test{time.time_ns()}")
    yield redis.cache
    await redis.close()


async def test_values_come_back(cache: Cache) -> None:
    value = {"list": [1, 2.5, None, "ü"], "flag": True}
    await cache.set("A", "key", value)
    assert await cache.get("A", "key") == value
    assert await cache.get("B", "key") is None
    await cache.set("A", "key", "new")
    assert await cache.get("A", "key") == "new"
    await cache.delete("A", "key")
    await cache.delete("A", "key")
    assert await cache.get("A", "key") is None


async def test_values_expire(cache: Cache) -> None:
    await cache.set("A", "short", 1, ttl=0.05)
    await cache.set("A", "long", 1, ttl=3600)
    await cache.set("A", "ever", 1)
    await asyncio.sleep(0.08)
    assert await cache.get("A", "short") is None
    assert await cache.get("A", "long") == 1
    assert await cache.add("A", "short", 2, ttl=3600)


async def test_one_of_many_adds_wins(cache: Cache) -> None:
    won = await asyncio.gather(*(cache.add("A", "lock", n, ttl=60) for n in range(20)))
    assert sum(won) == 1
    assert await cache.get("A", "lock") == won.index(True)


async def test_one_of_many_pops_wins(cache: Cache) -> None:
    await cache.set("A", "once", "token")
    got = await asyncio.gather(*(cache.pop("A", "once") for _ in range(20)))
    assert sorted(got, key=str) == [None] * 19 + ["token"]


async def test_numbers_add_up(cache: Cache) -> None:
    assert await cache.increment("A", "count") == 1
    assert await cache.increment("A", "count", 2.5) == 3.5
    assert await cache.increment("A", "count", -0.5) == 3
    assert await cache.get("A", "count") == 3
    await cache.set("A", "set", 10)
    assert await cache.increment("A", "set") == 11
    await asyncio.gather(*(cache.increment("A", "many") for _ in range(50)))
    assert await cache.get("A", "many") == 50


async def test_a_ttl_starts_anew_and_none_keeps_the_end(cache: Cache) -> None:
    async def twice(key: str, **again: float) -> bool:
        """Whether the second increment came before the end of the first."""
        await cache.delete("A", key)
        await cache.increment("A", key, ttl=0.1)
        return await cache.increment("A", key, **again) == 2

    await until(lambda: twice("renewed", ttl=3600))
    await until(lambda: twice("kept"))
    await asyncio.sleep(0.15)
    assert await cache.get("A", "renewed") == 2
    assert await cache.get("A", "kept") is None


async def test_the_oldest_leave_a_full_memory() -> None:
    cache = MemoryCache(capacity=3)
    for key in "abc":
        await cache.set("A", key, key)
    await cache.set("A", "a", "again")
    await cache.set("A", "d", "d")
    assert [await cache.get("A", key) for key in "abcd"] == ["again", None, "c", "d"]


async def test_the_sweep_frees_memory() -> None:
    cache = MemoryCache()
    for number in range(2500):
        await cache.set("A", str(number), 1, ttl=0.01 if number % 2 else None)
    await asyncio.sleep(0.02)
    await cache.sweep()
    assert len(cache._entries) == 1250


async def test_redis_keys_are_librechats(serve: Serve, redis_url: str) -> None:
    from redis.asyncio import Redis

    environment = {
        "USE_REDIS": "true",
        "REDIS_URI": redis_url,
        "REDIS_KEY_PREFIX_VAR": "POD",
        "POD": "blue",
    }
    async with serve(environment=environment) as server:
        await server.kernel.cache.set("FLOWS", "id", {"a": 1}, ttl=60)
        client: Any = Redis.from_url(redis_url)
        assert await client.get("blue::FLOWS:id") == b'{"a":1}'
        assert 0 < await client.ttl("blue::FLOWS:id") <= 60
        await client.aclose()
