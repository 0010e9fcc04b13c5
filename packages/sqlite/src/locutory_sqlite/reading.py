"""Reading by a plan: candidates, the filter's test, order, skip and limit."""

import heapq
import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, TypeVar

import bson
from bson.codec_options import CodecOptions

from locutory_sqlite.bounds import Range
from locutory_sqlite.catalog import Stored
from locutory_sqlite.engine import Connection, TooLong
from locutory_sqlite.errors import invalid
from locutory_sqlite.filters import Filter
from locutory_sqlite.indexes import Index
from locutory_sqlite.planner import Plan, plan
from locutory_sqlite.sorting import Order, SortKey

Row = tuple[int, bytes, dict[str, Any]]
"""The number of a document's row, its BSON, and the document."""


R = TypeVar("R", Row, tuple[int, bytes])

_STEP = 8
"""Documents between two looks at the clock."""


class Reading:
    """One query on one collection, on one connection inside a transaction."""

    def __init__(
        self,
        connection: Connection,
        stored: Stored,
        codec: "CodecOptions[dict[str, Any]]",
    ) -> None:
        self._owner = connection
        self._connection = connection.sql
        self._stored = stored
        self._codec = codec

    def plan(self, query: Filter, order: Order, *, limited: bool, hint: str | None = None) -> Plan:
        """How the query is read; ``hint`` names the index to use."""
        indexes = self._stored.all_indexes
        if hint == "$natural_1":
            indexes = []
        elif hint is not None:
            indexes = [index for index in indexes if index.name == hint]
            if not indexes:
                text = f"error processing query: hint provided does not correspond to an existing index: {hint}"
                raise invalid(text)
        return plan(query, order, indexes, self.count_keys, limited=limited)

    def count_keys(self, index: Index, ranges: Sequence[Range], most: int) -> int:
        """How many keys lie in the ranges, counted up to ``most``."""
        total = 0
        table, key, _ = self._table(index)
        for low, high in ranges:
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
        owner = self._owner
        found = islice(self._candidates(using), skip, skip + limit if limit else None)
        for number, (_, raw) in enumerate(found):
            if not number % _STEP and owner.until < math.inf and time.perf_counter() > owner.until:
                raise TooLong
            yield raw

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
        decode, codec, owner = bson.decode, self._codec, self._owner
        for number, (row, raw) in enumerate(rows):
            if not number % _STEP and owner.until < math.inf and time.perf_counter() > owner.until:
                raise TooLong
            document = decode(raw, codec)
            if test(document):
                yield row, raw, document

    def _candidates(self, chosen: Plan) -> Iterator[tuple[int, bytes]]:
        if chosen.parts:
            yield from _once(row for part in chosen.parts for row in self._candidates(part))
        elif chosen.ids is not None:
            table = f"c{self._stored.number}"
            for identity in chosen.ids:
                yield from self._owner.select(
                    f"SELECT row, document FROM {table} WHERE id = ?", (identity,)
                )
        elif chosen.index is None:
            yield from self._owner.select(
                f"SELECT row, document FROM c{self._stored.number} ORDER BY row"
            )
        else:
            ranges = reversed(chosen.ranges) if chosen.reverse else iter(chosen.ranges)
            rows = (row for one in ranges for row in self._of_range(chosen, chosen.index, one))
            yield from _once(rows) if chosen.index.multikey else rows

    def _of_range(self, chosen: Plan, index: Index, one: Range) -> Iterator[tuple[int, bytes]]:
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
        return self._owner.select(text, one)


def _once(rows: Iterator[R]) -> Iterator[R]:
    seen: set[int] = set()
    for row in rows:
        if row[0] not in seen:
            seen.add(row[0])
            yield row


def _sorted(rows: Iterator[Row], key: SortKey, wanted: int) -> Iterator[Row]:
    """By the key, then by the order of insertion; only the first ``wanted`` if that is given."""
    place = lambda row: (key(row[2]), row[0])  # noqa: E731
    if wanted:
        return iter(heapq.nsmallest(wanted, rows, key=place))
    return iter(sorted(rows, key=place))
