"""Recognising the owner of a file, before anything is written to it."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import structlog

from locutory_sqlite.catalog import FORMAT
from locutory_sqlite.errors import StorageError, code_of, storage_error

log = structlog.get_logger("locutory.database")

_SHOWN = 5
_FRESH_SECONDS = 5.0  # another process may be making it


class ForeignFile(StorageError):
    """The file belongs to another program, or is not a database."""

    advice = "name another file, or move this one away: nothing was written to it"


class NewerFile(StorageError):
    """The file was written by a newer version."""

    advice = "start that version, or restore a backup that this one made: nothing was written to it"

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(
            f"{path} was written by a newer version (format {number}; this version reads up to"
            f" {FORMAT})"
        )


class EmptiedFile(StorageError):
    """The file was emptied or removed, its log was not."""

    advice = (
        "put the file back, or restore a backup; to begin anew, remove also the files beside it"
        " that end in -wal and -shm"
    )


def refuse_lost(path: Path) -> None:
    """`EmptiedFile` where there is a write-ahead log with content, but no file that it belongs to:
    SQLite would remove it, with writes that were acknowledged."""
    # The log comes first: whoever makes the file has written to it before there is a log.
    if _size(f"{path}-wal") and not _size(path):
        raise EmptiedFile(
            f"{path} was emptied or removed, but its write-ahead log {path.name}-wal is there"
        )


def recognise(path: Path) -> None:
    """Look at a file that was there already: `ForeignFile`, `NewerFile`, or `StorageError` where it
    cannot be read. An empty one is taken as new, with a warning if it seems to have been emptied.
    The file keeps every byte."""
    left = [f"{path.name}{end}" for end in ("-wal", "-shm") if os.path.exists(f"{path}{end}")]
    found = path.stat()
    if not found.st_size:
        if left or time.time() - found.st_mtime > _FRESH_SECONDS:
            hint = "was it emptied? docs/database.md tells how to restore a backup"
            log.warning("database.empty_file", file=str(path), beside=left, hint=hint)
        return
    try:
        tables, number = _look(path)
    except sqlite3.DatabaseError as error:
        if code_of(error) == sqlite3.SQLITE_NOTADB:
            text = f"{path} is no database, or it is damaged: restore a backup"
            raise ForeignFile(text) from error
        raise StorageError(f"{storage_error(error)} ({path})") from error
    if number > FORMAT:
        raise NewerFile(path, number)
    if tables and "locutory_format" not in tables:
        shown = ", ".join(tables[:_SHOWN]) + (", …" if len(tables) > _SHOWN else "")
        raise ForeignFile(f"{path} belongs to another program: its tables are {shown}")


def _look(path: Path) -> tuple[list[str], int]:
    """The names of the tables, and the number of the format, 0 where there is none."""
    # To read it like any other leaves a log behind where none was.
    quiet = not _in_use(path)
    if quiet:
        with contextlib.suppress(sqlite3.DatabaseError):
            found = _read(path, "immutable=1")
            if found[1] or not _in_use(path):
                return found
    try:
        return _read(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    # A write was broken off that only somebody who may write can take back.
    return _read(path, "immutable=1")


def _in_use(path: Path) -> bool:
    """``True`` when there is a log or journal beside the file, which then is not complete alone."""
    return any(os.path.exists(f"{path}{end}") for end in ("-wal", "-journal"))


def _read(path: Path, how: str) -> tuple[list[str], int]:
    uri = f"{path.absolute().as_uri()}?{how}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=20)) as sql:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = [name for (name,) in sql.execute(query)]
        if "locutory_format" not in tables:
            return tables, 0
        row = sql.execute("SELECT number FROM locutory_format").fetchone()
        return tables, row[0] if row else 0


def _size(path: Path | str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
