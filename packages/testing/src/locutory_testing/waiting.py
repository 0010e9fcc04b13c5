"""Waiting for an expected condition, on machines of any speed.

No test limits a duration, since a busy machine takes ten times as long. A missing result is noticed
after `PATIENCE`, which is far more than any test needs.
"""

import asyncio
import inspect
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0
"""Seconds until a test fails."""


async def until(condition: Callable[[], Any], what: str = "it did not happen") -> Any:
    """Wait for a true value of ``condition()``, which may return an awaitable, and return it.

    ``AssertionError`` with ``what`` when there is none for `PATIENCE` seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], Any], what: str = "it did not happen") -> Any:
    """`until` for synchronous tests and fixtures."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, what: str) -> None:
    """Return when a port of 127.0.0.1 accepts connections; ``AssertionError`` when the process that
    should listen has ended, or does not listen for `PATIENCE` seconds."""

    def listens() -> bool:
        assert process.poll() is None, f"{what} did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    wait_until(listens, f"{what} did not start")


def free_port() -> int:
    """A port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
