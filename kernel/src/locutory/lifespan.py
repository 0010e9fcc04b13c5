"""The ASGI lifespan of a kernel, and the signals of its process."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import structlog
from starlette.types import Receive, Send

from locutory import configuration
from locutory.errors import StartupError

if TYPE_CHECKING:
    from locutory.kernel import Kernel

log = structlog.get_logger("locutory")

_FORCED_SECONDS = 5.0


class Lifespan:
    """Starts and stops one kernel for an ASGI server."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel

    async def serve(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol: opens, finishes in the background, drains and undoes."""
        kernel = self._kernel
        await receive()
        try:
            await kernel.open()
        except Exception as error:
            kernel.failure = error
            self._report(error)
            await send({"type": "lifespan.startup.failed", "message": ""})
            return
        draining: list[asyncio.Task[None]] = []
        self._handle_signals(draining)
        await send({"type": "lifespan.startup.complete"})
        finishing = asyncio.create_task(self._finish_or_exit())
        await receive()
        finishing.cancel()
        await asyncio.gather(finishing, return_exceptions=True)
        if not draining:
            await kernel.lifecycle.drain(kernel.config.drain_seconds)
        await asyncio.gather(*draining, return_exceptions=True)
        await kernel.lifecycle.undo()
        log.info("stop.done")
        await send({"type": "lifespan.shutdown.complete"})

    def _report(self, error: Exception) -> None:
        if not isinstance(error, StartupError):
            log.error("start.failed", exc_info=error)
        elif self._kernel.on_ready is None:  # else the command reports it
            log.error("start.failed", reason=str(error))

    def _handle_signals(self, draining: list[asyncio.Task[None]]) -> None:
        """SIGHUP reloads. Signals that stop the server first end what runs: the server waits
        for open connections, and streams close only when their work has ended."""
        if threading.current_thread() is not threading.main_thread():
            return
        kernel = self._kernel
        loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(
                signal.SIGHUP,
                lambda: kernel.background.spawn(self._reload(), owner="kernel", name="reload"),
            )

        def drain(*, again: bool) -> None:
            if draining:
                if again:  # what still runs is given up
                    draining[0].cancel()
                return
            log.info("stop.begun", hint="Ctrl-C again stops at once")
            work = kernel.lifecycle.drain(kernel.config.drain_seconds)
            draining.append(loop.create_task(work))

        def chain(number: int, stop: Callable[[int, FrameType | None], Any]) -> None:
            def handler(received: int, frame: FrameType | None) -> None:
                # A worker hears a Ctrl-C twice: from the terminal, and as SIGTERM from its
                # supervisor. Only a second Ctrl-C is impatience.
                again = bool(draining) and received == signal.SIGINT
                _exit_in(_FORCED_SECONDS if again else kernel.config.shutdown_seconds)
                if not loop.is_closed():
                    loop.call_soon_threadsafe(partial(drain, again=again))
                stop(number, frame)

            signal.signal(number, handler)
            if number == signal.SIGTERM and hasattr(signal, "SIGQUIT"):
                signal.signal(signal.SIGQUIT, handler)

        for number in (signal.SIGINT, signal.SIGTERM):
            stop = signal.getsignal(number)
            if callable(stop):
                chain(number, stop)

    async def _reload(self) -> None:
        try:
            sources = await asyncio.to_thread(configuration.read_sources, may_bypass=False)
        except StartupError as error:
            log.error("config.reload_refused", problems=str(error))
            return
        self._kernel.reload(sources)
        await self._kernel.advice(offline=True)

    async def _finish_or_exit(self) -> None:
        kernel = self._kernel
        try:
            await kernel.finish()
        except Exception as error:
            kernel.failure = error
            self._report(error)
            os.kill(os.getpid(), signal.SIGTERM)


def _exit_in(seconds: float) -> None:
    """The hard end of a shutdown that hangs (contract kernel §15), even of a blocked loop."""

    def leave() -> None:
        log.error("stop.timeout", seconds=seconds)
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
