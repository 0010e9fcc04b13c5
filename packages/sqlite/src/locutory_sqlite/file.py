"""The database's file on the disk: made, with its folder and permissions."""

import contextlib
import os
import sqlite3
import threading
import time
from pathlib import Path

from locutory_sqlite.errors import StorageError

OLDEST_SQLITE = (3, 35, 0)

_making = threading.Lock()


def make_file(path: Path, *, create: bool) -> None:
    """See to it that there is a file, of nobody else (0600, a new folder 0700).

    ``FileNotFoundError`` where there is none and none is to be made; `StorageError`.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise StorageError(
            f"The database needs SQLite {wanted}; this Python has {sqlite3.sqlite_version}"
        )
    try:
        if not create and not path.exists():
            raise FileNotFoundError(f"There is no database at {path}")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Closing a file gives up the locks that SQLite holds on it in the same process: the lock
        # keeps this away from other clients that have it open already.
        with _making, contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if not path.is_file():
            raise StorageError(f"The database cannot be opened: {path} is not a file")
        with contextlib.suppress(PermissionError):  # it belongs to another account
            path.chmod(0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"The database cannot be opened: {error.strerror}: {path}") from error


def enable_wal(sql: sqlite3.Connection, patience: float) -> None:
    """Turn on the write-ahead log. SQLite does not wait here for another process that does the
    same, whatever its timeout."""
    until = time.monotonic() + patience
    while True:
        try:
            sql.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
