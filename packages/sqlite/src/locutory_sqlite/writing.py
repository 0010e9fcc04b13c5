"""Writing documents with their index keys, inside a transaction of the writer."""

import contextlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import bson
from bson import ObjectId

from locutory_sqlite.catalog import STORED, Stored
from locutory_sqlite.connection import Connection, clock
from locutory_sqlite.errors import TOO_LARGE, duplicate_key, write_error
from locutory_sqlite.indexes import Components, Index
from locutory_sqlite.ordering import encode
from locutory_sqlite.reading import Row

MAX_BYTES = 16 * 1024 * 1024
"""The maximum size of a document, as in MongoDB."""

Entry = tuple[bytes, int]
"""A key of an index and the row of its document."""

_MEASURED = 20
_SLOWEST = 0.0002
"""So many keys tell how long one takes, in seconds at most: then a portion of others is still so
many, which tell when the disk is quick again."""

_FILLED_AT_ONCE = 100
_FILLED_BYTES = 256 * 1024


class Writing:
    """Changes of one collection, to rows that were read as `STORED`.

    Each of its methods does everything or, when it raises, nothing. Writes that cannot be refused
    are buffered until `flush`, and then written table by table, which costs half. Call it before
    anything is read again, and at the end.
    """

    def __init__(self, writer: Connection, stored: Stored, database: str) -> None:
        self._writer = writer
        self._connection = writer.sql
        self._catalog = writer.catalog
        self._stored = stored
        self._namespace = f"{database}.{stored.name}"
        self._removed: dict[int, list[Entry]] = {}
        self._added: dict[int, list[Entry]] = {}
        self._changed: list[tuple[bytes, int]] = []
        self._deleted: list[tuple[int]] = []
        self._kept = 0

    def portion_ends(self, begun: float) -> bool:
        """`Connection.portion_ends`, including the writes that are buffered until `flush`."""
        return self._writer.portion_ends(begun, self._kept)

    def insert(self, raw: bytes) -> None:
        """A new document, which has its ``_id``. ``DuplicateKeyError``, ``WriteError``."""
        _check_size(raw)
        document = bson.decode(raw, STORED)  # as every reader will see it
        identity = document["_id"]
        if isinstance(identity, list):
            raise write_error("The '_id' value cannot be of type array", 53)
        components = Components(document)
        entries = [(index, index.entries(components)) for index in self._stored.indexes]
        table = f"c{self._stored.number}"
        try:
            row = self._connection.execute(
                f"INSERT INTO {table} (id, document) VALUES (?, ?)", (encode(identity), raw)
            ).lastrowid
        except sqlite3.IntegrityError:
            raise duplicate_key(self._namespace, "_id_", {"_id": 1}, {"_id": identity}) from None
        row = row or 0
        try:
            self._change_keys([(index, [], keys) for index, keys in entries], components, row)
        except BaseException:
            self._connection.execute(f"DELETE FROM {table} WHERE row = ?", (row,))
            raise
        self._see_arrays(entries, components)

    def replace(self, row: Row, raw: bytes, fields: Collection[str] | None = None) -> None:
        """Put a changed document in the place of the one that was read. ``fields``: no other
        top-level fields have changed."""
        _check_size(raw)
        number, before_raw, _ = row
        touched = [
            index
            for index in self._stored.indexes
            if fields is None or not index.fields.isdisjoint(fields)
        ]
        if touched:
            before = Components(bson.decode(before_raw, STORED))
            after = Components(bson.decode(raw, STORED))
            changes, entries = [], []
            for index in touched:
                old, new = index.entries(before), index.entries(after)
                entries.append((index, new))
                if old != new:
                    gone, come = set(old).difference(new), set(new).difference(old)
                    changes.append((index, list(gone), [key for key in new if key in come]))
            self._change_keys(changes, after, number)
            self._see_arrays(entries, after)
        self._changed.append((raw, number))

    def delete(self, row: Row) -> None:
        """Remove a document that was read."""
        number, _, document = row
        components = Components(document)
        for index in self._stored.indexes:
            if has_row(index, number):
                keys = index.entries(components)
                if keys:
                    entries = self._removed.setdefault(index.number, [])
                    entries.extend([(key, number) for key in keys])
                    self._kept += len(keys)
        self._deleted.append((number,))

    def flush(self) -> None:
        """Write the buffered changes."""
        begun = clock()
        execute = self._connection.executemany
        for number, entries in self._removed.items():
            entries.sort()
            execute(f"DELETE FROM i{number} WHERE key = ? AND row = ?", entries)
        for number, entries in self._added.items():
            entries.sort()
            execute(f"INSERT INTO i{number} (key, row) VALUES (?, ?)", entries)
        table = f"c{self._stored.number}"
        if self._changed:
            execute(f"UPDATE {table} SET document = ? WHERE row = ?", self._changed)
        if self._deleted:
            execute(f"DELETE FROM {table} WHERE row = ?", self._deleted)
        self._removed, self._added, self._changed, self._deleted = {}, {}, [], []
        if self._kept >= _MEASURED:
            latest = min((clock() - begun) / self._kept, _SLOWEST)
            self._writer.key_seconds += (latest - self._writer.key_seconds) / 4
        self._kept = 0

    def _change_keys(
        self,
        changes: list[tuple[Index, list[bytes], list[bytes]]],
        components: Components,
        row: int,
    ) -> None:
        """Keys to remove and to add, by index: those of unique indexes at once, all or none."""
        done: list[tuple[str, Entry]] = []
        for index, old, new in changes:
            if not index.unique or not has_row(index, row):
                continue
            add = f"INSERT INTO i{index.number} (key, row) VALUES (?, ?)"
            remove = f"DELETE FROM i{index.number} WHERE key = ? AND row = ?"
            for key in old:
                self._connection.execute(remove, (key, row))
                done.append((add, (key, row)))
            for key in new:
                try:
                    self._connection.execute(add, (key, row))
                except sqlite3.IntegrityError:
                    for text, entry in reversed(done):
                        self._connection.execute(text, entry)
                    raise self._duplicate(index, components.document, key) from None
                done.append((remove, (key, row)))
        for index, old, new in changes:
            if not has_row(index, row):
                continue
            if not index.unique:
                if old:
                    self._removed.setdefault(index.number, []).extend([(key, row) for key in old])
                if new:
                    self._added.setdefault(index.number, []).extend([(key, row) for key in new])
                self._kept += len(old) + len(new)

    def _see_arrays(
        self, entries: Sequence[tuple[Index, list[bytes]]], components: Components
    ) -> None:
        """A document that has these keys is stored."""
        for index, keys in entries if components.arrays else ():
            if keys and not index.multikey and index.has_array(components):
                self._catalog.becomes_multikey(self._connection, index)

    def _duplicate(self, index: Index, document: dict[str, Any], key: bytes) -> Exception:
        values = index.values(document, key)
        return duplicate_key(self._namespace, index.name, dict(index.keys), values)

    # Filling an index

    def fill(self, index: Index, begun: float) -> bool:
        """Write the keys of the documents that a new index does not have yet, for a portion's
        time; is it done? ``DuplicateKeyError``; then the index is of no use."""
        while True:
            documents = self._documents_after(index.filled or 0)
            entries: list[Entry] = []
            for row, document in documents.items():
                components = Components(document)
                keys = index.entries(components)
                entries += [(key, row) for key in keys]
                self._see_arrays([(index, keys)], components)
            entries.sort()
            try:
                self._connection.executemany(
                    f"INSERT INTO i{index.number} (key, row) VALUES (?, ?)", entries
                )
            except sqlite3.IntegrityError:
                raise self._first_duplicate(index, documents, entries) from None
            self._catalog.set_filled(self._connection, index, max(documents, default=None))
            if not documents:
                return True
            if self._writer.portion_ends(begun):
                return False

    def _documents_after(self, row: int) -> dict[int, dict[str, Any]]:
        """The next documents, a bounded number of bytes."""
        text = f"SELECT row, document FROM c{self._stored.number} WHERE row > ? ORDER BY row"
        found: dict[int, dict[str, Any]] = {}
        size = 0
        # An open cursor, kept by the traceback of an error, would lock the tables.
        with contextlib.closing(self._connection.execute(text, (row,))) as rows:
            for number, raw in rows:
                found[number] = bson.decode(raw, STORED)
                size += len(raw)
                if len(found) >= _FILLED_AT_ONCE or size > _FILLED_BYTES:
                    break
        return found

    def _first_duplicate(
        self, index: Index, documents: Mapping[int, dict[str, Any]], entries: list[Entry]
    ) -> Exception:
        text = f"SELECT row FROM i{index.number} WHERE key = ?"
        for key, row in entries:
            found = self._connection.execute(text, (key,)).fetchone()
            if found is not None and found[0] != row:
                return self._duplicate(index, documents[row], key)
        raise AssertionError("a key that is there twice belongs to two rows")


def has_row(index: Index, row: int) -> bool:
    """``True`` when an index contains the keys of a row, or will be filled with them."""
    return index.filled is None or row <= index.filled


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
