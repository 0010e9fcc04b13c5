"""The catalogue: which collections and indexes a file has, and in which tables they are.

A collection is a table ``c<number>`` of documents (BSON) with their encoded ``_id``, in the order of
insertion; an index is a table ``i<number>`` of keys, each with the row of its document. The file's
``user_version`` grows with every change, so that other processes notice.
"""

import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from locutory_sqlite.indexes import Index

STORED: CodecOptions[Any] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""How stored documents are read for their keys: any BSON can be, dates of the year 10000 too."""

FORMAT = 1
ID_INDEX = Index("_id_", (("_id", 1),), unique=True)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS locutory_format (number INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS locutory_collections ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS locutory_indexes ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, name TEXT NOT NULL,"
    " definition BLOB NOT NULL, multikey INTEGER NOT NULL DEFAULT 0, UNIQUE (collection, name))",
)


class WrongFormat(Exception):
    """The file was written by a newer version."""


@dataclass(slots=True)
class Stored:
    """A collection of the file; ``indexes`` without that of ``_id``."""

    number: int
    name: str
    indexes: list[Index] = field(default_factory=list)

    @property
    def all_indexes(self) -> list[Index]:
        """That of ``_id`` first."""
        return [ID_INDEX, *self.indexes]


class Catalog:
    """The collections as one connection last read them; changed inside write transactions."""

    def __init__(self) -> None:
        self.version = -1
        self.collections: dict[str, Stored] = {}

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read it again if another connection has changed it."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == self.version:
            return
        by_number: dict[int, Stored] = {}
        for number, name in connection.execute("SELECT number, name FROM locutory_collections"):
            by_number[number] = Stored(number, name)
        query = (
            "SELECT number, collection, definition, multikey FROM locutory_indexes ORDER BY number"
        )
        for number, collection, definition, multikey in connection.execute(query):
            index = Index.from_document(bson.decode(definition, STORED))
            index.number, index.multikey = number, bool(multikey)
            by_number[collection].indexes.append(index)
        self.collections = {stored.name: stored for stored in by_number.values()}
        self.version = version

    def _changed(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0] + 1
        connection.execute(f"PRAGMA user_version = {version % 2**31}")
        self.version = -1
        self.refresh(connection)

    def create(self, connection: sqlite3.Connection, name: str) -> Stored:
        """The collection, made if it is not there."""
        if name not in self.collections:
            cursor = connection.execute(
                "INSERT INTO locutory_collections (name) VALUES (?)", (name,)
            )
            connection.execute(
                f"CREATE TABLE c{cursor.lastrowid}"
                " (row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, document BLOB NOT NULL)"
            )
            self._changed(connection)
        return self.collections[name]

    def drop(self, connection: sqlite3.Connection, name: str) -> None:
        """Remove a collection with its indexes; one that is not there is fine."""
        stored = self.collections.get(name)
        if stored is None:
            return
        for index in stored.indexes:
            connection.execute(f"DROP TABLE i{index.number}")
        connection.execute("DELETE FROM locutory_indexes WHERE collection = ?", (stored.number,))
        connection.execute("DELETE FROM locutory_collections WHERE number = ?", (stored.number,))
        connection.execute(f"DROP TABLE c{stored.number}")
        self._changed(connection)

    def rename(self, connection: sqlite3.Connection, name: str, new: str) -> None:
        """Give a collection another name."""
        number = self.collections[name].number
        connection.execute(
            "UPDATE locutory_collections SET name = ? WHERE number = ?", (new, number)
        )
        self._changed(connection)

    def add_index(self, connection: sqlite3.Connection, stored: Stored, index: Index) -> Index:
        """Make the empty table of an index; the index with its number."""
        cursor = connection.execute(
            "INSERT INTO locutory_indexes (collection, name, definition) VALUES (?, ?, ?)",
            (stored.number, index.name, bson.encode(index.to_document())),
        )
        number = cursor.lastrowid or 0
        columns = (
            "key BLOB PRIMARY KEY, row INTEGER NOT NULL"
            if index.unique
            else "key BLOB NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (key, row)"
        )
        connection.execute(f"CREATE TABLE i{number} ({columns}) WITHOUT ROWID")
        self._changed(connection)
        return replace(index, number=number)

    def drop_index(self, connection: sqlite3.Connection, index: Index) -> None:
        """Remove an index and its table."""
        connection.execute(f"DROP TABLE i{index.number}")
        connection.execute("DELETE FROM locutory_indexes WHERE number = ?", (index.number,))
        self._changed(connection)

    def becomes_multikey(self, connection: sqlite3.Connection, index: Index) -> None:
        """A document has several keys in it from now on."""
        connection.execute(
            "UPDATE locutory_indexes SET multikey = 1 WHERE number = ?", (index.number,)
        )
        self._changed(connection)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the catalogue's tables in a new file; `WrongFormat` for a newer one's. Two processes
    may do so at the same moment."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    row = connection.execute("SELECT number FROM locutory_format").fetchone()
    if row is None:
        connection.execute("INSERT INTO locutory_format VALUES (?)", (FORMAT,))
    connection.execute("COMMIT")
    if row is not None and row[0] > FORMAT:
        raise WrongFormat(row[0])
