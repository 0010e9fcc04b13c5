"""Waiting for what a test expects, however slow the machine is.

No test says how long something may take: a busy machine takes ten times as long. What never
comes is noticed after `PATIENCE`, which is far more than anything needs.
"""

import asyncio
import inspect
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0
"""Seconds until a test gives up."""


async def until(condition: Callable[[], Any], what: str = "it did not happen") -> Any:
    """The first true value of ``condition()``, which may return an awaitable.

    ``AssertionError`` with ``what`` when there is none for `PATIENCE`.
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
    """`until`, for tests and fixtures that are not asynchronous."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, what: str) -> None:
    """Return when somebody listens on a port of 127.0.0.1; ``AssertionError`` when the process
    that should do so has ended, or does not for `PATIENCE`."""

    def listens() -> bool:
        assert process.poll() is None, f"{what} did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    wait_until(listens, f"{what} did not start")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
