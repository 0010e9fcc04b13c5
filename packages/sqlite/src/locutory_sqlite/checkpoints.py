"""Bringing the write-ahead log into the file, while others write.

A commit of SQLite that finds the log long does so itself, and whoever waits behind it waits for
hundreds of milliseconds on a slow disk. A connection of its own only reads the log.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable

from locutory_sqlite.connection import WAL_BYTES, Connection
from locutory_sqlite.errors import StorageError


class Checkpoints:
    """The thread that does it, for one writer; ``connect`` makes a connection to the file. It
    begins with the first log that is long."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._closing = False
        self._connection: Connection | None = None
        self._size = 0
        self._at = WAL_BYTES

    def look(self, size: int) -> None:
        """After a commit: the log's file has so many bytes. It grows by what is written, until
        all of it is in the file; then SQLite begins it anew and makes it short."""
        if size < self._size:
            self._at = WAL_BYTES
        self._size = size
        if size <= self._at:
            return
        self._at = size + WAL_BYTES
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sqlite-checkpoint", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self, seconds: float) -> None:
        """End it; what is left in the log comes into the file when that is closed."""
        if self._thread is None:
            return
        self._closing = True
        connection = self._connection
        if connection is not None:
            connection.sql.interrupt()
        self._wanted.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closing:
                break
            # Whatever is wrong with the disk, the next write tells.
            with contextlib.suppress(sqlite3.Error, StorageError, OSError):
                if self._connection is None:
                    self._connection = self._connect()
                try:
                    self._connection.sql.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite3.Error:
                    self._forget()  # it may remember the fault
                    raise
        self._forget()

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.sql.close()
