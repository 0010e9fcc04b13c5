"""The errors of the driver, as the server would have sent them."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    WriteError,
)

BAD_VALUE = 2
FAILED_TO_PARSE = 9
TYPE_MISMATCH = 14
PATH_NOT_VIABLE = 28
CONFLICTING_UPDATE = 40
DOLLAR_PREFIXED = 52
IMMUTABLE_FIELD = 66
INDEX_NOT_FOUND = 27
OPTIONS_CONFLICT = 85
INDEX_KEY_CONFLICT = 86
PARALLEL_ARRAYS = 171
NOT_SUPPORTED = 238  # the server's CommandNotSupportedOnView is 166; this is NotImplemented
DUPLICATE_KEY = 11000
TOO_LARGE = 10334


class StorageError(ConnectionFailure):
    """The file cannot be read or written at the moment: full disk, locked, damaged, read-only.
    Acknowledged writes are kept; the next call tries again. ``advice``: a sentence for the
    operator."""

    advice = "docs/database.md tells what each fault means; locutory database check looks closer"


class DamagedFile(StorageError):
    """The stored data cannot be read."""


def not_supported(what: str) -> OperationFailure:
    """An operator or option that this database does not have; nothing has happened."""
    return OperationFailure(f"The embedded database does not support {what}", NOT_SUPPORTED)


def invalid(text: str, code: int = BAD_VALUE) -> OperationFailure:
    """A filter, update or pipeline that the server would refuse."""
    return OperationFailure(text, code)


def write_error(text: str, code: int) -> WriteError:
    """A write that cannot be applied to its document."""
    return WriteError(text, code, {"index": 0, "code": code, "errmsg": text})


def duplicate_key(
    namespace: str, index: str, pattern: Mapping[str, int], values: Mapping[str, Any]
) -> DuplicateKeyError:
    """Code 11000 with ``keyPattern`` and ``keyValue``."""
    shown = ", ".join(f"{name}: {value!r}" for name, value in values.items())
    text = (
        f"E11000 duplicate key error collection: {namespace} index: {index} dup key: {{ {shown} }}"
    )
    details = {
        "index": 0,
        "code": DUPLICATE_KEY,
        "errmsg": text,
        "keyPattern": dict(pattern),
        "keyValue": dict(values),
    }
    return DuplicateKeyError(text, DUPLICATE_KEY, details)


_TEXTS = {
    sqlite3.SQLITE_FULL: "The disk of the database is full",
    sqlite3.SQLITE_BUSY: "The database is locked by another process",
    sqlite3.SQLITE_LOCKED: "The database is locked by another process",
    sqlite3.SQLITE_PROTOCOL: "The database is locked by another process",
    sqlite3.SQLITE_READONLY: "The database can only be read: check the permissions of its folder",
    sqlite3.SQLITE_PERM: "The database can only be read: check the permissions of its folder",
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened: check its folder and permissions",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged: restore a backup",
    sqlite3.SQLITE_NOTADB: "The database file is damaged: restore a backup",
    sqlite3.SQLITE_IOERR: "The disk of the database gives errors, or has no space left",
    sqlite3.SQLITE_INTERRUPT: "The database is closed",
}


def damaged() -> DamagedFile:
    """The error for data that cannot be read although SQLite reports no damage."""
    return DamagedFile(_TEXTS[sqlite3.SQLITE_CORRUPT])


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is Python's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """``True`` when another process has locked the file at the moment."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def is_corrupt(error: sqlite3.Error) -> bool:
    """``True`` when the stored data is damaged."""
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: sqlite3.Error) -> bool:
    """``True`` when the stored data cannot be read, because it is damaged or the disk reports
    errors."""
    return is_corrupt(error) or code_of(error) == sqlite3.SQLITE_IOERR


def storage_error(error: sqlite3.Error) -> StorageError:
    """SQLite's error as a `StorageError` with advice."""
    text = _TEXTS.get(code_of(error))
    return StorageError(text or f"The database does not answer: {error}")
