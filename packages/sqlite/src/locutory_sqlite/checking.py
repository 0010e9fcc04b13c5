"""Looking through a file: is it whole, and do its indexes agree with its documents?"""

import sqlite3
from collections.abc import Iterator
from itertools import islice

import bson
from bson.errors import InvalidBSON
from pymongo.errors import WriteError

from locutory_sqlite.catalog import STORED, Stored
from locutory_sqlite.connection import Connection
from locutory_sqlite.errors import storage_error
from locutory_sqlite.indexes import Components, Index
from locutory_sqlite.ordering import encode
from locutory_sqlite.writing import has_row

MOST = 1000
"""How many findings are told; a damaged file may have millions."""


def check_file(reader: Connection) -> list[str]:
    """What is wrong, a sentence each, nothing if nothing is. Takes as long as reading it all."""
    found: list[str] = []
    try:
        found.extend(islice(_findings(reader), MOST))
    except sqlite3.Error as error:
        found.append(f"it cannot be read to its end: {storage_error(error)} ({error})")
    return found


def _findings(reader: Connection) -> Iterator[str]:
    for (line,) in reader.rows("PRAGMA integrity_check"):
        if line != "ok":
            yield f"SQLite: {line}"
    yield from _tables(reader)
    for stored in reader.catalog.collections.values():
        yield from _Check(reader, stored).findings()


def _tables(reader: Connection) -> Iterator[str]:
    """Tables that nothing names, and those that are named and not there."""
    there = {name for (name,) in reader.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    named = set()
    for stored in reader.catalog.collections.values():
        named.add(f"c{stored.number}")
        named |= {f"i{index.number}" for index in stored.indexes}
    for name in sorted(named - there):
        yield f"the table {name} is missing"
    for name in sorted(there - named):
        if not name.startswith(("locutory_", "sqlite_")):
            yield f"the table {name} belongs to no collection"


class _Check:
    """One collection."""

    def __init__(self, reader: Connection, stored: Stored) -> None:
        self._reader = reader
        self._stored = stored
        self._expected = dict.fromkeys((index.number for index in stored.indexes), 0)

    def findings(self) -> Iterator[str]:
        for row, identity, raw in self._reader.rows(
            f"SELECT row, id, document FROM c{self._stored.number} ORDER BY row"
        ):
            self._reader.tick()
            try:
                document = bson.decode(raw, STORED)
            except InvalidBSON as error:
                yield self._about(row, f"cannot be decoded: {error}")
                continue
            if "_id" not in document:
                yield self._about(row, "has no _id")
            elif encode(document["_id"]) != identity:
                yield self._about(row, f"is stored under another _id than its {document['_id']!r}")
            components = Components(document)
            for index in self._stored.indexes:
                yield from self._keys(index, row, components)
        for index in self._stored.indexes:
            yield from self._surplus(index)

    def _about(self, row: int, text: str) -> str:
        return f"{self._stored.name}: the document of row {row} {text}"

    def _keys(self, index: Index, row: int, components: Components) -> Iterator[str]:
        """The keys of a document that an index lacks."""
        if not has_row(index, row):
            return
        try:
            keys = index.entries(components)
        except WriteError as error:
            yield self._about(row, f"does not fit the index {index.name}: {error}")
            return
        query = f"SELECT 1 FROM i{index.number} WHERE key = ? AND row = ?"
        for key in keys:
            if self._reader.sql.execute(query, (key, row)).fetchone() is None:
                yield self._about(row, f"is missing in the index {index.name}")
            else:
                self._expected[index.number] += 1
        if keys and not index.multikey and index.has_array(components):
            yield self._about(row, f"has an array, which the index {index.name} does not know of")

    def _surplus(self, index: Index) -> Iterator[str]:
        """Keys of an index that no document has."""
        (count,) = self._reader.sql.execute(f"SELECT count(*) FROM i{index.number}").fetchone()
        if count == self._expected[index.number]:
            return
        for key, row in self._reader.rows(f"SELECT key, row FROM i{index.number}"):
            self._reader.tick()
            if key not in self._keys_of(index, row):
                yield self._about(row, f"is in the index {index.name} with a key that it has not")

    def _keys_of(self, index: Index, row: int) -> list[bytes]:
        query = f"SELECT document FROM c{self._stored.number} WHERE row = ?"
        found = self._reader.sql.execute(query, (row,)).fetchone()
        if found is None or not has_row(index, row):
            return []
        try:
            return index.entries(Components(bson.decode(found[0], STORED)))
        except (InvalidBSON, WriteError):
            return []
