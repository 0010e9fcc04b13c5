"""Imports that go on when the request that began them has been answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from structlog.stdlib import BoundLogger

from locutory_conversations.importing.importer import Outcome


class RunningImports:
    """Runs imports, at most one of each user on this worker."""

    def __init__(self, answer_seconds: float, log: BoundLogger) -> None:
        self._log = log
        self._answer_seconds = answer_seconds
        self._users: set[str] = set()
        self._tasks: set[asyncio.Task[Outcome]] = set()

    def begin(self, user: str) -> bool:
        """Take the user's place; ``False`` when an import of theirs is running."""
        if user in self._users:
            return False
        self._users.add(user)
        return True

    def end(self, user: str) -> None:
        """Free the user's place."""
        self._users.discard(user)

    async def run(self, work: Coroutine[Any, Any, Outcome]) -> Outcome | None:
        """The outcome of the import; ``None`` when it takes longer than a proxy waits for a
        response. It continues then, and also when the caller closes the connection."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            done, _ = await asyncio.wait([task], timeout=self._answer_seconds)
        except asyncio.CancelledError:
            task.add_done_callback(self._log_fault)
            raise
        if done:
            return task.result()
        task.add_done_callback(self._log_fault)
        return None

    def _log_fault(self, task: asyncio.Task[Outcome]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("conversations.import_failed", exc_info=error)

    async def stop(self) -> None:
        """Cancel the running imports: their writes are kept, and sending the file again adds the
        rest."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
