"""The connection and its keys. What cache and limits promise is tested with the kernel's own."""

import pytest

from locutory_redis import RedisServer, address_fault


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("redis://localhost:6379", ""),
        ("rediss://:secret@db.example:6380/2", ""),
        ("redis://a:1,redis://b:2", "a cluster of Redis servers is not supported"),
        ("redis://a:1,b:2", "a cluster of Redis servers is not supported"),
        ("redis://a:1?x=1,2", ""),
        ("http://localhost", "is no address of a Redis server"),
        ("localhost:6379", "is no address of a Redis server"),
    ],
)
def test_an_address_is_looked_at(address: str, fault: str) -> None:
    assert address_fault(address) == fault


def test_a_cluster_is_refused() -> None:
    assert "cluster" in address_fault("redis://localhost:6379", is_cluster=True)


async def test_keys_have_the_prefix(redis: RedisServer) -> None:
    assert redis.key("roles") == "test::roles"
    assert RedisServer("redis://localhost").key("roles") == "roles"
    await redis.cache.set("A", "key", [1])
    assert await redis.client.get("test::A:key") == b"[1]"


async def test_name_and_password_may_stand_beside_the_address(redis_address: str) -> None:
    bare = redis_address.replace(":pw@", "")
    server = RedisServer(bare, password="pw")
    await server.ping()
    await server.close()
    refused = RedisServer(bare)
    with pytest.raises(refused.unreachable):
        await refused.ping()
    await refused.close()
