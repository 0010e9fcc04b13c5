"""Reading by a plan: candidates, the filter's test, order, skip and limit."""

import heapq
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any, TypeVar

import bson
from bson.codec_options import CodecOptions
from bson.errors import InvalidBSON

from locutory_sqlite.bounds import Range
from locutory_sqlite.catalog import STORED, Stored
from locutory_sqlite.connection import Connection, clock
from locutory_sqlite.errors import StorageError, invalid
from locutory_sqlite.filters import Filter
from locutory_sqlite.indexes import Index
from locutory_sqlite.planner import Plan, Preferences, plan
from locutory_sqlite.sorting import Order, SortKey
from locutory_sqlite.trimming import SMALL, Needed, trimmed

Row = tuple[int, bytes, dict[str, Any]]
"""The number of a document's row, its BSON, and the document."""

_BIG = 256 * 1024
"""Bytes of a document that takes milliseconds to decode."""

R = TypeVar("R", Row, tuple[int, bytes])

_LOOKED_AFTER = 64  # rows that come sorted have taken their time before
_SORTED_AT_ONCE = 2000
"""Sorting holds the interpreter; longer lists are sorted in runs, which are merged."""


class Reading:
    """One query on one collection, on one connection inside a transaction."""

    def __init__(
        self,
        connection: Connection,
        stored: Stored,
        codec: "CodecOptions[dict[str, Any]]",
        needed: Needed | None = None,
    ) -> None:
        """``needed``: the fields that documents may come with alone."""
        self._owner = connection
        self._connection = connection.sql
        self._stored = stored
        self._codec = codec
        self._needed = needed

    def plan(self, query: Filter, order: Order, *, limited: bool, hint: str | None = None) -> Plan:
        """The plan for reading the query; ``hint`` names the index to use."""
        indexes = self._stored.all_indexes
        if hint == "$natural_1":
            indexes = []
        elif hint is not None:
            indexes = [index for index in indexes if index.name == hint]
            if not indexes:
                text = f"error processing query: hint provided does not correspond to an existing index: {hint}"
                raise invalid(text)
        known = Preferences() if hint is not None else self._stored.preferences
        return plan(query, order, indexes, self.count_keys, known, limited=limited)

    def count_keys(self, index: Index, ranges: Sequence[Range], most: int) -> int:
        """The number of keys in the ranges, counted up to ``most``."""
        total = 0
        table, key, _ = self._table(index)
        for low, high in ranges:
            self._owner.tick()
            total += self._connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {key} >= ? AND {key} < ? LIMIT ?)",
                (low, high, most - total),
            ).fetchone()[0]
            if total >= most:
                break
        return total

    def _table(self, index: Index) -> tuple[str, str, str]:
        """The table of an index, and its columns of keys and rows."""
        if index.number == 0:
            return f"c{self._stored.number}", "id", "row"
        return f"i{index.number}", "key", "row"

    def rows(
        self,
        query: Filter,
        order: Order,
        *,
        skip: int = 0,
        limit: int = 0,
        using: Plan | None = None,
    ) -> Iterator[Row]:
        """The matches in order; a ``limit`` of 0 is none."""
        chosen = using or self.plan(query, order, limited=bool(limit))
        found = self._ordered(chosen, query.test, order, skip + limit if limit else 0)
        for number, row in enumerate(found):
            if not number % _LOOKED_AFTER:
                self._owner.tick()
            if number < skip:
                continue
            yield row
            if limit and number + 1 == skip + limit:
                return

    def raw_rows(
        self, query: Filter, order: Order, *, skip: int, limit: int, using: Plan
    ) -> Iterator[bytes]:
        """The BSON of `rows`; none is decoded where neither the filter nor the order needs it."""
        if not query.matches_all or using.merge or (order and using.sorted < len(order)):
            for _, raw, _ in self.rows(query, order, skip=skip, limit=limit, using=using):
                yield raw
            return
        for _, raw in islice(self._candidates(using), skip, skip + limit if limit else None):
            self._owner.tick()
            yield raw

    def row(self, number: int, query: Filter) -> Row | None:
        """The document of a row, if it (still) matches."""
        found = self._connection.execute(
            f"SELECT document FROM c{self._stored.number} WHERE row = ?", (number,)
        ).fetchone()
        if found is None:
            return None
        document = bson.decode(found[0], self._codec)
        return (number, found[0], document) if query.test(document) else None

    def _ordered(
        self, chosen: Plan, test: Callable[[dict[str, Any]], bool], order: Order, wanted: int
    ) -> Iterator[Row]:
        if not order:
            yield from self._matching(self._candidates(chosen), test)
            return
        done = chosen.sorted
        if chosen.merge and chosen.parts:
            key = SortKey(order)
            several = [self._ordered(part, test, order, wanted) for part in chosen.parts]
            yield from _once(heapq.merge(*several, key=lambda row: key(row[2])))
            return
        if chosen.merge and done and chosen.index is not None:
            key = SortKey(order[:done])
            index = chosen.index
            parts = [
                self._matching(self._of_range(chosen, index, one), test) for one in chosen.ranges
            ]
            rows: Iterator[Row] = heapq.merge(*parts, key=lambda row: key(row[2]))
        else:
            rows = self._matching(self._candidates(chosen), test)
        if done == len(order):
            yield from rows
        elif not done:
            yield from _sorted(rows, SortKey(order), wanted)
        else:
            first, rest = SortKey(order[:done]), SortKey(order[done:])
            for _, group in groupby(rows, key=lambda row: first(row[2])):
                yield from _sorted(group, rest, wanted)

    def _matching(
        self, rows: Iterator[tuple[int, bytes]], test: Callable[[dict[str, Any]], bool]
    ) -> Iterator[Row]:
        decode, codec, owner, needed = bson.decode, self._codec, self._owner, self._needed
        for row, raw in rows:
            if clock() > owner.until:
                owner.late()
            if len(raw) > _BIG:
                owner.leave_loop()
            try:
                if needed is None or len(raw) <= SMALL:
                    document = decode(raw, codec)
                else:
                    document = decode(trimmed(raw, needed), codec)
            except InvalidBSON as error:
                raise _not_decoded(raw, error) from error
            if test(document):
                yield row, raw, document

    def _candidates(self, chosen: Plan) -> Iterator[tuple[int, bytes]]:
        # No generator that delegates to a cursor: it would close it when it is collected, which
        # may be after the connection was closed.
        if chosen.parts:
            return _once(chain.from_iterable(map(self._candidates, chosen.parts)))
        if chosen.ids is not None:
            return self._of_ids(chosen.ids)
        if chosen.index is None:
            text = f"SELECT row, document FROM c{self._stored.number} ORDER BY row"
            return self._owner.rows(text)
        ranges = reversed(chosen.ranges) if chosen.reverse else iter(chosen.ranges)
        index = chosen.index
        rows = chain.from_iterable(self._of_range(chosen, index, one) for one in ranges)
        return _once(rows) if index.multikey else rows

    def _of_ids(self, ids: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        text = f"SELECT row, document FROM c{self._stored.number} WHERE id = ?"
        for identity in ids:
            self._owner.tick()
            found = self._connection.execute(text, (identity,)).fetchone()
            if found is not None:
                yield found

    def _of_range(self, chosen: Plan, index: Index, one: Range) -> Iterator[tuple[int, bytes]]:
        self._owner.tick()
        way = "DESC" if chosen.reverse else "ASC"
        documents = f"c{self._stored.number}"
        if index.number == 0:
            text = (
                f"SELECT row, document FROM {documents} WHERE id >= ? AND id < ? ORDER BY id {way}"
            )
        else:
            text = (
                f"SELECT d.row, d.document FROM i{index.number} AS i"
                f" CROSS JOIN {documents} AS d ON d.row = i.row"
                f" WHERE i.key >= ? AND i.key < ? ORDER BY i.key {way}"
            )
        return self._owner.rows(text, one)


def _once(rows: Iterator[R]) -> Iterator[R]:
    seen: set[int] = set()
    for row in rows:
        if row[0] not in seen:
            seen.add(row[0])
            yield row


def _sorted(rows: Iterator[Row], key: SortKey, wanted: int) -> Iterator[Row]:
    """By the key, then by the order of insertion; only the first ``wanted`` if that is given."""
    if wanted:
        return iter(heapq.nsmallest(wanted, rows, key=lambda row: (key(row[2]), row[0])))
    keyed = ((key(row[2]), row[0], row) for row in rows)
    runs = []
    while run := sorted(islice(keyed, _SORTED_AT_ONCE)):
        runs.append(run)
    merged = iter(runs[0]) if len(runs) == 1 else heapq.merge(*runs)
    return (row for _, _, row in merged)


def _not_decoded(raw: bytes, error: InvalidBSON) -> Exception:
    """The error itself where only the reader's options do not suit, say for dates."""
    try:
        bson.decode(raw, STORED)
    except InvalidBSON:
        return StorageError("The database file is damaged: restore a backup")
    return error


def shape_of(name: str, query: Filter, order: Order, *, limited: bool) -> Hashable:
    """The common part of queries that take about as long: everything but their values."""
    return name, query.shape, tuple(order), limited
