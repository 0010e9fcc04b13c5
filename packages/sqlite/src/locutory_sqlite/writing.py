"""Writing documents with their index keys, inside a transaction of the writer."""

import contextlib
import sqlite3
from collections.abc import Mapping
from typing import Any

import bson
from bson import ObjectId

from locutory_sqlite.catalog import STORED, Catalog, Stored
from locutory_sqlite.errors import TOO_LARGE, duplicate_key, write_error
from locutory_sqlite.indexes import Index
from locutory_sqlite.ordering import encode
from locutory_sqlite.reading import Row

MAX_BYTES = 16 * 1024 * 1024
"""Of a document, as MongoDB has it."""


class Writing:
    """Changes of one collection. Each of its methods does all or, raising, nothing that the
    caller's savepoint does not undo."""

    def __init__(
        self, connection: sqlite3.Connection, catalog: Catalog, stored: Stored, database: str
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._stored = stored
        self._namespace = f"{database}.{stored.name}"
        number = stored.number
        self._insert = f"INSERT INTO c{number} (id, document) VALUES (?, ?)"
        self._update = f"UPDATE c{number} SET document = ? WHERE row = ?"
        self._delete = f"DELETE FROM c{number} WHERE row = ?"

    def insert(self, raw: bytes) -> None:
        """A new document, which has its ``_id``. ``DuplicateKeyError``, ``WriteError``."""
        _check_size(raw)
        document = bson.decode(raw, STORED)  # as every reader will see it
        identity = document["_id"]
        if isinstance(identity, list):
            raise write_error("The '_id' value cannot be of type array", 53)
        try:
            row = self._connection.execute(self._insert, (encode(identity), raw)).lastrowid
        except sqlite3.IntegrityError:
            raise duplicate_key(self._namespace, "_id_", {"_id": 1}, {"_id": identity}) from None
        for index in self._stored.indexes:
            self._add(index, document, index.entries(document), row or 0)

    def replace(self, row: Row, raw: bytes) -> None:
        """Put a changed document in the place of the one that was read."""
        _check_size(raw)
        number, before_raw, _ = row
        before, after = bson.decode(before_raw, STORED), bson.decode(raw, STORED)
        for index in self._stored.indexes:
            old, new = index.entries(before), index.entries(after)
            if old != new:
                kept = set(old) & set(new)
                self._remove(index, [key for key in old if key not in kept], number)
                self._add(index, after, [key for key in new if key not in kept], number)
        self._connection.execute(self._update, (raw, number))

    def delete(self, row: Row) -> None:
        """Remove a document that was read."""
        number, raw, _ = row
        document = bson.decode(raw, STORED)
        for index in self._stored.indexes:
            self._remove(index, index.entries(document), number)
        self._connection.execute(self._delete, (number,))

    def _add(self, index: Index, document: dict[str, Any], keys: list[bytes], row: int) -> None:
        text = f"INSERT INTO i{index.number} (key, row) VALUES (?, ?)"
        for key in keys:
            try:
                self._connection.execute(text, (key, row))
            except sqlite3.IntegrityError:
                raise duplicate_key(
                    self._namespace, index.name, dict(index.keys), index.values(document, key)
                ) from None
        if not index.multikey and _has_array(index, document):
            index.multikey = True
            self._catalog.becomes_multikey(self._connection, index)

    def _remove(self, index: Index, keys: list[bytes], row: int) -> None:
        text = f"DELETE FROM i{index.number} WHERE key = ? AND row = ?"
        for key in keys:
            self._connection.execute(text, (key, row))

    def fill(self, index: Index) -> None:
        """Write the keys of every document into a new index."""
        text = f"SELECT row, document FROM c{self._stored.number}"
        # An open cursor, kept by the traceback of an error, would lock the tables.
        with contextlib.closing(self._connection.execute(text)) as rows:
            for row, raw in rows:
                document = bson.decode(raw, STORED)
                self._add(index, document, index.entries(document), row)


def _has_array(index: Index, document: Mapping[str, Any]) -> bool:
    """Is an array on one of its paths? Even with a single key it is no single value then."""
    for path, _ in index.keys:
        value: Any = document
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
            if isinstance(value, list):
                return True
    return False


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_BYTES:
        raise write_error(
            f"Size {len(raw)} is larger than the maximum document size {MAX_BYTES}", TOO_LARGE
        )


def with_id(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its ``_id`` in front, made if it has none."""
    if "_id" in document:
        if next(iter(document)) == "_id":
            return dict(document)
        return {"_id": document["_id"], **document}
    return {"_id": ObjectId(), **document}
