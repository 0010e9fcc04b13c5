"""The catalogue: which collections and indexes a file has, and in which tables they are.

A collection is a table ``c<number>`` of documents (BSON) with their encoded ``_id``, in the order of
insertion; an index is a table ``i<number>`` of keys, each with the row of its document. While an index
is filled, ``filled`` is the last row whose keys it has. The file's ``user_version`` grows with every
change but that of ``filled``, so that other processes notice.
"""

import sqlite3
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from locutory_sqlite.errors import damaged
from locutory_sqlite.indexes import Index
from locutory_sqlite.planner import Preferences

STORED: CodecOptions[Any] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""The options for reading the keys of stored documents: they accept any BSON, even dates of the
year 10000."""

FORMAT = 1
ID_INDEX = Index("_id_", (("_id", 1),), unique=True)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS locutory_format (number INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS locutory_probe (number INTEGER PRIMARY KEY, content BLOB)",
    "CREATE TABLE IF NOT EXISTS locutory_collections ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS locutory_indexes ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, name TEXT NOT NULL,"
    " definition BLOB NOT NULL, multikey INTEGER NOT NULL DEFAULT 0, filled INTEGER,"
    " UNIQUE (collection, name))",
)


class WrongFormat(Exception):
    """The file was written by a newer version, in the format of this ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(slots=True)
class Stored:
    """A collection of the file; ``indexes`` without that of ``_id``, and ``all_indexes`` that
    can be read, that of ``_id`` first. ``preferences`` are for these indexes."""

    number: int
    name: str
    indexes: list[Index] = field(default_factory=list)
    all_indexes: list[Index] = field(default_factory=lambda: [ID_INDEX])
    preferences: Preferences = field(default_factory=Preferences)


class Catalog:
    """The collections as one connection last read them; changed inside write transactions."""

    def __init__(self) -> None:
        self.version = -1
        self.collections: dict[str, Stored] = {}
        self._indexes: dict[int, tuple[bytes, Index]] = {}
        self._unfilled: list[Index] = []

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Read it again if another connection has changed it; `DamagedFile` where it is none."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == self.version:
            for index in self._unfilled:
                self._read_filled(connection, index)
            return
        try:
            self._read(connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # values of a damaged page can be anything
            raise damaged() from error
        self.version = version

    def _read(self, connection: sqlite3.Connection) -> None:
        by_number: dict[int, Stored] = {}
        for number, name in connection.execute("SELECT number, name FROM locutory_collections"):
            by_number[number] = Stored(number, name)
        query = (
            "SELECT number, collection, definition, multikey, filled FROM locutory_indexes"
            " ORDER BY number"
        )
        known, self._indexes = self._indexes, {}
        for number, collection, definition, multikey, filled in connection.execute(query):
            index = self._index(known.get(number), number, definition)
            index.multikey, index.filled = bool(multikey), filled
            by_number[collection].indexes.append(index)
            if filled is None:
                by_number[collection].all_indexes.append(index)
        self._unfilled = [index for _, index in self._indexes.values() if index.filled is not None]
        self.collections = {stored.name: stored for stored in by_number.values()}

    def _index(self, known: tuple[bytes, Index] | None, number: int, definition: bytes) -> Index:
        """As it was read before, if it is the same: conditions of indexes are compiled once."""
        if known is not None and known[0] == definition:
            index = known[1]
        else:
            index = Index.from_document(bson.decode(definition, STORED))
            index.number = number
        self._indexes[number] = definition, index
        return index

    @staticmethod
    def _read_filled(connection: sqlite3.Connection, index: Index) -> None:
        query = "SELECT filled FROM locutory_indexes WHERE number = ?"
        index.filled = connection.execute(query, (index.number,)).fetchone()[0]

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
        """Make the empty table of an index, which is to be filled; the index as it is stored."""
        cursor = connection.execute(
            "INSERT INTO locutory_indexes (collection, name, definition, filled)"
            " VALUES (?, ?, ?, 0)",
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
        return self._indexes[number][1]

    def set_filled(self, connection: sqlite3.Connection, index: Index, row: int | None) -> None:
        """An index has the keys of every document up to a row; ``None``: of all, for ever."""
        query = "UPDATE locutory_indexes SET filled = ? WHERE number = ?"
        connection.execute(query, (row, index.number))
        index.filled = row
        if row is None:
            self._changed(connection)

    def drop_index(self, connection: sqlite3.Connection, index: Index) -> None:
        """Remove an index and its table."""
        connection.execute(f"DROP TABLE i{index.number}")
        connection.execute("DELETE FROM locutory_indexes WHERE number = ?", (index.number,))
        self._changed(connection)

    def becomes_multikey(self, connection: sqlite3.Connection, index: Index) -> None:
        """A document has several keys in it from now on."""
        index.multikey = True
        connection.execute(
            "UPDATE locutory_indexes SET multikey = 1 WHERE number = ?", (index.number,)
        )
        self._changed(connection)


def probe(connection: sqlite3.Connection) -> None:
    """Write as much as an ordinary write, to check that the disk accepts it."""
    connection.execute("INSERT OR REPLACE INTO locutory_probe VALUES (1, zeroblob(131072))")


def prepare(connection: sqlite3.Connection) -> None:
    """Make the catalogue's tables in a new file; `WrongFormat` for one that another process of a
    newer version has just made. Two processes may do so at the same moment."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    row = connection.execute("SELECT number FROM locutory_format").fetchone()
    if row is None:
        connection.execute("INSERT INTO locutory_format VALUES (?)", (FORMAT,))
    elif row[0] > FORMAT:
        connection.execute("ROLLBACK")
        raise WrongFormat(row[0])
    connection.execute("COMMIT")
