"""A Redis server of the session."""

from collections.abc import AsyncIterator, Iterator

import pytest

from locutory_redis import RedisServer
from locutory_testing.programs import redis_server


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis"), "pw") as (address, _):
        yield address


@pytest.fixture
async def redis(redis_address: str) -> AsyncIterator[RedisServer]:
    server = RedisServer(redis_address, "test")
    yield server
    await server.close()
