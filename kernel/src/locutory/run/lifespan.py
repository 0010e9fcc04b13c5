"""Starting, reloading and stopping a kernel as a process."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from locutory.config.configuration import read_sources
from locutory.errors import StartupError

if TYPE_CHECKING:
    from locutory.run.kernel import Kernel

log = structlog.get_logger("locutory")


class Process:
    """The kernel for `locutory_httpserver.lifespan.Lifespan`. The exception of a failed start is
    kept in ``kernel.failure``, for the command that reports it."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.open = kernel.open
        self.finish = kernel.finish
        self.close = kernel.lifecycle.undo
        self.shutdown_seconds = kernel.config.shutdown_seconds

    def failed(self, error: Exception) -> None:
        """Keep the exception, and log it unless a command reports it."""
        self._kernel.failure = error
        if not isinstance(error, StartupError):
            log.error("start.failed", exc_info=error)
        elif self._kernel.on_ready is None:
            log.error("start.failed", reason=str(error))

    async def drain(self) -> None:
        """Let running work finish."""
        await self._kernel.lifecycle.drain(self._kernel.config.drain_seconds)

    async def reread(self) -> None:
        """Read and apply the configuration again, run the offline checks, and log all faults."""
        try:
            sources = await asyncio.to_thread(read_sources, may_bypass=False)
        except StartupError as error:
            log.error("config.reload_refused", problems=str(error))
            return
        self._kernel.reload(sources)
        await self._kernel.advice(offline=True)
