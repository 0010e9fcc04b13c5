"""Tasks of this plugin: a fault is logged, none is lost to the garbage collector."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from structlog.stdlib import BoundLogger

T = TypeVar("T")


class Tasks:
    """Running tasks of one kernel."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start and return a task. Its fault is logged when nobody awaits it first."""
        task = asyncio.create_task(work, name=f"agents:{name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.debug("chat.task_failed", task=task.get_name(), reason=repr(error)[:200])

    async def idle(self, seconds: float) -> None:
        """Wait until all have ended, at most this long; then cancel the rest."""
        current = asyncio.current_task()
        waiting = {task for task in self._running if task is not current}
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
