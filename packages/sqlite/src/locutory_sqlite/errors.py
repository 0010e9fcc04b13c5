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

    What was acknowledged before is kept; the next call tries again.
    """


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


def storage_error(error: sqlite3.Error) -> StorageError:
    """SQLite's error in words that say what to do."""
    text = str(error)
    if "full" in text:
        return StorageError("The disk of the database is full")
    if "locked" in text or "busy" in text:
        return StorageError("The database is locked by another process")
    if "readonly" in text:
        return StorageError("The database can only be read: check its folder's permissions")
    if isinstance(error, sqlite3.DatabaseError) and (
        "malformed" in text or "not a database" in text
    ):
        return StorageError("The database file is damaged: restore a backup")
    return StorageError(f"The database does not answer: {text}")
