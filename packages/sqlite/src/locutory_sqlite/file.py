"""The database's file on the disk: made, with its folder and permissions."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from locutory_sqlite.errors import StorageError
from locutory_sqlite.recognition import recognise, refuse_lost

OLDEST_SQLITE = (3, 35, 0)

_making = threading.Lock()


def make_file(path: Path, *, create: bool) -> None:
    """Create the file of this package if it does not exist, readable by its owner only (0600, a new
    folder 0700). An existing one is not opened before it was recognised.

    ``FileNotFoundError`` when it does not exist and is not to be created; `StorageError`.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise StorageError(
            f"The database needs SQLite {wanted}; this Python has {sqlite3.sqlite_version}"
        )
    try:
        if not create and not path.exists():
            raise FileNotFoundError(f"There is no database at {path}")
        refuse_lost(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Closing a file gives up the locks that SQLite holds on it in the same process: the lock
        # keeps this away from other clients that have it open already.
        with _making:
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
                made = True
            except FileExistsError:
                made = False
        if not path.is_file():
            raise StorageError(f"The database cannot be opened: {path} is not a file")
        if not os.access(path, os.W_OK):
            raise StorageError(f"The database can only be read: check the permissions of {path}")
        if not made:
            recognise(path)
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            with contextlib.suppress(PermissionError):  # it belongs to another account
                path.chmod(mode & 0o700)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"The database cannot be opened: {error.strerror}: {path}") from error


class Identity:
    """The identity of an opened file. One that is removed or replaced meanwhile would continue to
    accept writes that nobody could find again."""

    def __init__(self, path: Path) -> None:
        self._file, self._wal = str(path), f"{path}-wal"
        self._known = _number(self._file)
        self._known_wal = _number(self._wal)

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Around what opens the file once more: `StorageError` where that was another one, before
        anything of ours is written into it."""
        self.check()
        yield
        self.check()

    def check(self) -> None:
        """`StorageError` where another file, or none, is in its place."""
        if _number(self._file) != self._known:
            raise StorageError(
                "The database file was removed or replaced while it is open: put it back"
                " (a backup is put in place while no server runs)"
            )

    def check_all(self) -> int:
        """The same, also of the write-ahead log, whose size in bytes is returned."""
        self.check()
        try:
            wal = os.stat(self._wal)
        except FileNotFoundError:
            wal = None
        if wal is None or (wal.st_dev, wal.st_ino) != self._known_wal:
            raise StorageError(
                "The database's file of the name ending in -wal was removed while it is open:"
                " put it back, or restart the server"
            )
        return wal.st_size


def _number(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
