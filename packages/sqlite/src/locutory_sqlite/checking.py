"""Checking that a file is undamaged, and that its indexes match its documents."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import bson
from bson.errors import InvalidBSON
from pymongo.errors import WriteError

from locutory_sqlite.catalog import STORED, Stored
from locutory_sqlite.connection import Connection
from locutory_sqlite.errors import is_damage, storage_error
from locutory_sqlite.indexes import Components, Index
from locutory_sqlite.salvage import SHOWN, Salvage, about, decoded
from locutory_sqlite.writing import has_row

MOST = 1000
"""The maximum number of reported findings; a damaged file may have millions."""

_ID_INDEX = re.compile(r"sqlite_autoindex_c(\d+)_1")


def check_file(reader: Connection) -> list[str]:
    """The faults of the file, a sentence each; empty when there are none. Those of the collections,
    with the names of damaged documents, come first. Takes as long as reading the whole file."""
    found: list[str] = []
    try:
        found.extend(islice(_findings(reader), MOST))
    except sqlite3.Error as error:
        found.append(f"it cannot be read to its end: {storage_error(error)} ({error})")
    if found:
        reader.faulty = True  # it may remember what it has read
    return found


def _findings(reader: Connection) -> Iterator[str]:
    for stored in reader.catalog.collections.values():
        yield from _Check(reader, stored).findings()
    yield from _tables(reader)
    yield from _by_sqlite(reader)


def _by_sqlite(reader: Connection) -> Iterator[str]:
    """The findings of SQLite itself, which knows pages and tables only."""
    names = {stored.number: stored.name for stored in reader.catalog.collections.values()}
    count = 0
    try:
        for (text,) in reader.rows("PRAGMA integrity_check"):
            for line in text.splitlines():
                count += line != "ok"
                if line != "ok" and count <= SHOWN:
                    named = _ID_INDEX.sub(
                        lambda hit: f"{hit[0]} (_id of {names.get(int(hit[1]), '?')})", line
                    )
                    yield f"SQLite: {named}"
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        yield f"SQLite: {error}"
    if count > SHOWN:
        yield f"SQLite: {count - SHOWN} more findings"


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
        self._salvage = Salvage(reader, stored)
        self._expected = dict.fromkeys((index.number for index in stored.indexes), 0)
        self._damaged: set[int] = set()
        self._undecoded: set[int] = set()
        self._alike: Counter[str] = Counter()

    def findings(self) -> Iterator[str]:
        for row, identity, raw in self._salvage.rows():
            who = about(row, identity)
            try:
                document = decoded(identity, raw)
            except ValueError as error:
                self._undecoded.add(row)
                yield from self._told(who, "is damaged", str(error))
                continue
            components = Components(document)
            for index in self._stored.indexes:
                yield from self._keys(index, row, components, who)
        yield from self._salvage.sentences()
        if self._salvage.index_damaged:
            yield self._index_damaged("_id_")
        for index in self._stored.indexes:
            yield from self._surplus(index)
        for kind, count in self._alike.items():
            if count > SHOWN:
                yield f"{self._stored.name}: {count - SHOWN:,} more documents: {kind}"

    def _told(self, who: str, kind: str, detail: str = "") -> Iterator[str]:
        """A sentence about a document, unless there were many of its kind."""
        self._alike[kind] += 1
        if self._alike[kind] <= SHOWN:
            yield f"{self._stored.name}: {who} {detail or kind}"

    def _index_damaged(self, name: str) -> str:
        text = "cannot be read to its end; a copy (locutory database copy) has a new one"
        return f"{self._stored.name}: the index {name} {text}"

    def _damage_of(self, index: Index, error: sqlite3.DatabaseError) -> str:
        if not is_damage(error):
            raise error
        self._damaged.add(index.number)
        return self._index_damaged(index.name)

    def _keys(self, index: Index, row: int, components: Components, who: str) -> Iterator[str]:
        """The keys of a document that an index lacks."""
        if not has_row(index, row) or index.number in self._damaged:
            return
        try:
            keys = index.entries(components)
        except WriteError as error:
            kind = f"does not fit the index {index.name}"
            yield from self._told(who, kind, f"{kind}: {error}")
            return
        query = f"SELECT 1 FROM i{index.number} WHERE key = ? AND row = ?"
        for key in keys:
            try:
                found = self._reader.sql.execute(query, (key, row)).fetchone()
            except sqlite3.DatabaseError as error:
                yield self._damage_of(index, error)
                return
            if found is None:
                yield from self._told(who, f"is missing in the index {index.name}")
            else:
                self._expected[index.number] += 1
        if keys and not index.multikey and index.has_array(components):
            yield from self._told(
                who, f"has an array, which the index {index.name} does not know of"
            )

    def _surplus(self, index: Index) -> Iterator[str]:
        """Keys of an index that no document has."""
        if index.number in self._damaged:
            return
        kind = f"is in the index {index.name} with a key that it has not"
        table = f"i{index.number}"
        try:
            (count,) = self._reader.sql.execute(f"SELECT count(*) FROM {table}").fetchone()
            if count == self._expected[index.number]:
                return
            unknown = self._undecoded | self._salvage.lost().keys()
            for key, row in self._reader.rows(f"SELECT key, row FROM {table}"):
                self._reader.tick()
                if row not in unknown and key not in self._keys_of(index, row, key):
                    yield from self._told(f"the document of row {row}", kind)
        except sqlite3.DatabaseError as error:
            yield self._damage_of(index, error)

    def _keys_of(self, index: Index, row: int, key: bytes) -> list[bytes]:
        """The keys of a document; ``key`` where it cannot be read."""
        query = f"SELECT document FROM c{self._stored.number} WHERE row = ?"
        try:
            found = self._reader.sql.execute(query, (row,)).fetchone()
            if found is None or not has_row(index, row):
                return []
            return index.entries(Components(bson.decode(found[0], STORED)))
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return [key]
        except (InvalidBSON, WriteError):
            return []
