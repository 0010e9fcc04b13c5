"""Reading a collection of a damaged file as far as possible, and naming the documents that cannot
be read."""

import sqlite3
import struct
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import bson
from bson import Binary, ObjectId
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from locutory_sqlite.catalog import STORED, Stored
from locutory_sqlite.connection import Connection
from locutory_sqlite.errors import code_of, is_damage
from locutory_sqlite.ordering import encode

SHOWN = 20
"""The maximum number of named documents with the same fault."""

Row = tuple[int, bytes, bytes]
"""The row of a document, its encoded ``_id``, and the document."""


class Salvage:
    """Reads a collection around the damaged pages. ``index_damaged``: ``True`` when the index of
    ``_id``, which shows what is missing, cannot be read."""

    def __init__(self, reader: Connection, stored: Stored) -> None:
        self._reader = reader
        self._name = stored.name
        self._table = f"c{stored.number}"
        self._read = array("q")
        self._damaged = False
        self.index_damaged = False

    def rows(self) -> Iterator[Row]:
        """Every row that can be read: in their order up to the first fault, then one by one."""
        query = f"SELECT row, id, document FROM {self._table}"
        last = 0
        try:
            for found in self._reader.rows(f"{query} ORDER BY row"):
                self._reader.tick()
                if found[0] <= last:  # a page in the place of another
                    break
                last = found[0]
                self._read.append(last)
                yield found
            else:
                return
        except sqlite3.DatabaseError as error:
            _raise_other(error)
        self._damaged = True
        read = set(self._read)
        for row in self._known_rows():
            self._reader.tick()
            if row in read:
                continue
            try:
                found = self._reader.sql.execute(f"{query} WHERE row = ?", (row,)).fetchone()
            except sqlite3.DatabaseError as error:
                _raise_other(error)
            else:
                if found is not None:
                    self._read.append(row)
                    yield found

    def _known_rows(self) -> Sequence[int]:
        """The rows that there are, by the index of ``_id``; where that is damaged as well, every
        number that one may have."""
        known = array("q", (row for row, _ in self._identities()))
        if not self.index_damaged:
            return array("q", sorted(known))
        last = max(known, default=0)
        try:
            query = f"SELECT max(row) FROM {self._table}"
            last = max(last, self._reader.sql.execute(query).fetchone()[0] or 0)
        except sqlite3.DatabaseError as error:
            _raise_other(error)
        return range(1, last + 1)

    def _identities(self) -> Iterator[tuple[int, bytes]]:
        """Rows with their encoded ``_id``, by the index of ``_id`` alone, as far as it goes."""
        index = f"{self._table} INDEXED BY sqlite_autoindex_{self._table}_1"
        try:
            for found in self._reader.rows(f"SELECT row, id FROM {index}"):
                self._reader.tick()
                yield found
        except sqlite3.DatabaseError as error:
            _raise_other(error)
            self.index_damaged = True

    def lost(self) -> dict[int, str]:
        """The rows that `rows` has not read, with their ``_id`` as far as it can be shown."""
        read = set(self._read)
        return {row: shown(identity) for row, identity in self._identities() if row not in read}

    def sentences(self) -> list[str]:
        """Sentences for users about the documents that `rows` could not read; empty if there were
        none."""
        lost = dict(sorted(self.lost().items()))
        names = ", ".join(name or f"row {row}" for row, name in islice(lost.items(), SHOWN))
        if len(lost) > SHOWN:
            names += f" and {len(lost) - SHOWN:,} more"
        if self._damaged and self.index_damaged:
            known = f", among them those with _id {names}" if lost else ""
            return [
                f"{self._name}: {len(self._read):,} documents can be read, an unknown number"
                f" cannot{known} (the index of _id is damaged too)"
            ]
        if not lost:
            return []
        total = len(self._read) + len(lost)
        return [
            f"{self._name}: {len(lost):,} of {total:,} documents cannot be read, by _id: {names}"
        ]


def _raise_other(error: sqlite3.DatabaseError) -> None:
    """Raise an error that does not mean damage. Invalid text is Python's error, without a code of
    SQLite."""
    if not is_damage(error) and (code_of(error) or type(error) is not sqlite3.OperationalError):
        raise error


def decoded(identity: bytes, raw: bytes) -> dict[str, Any]:
    """A stored document; ``ValueError`` with the reason when it is damaged."""
    try:
        document: dict[str, Any] = bson.decode(raw, STORED)
    except (BSONError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot be decoded: {error}") from error
    if "_id" not in document:
        raise ValueError("has no _id")
    if encode(document["_id"]) != identity:
        raise ValueError(f"is stored under another _id than its {document['_id']!r}")
    return document


def readable(reader: Connection, stored: Stored, lost: list[str]) -> Iterator[RawBSONDocument]:
    """The documents of a collection that can be read, as bytes; in the end ``lost`` has sentences
    about the others."""
    salvage = Salvage(reader, stored)
    wrong = 0
    for row, identity, raw in salvage.rows():
        try:
            decoded(identity, raw)
        except ValueError as error:
            wrong += 1
            if wrong <= SHOWN:
                lost.append(f"{stored.name}: {about(row, identity)} {error}")
        else:
            yield RawBSONDocument(raw, STORED.with_options(document_class=RawBSONDocument))
    if wrong > SHOWN:
        lost.append(f"{stored.name}: the same of {wrong - SHOWN:,} more documents")
    lost.extend(salvage.sentences())
    reader.faulty = bool(lost)  # it may remember what it has read


def about(row: int, identity: bytes) -> str:
    """A document for a sentence."""
    name = shown(identity)
    return f"the document with _id {name} (row {row})" if name else f"the document of row {row}"


def shown(identity: bytes) -> str:
    """An encoded ``_id`` of one of the usual types; empty for others."""
    kind, rest = identity[:1], identity[1:]
    if kind == b"\x46" and len(rest) == 12:
        return repr(ObjectId(rest))
    if kind == b"\x1e" and rest.endswith(b"\0\0"):
        text = rest[:-2].replace(b"\0\xff", b"\0").decode("utf-8", "replace")
        return repr(text[:200])
    if kind == b"\x14" and len(rest) == 9 and rest[8] == 0x80:
        bits = int.from_bytes(rest[:8], "big")
        bits ^= 1 << 63 if bits >> 63 else (1 << 64) - 1
        number: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
        return repr(int(number) if number.is_integer() else number)
    if kind == b"\x3c" and len(rest) == 21 and rest[4] == 4:
        return repr(Binary(rest[5:], 4).as_uuid())
    return ""
