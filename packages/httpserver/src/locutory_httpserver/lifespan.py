"""The ASGI lifespan of a server, and the signals of its process."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Protocol

import structlog
from starlette.types import Receive, Send

log = structlog.get_logger("locutory")

_FORCED_SECONDS = 5.0


class Startable(Protocol):
    """A server that `Lifespan` can start, reload and stop."""

    shutdown_seconds: float
    """The time after which a shutdown is ended by killing the process."""

    async def open(self) -> None:
        """Prepare for listening. Raises when that fails, after undoing everything."""
        ...

    async def finish(self) -> None:
        """Do the rest of the start, while requests are served already. Raises when that fails."""
        ...

    def failed(self, error: Exception) -> None:
        """Report that a start failed."""
        ...

    async def reread(self) -> None:
        """Read the configuration again, and apply changes."""
        ...

    async def drain(self) -> None:
        """Let running work such as streams finish, and cancel it after some seconds."""
        ...

    async def close(self) -> None:
        """Undo `open`."""
        ...


class Lifespan:
    """Starts and stops a server for uvicorn."""

    def __init__(self, server: Startable) -> None:
        self._server = server

    async def serve(self, receive: Receive, send: Send) -> None:
        """Serve the lifespan protocol: open, finish in the background, drain and close."""
        await receive()
        try:
            await self._server.open()
        except Exception as error:
            self._server.failed(error)
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
            await self._server.drain()
        await asyncio.gather(*draining, return_exceptions=True)
        await self._server.close()
        log.info("stop.done")
        await send({"type": "lifespan.shutdown.complete"})

    def _handle_signals(self, draining: list[asyncio.Task[None]]) -> None:
        """Let SIGHUP reload. Let signals that stop the server end running work first: uvicorn waits
        for open connections, and streams close only when their work has ended."""
        if threading.current_thread() is not threading.main_thread():
            return
        server, reloads = self._server, set[asyncio.Task[None]]()
        loop = asyncio.get_running_loop()

        def reload() -> None:
            task = loop.create_task(server.reread(), name="reload")
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, reload)

        def drain(*, again: bool) -> None:
            if draining:
                if again:  # what still runs is given up
                    draining[0].cancel()
                return
            log.info("stop.begun", hint="Ctrl-C again stops at once")
            draining.append(loop.create_task(server.drain()))

        def chain(number: int, stop: Callable[[int, FrameType | None], Any]) -> None:
            def handler(received: int, frame: FrameType | None) -> None:
                # A worker hears a Ctrl-C twice: from the terminal, and as SIGTERM from its
                # supervisor. Only a second Ctrl-C is impatience.
                again = bool(draining) and received == signal.SIGINT
                _exit_in(_FORCED_SECONDS if again else server.shutdown_seconds)
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

    async def _finish_or_exit(self) -> None:
        try:
            await self._server.finish()
        except Exception as error:
            self._server.failed(error)
            os.kill(os.getpid(), signal.SIGTERM)


def _exit_in(seconds: float) -> None:
    """End the process after ``seconds`` (contract kernel §15), even when its event loop is
    blocked."""

    def leave() -> None:
        log.error("stop.timeout", seconds=seconds)
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
