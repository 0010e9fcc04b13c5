"""Background tasks of an index."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog


class Tasks:
    """Tasks whose faults are logged, and that end together."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.create_task(self._guard(work, name), name=f"search:{name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _guard(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            self._log.exception("search.task_failed", task=name)

    async def stop(self) -> None:
        """Cancel everything and wait for it."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FailureLog:
    """Logs the fault that keeps an index from following, once, and when it is over."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log
        self._reason = ""

    def failed(self, error: Exception) -> None:
        """Log a failure, once per reason."""
        reason = str(error) or type(error).__name__
        if reason != self._reason:
            self._log.warning("search.behind", reason=reason)
        self._reason = reason

    def recovered(self) -> None:
        """Log the end of a failure."""
        if self._reason:
            self._log.info("search.follows_again")
        self._reason = ""
