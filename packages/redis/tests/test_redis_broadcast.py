"""Announcements: every listener hears them, and of every interruption."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from locutory_redis import RedisBroadcast, RedisServer
from locutory_testing.programs import redis_server
from locutory_testing.waiting import until

LOG = structlog.get_logger("test")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    with redis_server(tmp_path, "pw") as started:
        yield started


async def test_all_hear_what_one_announces(redis: RedisServer) -> None:
    heard: dict[str, list[str]] = {"a": [], "b": []}
    listeners = [RedisBroadcast(redis, "news", heard[name].append, LOG) for name in heard]
    other = RedisBroadcast(redis, "weather", heard["a"].append, LOG)
    for listener in listeners:
        await listener.start()
    await until(lambda: heard == {"a": [""], "b": [""]})
    await other.announce("rain")
    await listeners[0].announce("first")
    await listeners[1].announce("second ü")
    await until(lambda: len(heard["a"]) == len(heard["b"]) == 3)
    assert heard == {name: ["", "first", "second ü"] for name in heard}
    for listener in listeners:
        await listener.stop()
    await listeners[0].stop()


async def test_an_interruption_is_heard_and_outlived(
    own: tuple[str, "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    address, process = own
    redis, heard = RedisServer(address, "test"), [""]
    heard.clear()
    listener = RedisBroadcast(redis, "news", heard.append, LOG)
    await listener.start()
    await until(lambda: heard == [""])
    process.terminate()
    process.wait(10)
    await until(lambda: len(heard) > 1)
    await listener.announce("nobody hears this")
    folder = tmp_path / "again"
    folder.mkdir()
    port = int(address.rpartition(":")[2])
    with redis_server(folder, "pw", port):
        heard.clear()
        await until(lambda: heard == [""] or heard[-1:] == [""])
        await listener.announce("back")
        await until(lambda: heard[-1] == "back")
    await listener.stop()
    await redis.close()
