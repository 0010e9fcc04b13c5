"""The database of commands, and of a process that has no event loop yet or none of its own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

import click
from pymongo.errors import PyMongoError

from locutory.errors import StartupError
from locutory.openers import open_database
from locutory.plugin import Context
from locutory.settings import KernelConfig

T = TypeVar("T")


@contextlib.asynccontextmanager
async def opened(ctx: Context) -> AsyncIterator[None]:
    """The database of a kernel that is not started, for a command of a plugin; the embedded one
    of a running server will do. `click.ClickException` when it does not answer."""
    try:
        source = await open_database(ctx.kernel, ctx.data_dir, join=True, create=False)
        try:
            await ctx.database.open(source.uri, ctx.kernel)
            yield
        finally:
            await ctx.database.close()
            await source.stop()
    except PyMongoError as error:
        raise click.ClickException(f"The database does not answer: {error}") from None


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
