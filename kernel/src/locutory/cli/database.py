"""The database of a process that has no event loop yet, or none of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

from locutory.errors import StartupError
from locutory.openers import open_database
from locutory.settings import KernelConfig

T = TypeVar("T")


class ThreadedDatabase:
    """The configured database, opened and watched by a loop in a thread."""

    def __init__(self, config: KernelConfig, data_dir: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._opening = self._loop.create_task(open_database(config, data_dir))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    async def uri(self) -> str:
        """Its address, once it answers; ``StartupError`` when it does not start."""
        return await asyncio.wrap_future(self._there(self._uri()))

    async def _uri(self) -> str:
        return (await asyncio.shield(self._opening)).uri

    def _there(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def __exit__(self, *_: object) -> None:
        self._there(self._close()).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()

    async def _close(self) -> None:
        self._opening.cancel()  # what is still being opened is given up, and leaves nothing
        with contextlib.suppress(StartupError, asyncio.CancelledError):
            await (await self._opening).stop()
