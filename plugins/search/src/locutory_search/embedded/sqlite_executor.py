"""The threads of the built-in index: one that writes, a few that read. SQLite never runs on
the event loop."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from locutory_search.embedded.file import Connection, IndexFile, Opened

T = TypeVar("T")

READERS = 2

_BROKEN = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB


class SqliteExecutor:
    """Runs work on the index. Threads and connections are made when they are needed."""

    def __init__(self, file: IndexFile, log: structlog.stdlib.BoundLogger) -> None:
        self._file = file
        self._log = log
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="search-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="search-reader")
        self._writing: Opened | None = None
        self._reading = threading.local()
        self._opened: set[Opened] = set()
        self.works = False

    async def write(self, work: Callable[..., T], *args: object, **options: object) -> T:
        """``work(connection, …)`` in the writer's thread. A file that is broken is replaced by
        an empty one, and the work done again. Raises ``sqlite3.Error``, ``OSError``."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writer, lambda: self._write(lambda connection: work(connection, *args, **options))
        )

    async def read(self, work: Callable[..., T], *args: object) -> T:
        """``work(connection, …)`` in a reader's thread. Raises ``sqlite3.Error``, ``OSError``."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, lambda: work(self._reader(), *args)
        )

    async def run(self, work: Callable[[], T]) -> T:
        """Work without the index, in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def _write(self, work: Callable[[Connection], T]) -> T:
        try:
            result = self._attempt(work)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BROKEN:
                self.works = False
                raise
            self._log.error("search.index_broken", file=str(self._file.path), reason=str(error))
            self._replace()
            result = self._attempt(work)
        except OSError:
            self.works = False
            raise
        self.works = True
        return result

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        if self._writing is not None and not self._file.is_current(self._writing):
            self._close(self._writing)
            self._writing = None
        if self._writing is None:
            self._writing = self._file.open(make=True)
            self._opened.add(self._writing)
        return work(self._writing.connection)

    def _replace(self) -> None:
        """Away with a broken file, unless another process has replaced it already."""
        broken, self._writing = self._writing, None
        if broken is None or self._file.is_current(broken):
            self._file.discard()
        if broken is not None:
            self._close(broken)

    def _reader(self) -> Connection:
        opened: Opened | None = getattr(self._reading, "opened", None)
        if opened is not None and not self._file.is_current(opened):
            self._close(opened)
            opened = self._reading.opened = None
        if opened is None:
            opened = self._reading.opened = self._file.open(make=False)
            self._opened.add(opened)
        return opened.connection

    def _close(self, opened: Opened) -> None:
        self._opened.discard(opened)
        opened.connection.close()

    async def close(self) -> None:
        """Wait for the running work, then close every connection."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        for opened in list(self._opened):
            self._close(opened)
        self._writing = None
