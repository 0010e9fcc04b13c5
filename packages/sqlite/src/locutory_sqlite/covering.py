"""Counts and distinct values that an index holds by itself."""

from collections.abc import Iterator
from typing import Any

import bson

from locutory_sqlite.bounds import Range, successor
from locutory_sqlite.choices import covered_ranges, says_all
from locutory_sqlite.errors import damaged
from locutory_sqlite.filters import Filter
from locutory_sqlite.indexes import Index
from locutory_sqlite.ordering import COMPLEMENT, MISSING, encode
from locutory_sqlite.paths import split, walk
from locutory_sqlite.planner import Plan
from locutory_sqlite.reading import Reading

_AT_ONCE = 2000
"""Keys that may be counted on the event loop."""


class Covering(Reading):
    """A `Reading` that need not read the documents."""

    def count(self, query: Filter, chosen: Plan, *, skip: int = 0, limit: int = 0) -> int:
        """The number of matches after skipping ``skip``, at most ``limit`` (0 is no limit)."""
        most = skip + limit if limit else 2**62
        number = self._counted(query, chosen, most)
        if number is None:
            number = sum(1 for _ in self.rows(query, [], limit=most if limit else 0, using=chosen))
        return max(0, min(number, most) - skip)

    def _counted(self, query: Filter, chosen: Plan, most: int) -> int | None:
        if query.plain and not query.conditions:
            table = f"c{self._stored.number}"
            return self._steps(f"SELECT 1 FROM {table} LIMIT ?", f"SELECT count(*) FROM {table}")
        if chosen.index is None or not says_all(query, chosen.index):
            return None
        if not chosen.index.multikey:
            number = self.count_keys(chosen.index, chosen.ranges, min(most, _AT_ONCE))
            if number < min(most, _AT_ONCE) or number >= most:
                return number
            self._owner.leave_loop()
            return self.count_keys(chosen.index, chosen.ranges, most)
        if len(chosen.ranges) != 1:
            return None if chosen.ranges else 0
        # A document may have several keys in the range.
        text = f"FROM i{chosen.index.number} WHERE key >= ? AND key < ?"
        return self._steps(
            f"SELECT row {text} LIMIT ?", f"SELECT count(DISTINCT row) {text}", *chosen.ranges[0]
        )

    def _steps(self, some: str, number: str, *values: Any) -> int:
        """A count, in a thread where it is of many rows."""
        found = self._owner.rows(some, (*values, _AT_ONCE)).fetchall()
        if len(found) < _AT_ONCE:
            return len(set(found)) if values else len(found)
        self._owner.leave_loop()
        return int(self._owner.rows(number, values).fetchone()[0])

    def distinct(self, query: Filter, path: str) -> list[Any] | None:
        """The values of a path in the order of an index, each once; ``None`` where there is none
        that holds them and says all of the filter."""
        for index in self._stored.all_indexes[1:]:
            ranges = covered_ranges(query, path, index)
            if ranges is not None:
                begin, direction, spans = ranges
                return [
                    value
                    for one in spans
                    for value in self._values(index, begin, direction, one, split(path))
                ]
        return None

    def _values(
        self, index: Index, begin: bytes, direction: int, one: Range, parts: tuple[str, ...]
    ) -> Iterator[Any]:
        """One document is read for each value, since keys do not tell 1 from 1.0."""
        low, high = one
        text = (
            f"SELECT d.document FROM i{index.number} AS i CROSS JOIN c{self._stored.number} AS d"
            " ON d.row = i.row WHERE i.key >= ? AND i.key < ? ORDER BY i.key"
        )
        while True:
            self._owner.tick()
            row = self._owner.rows(f"{text} LIMIT 1", (low, high)).fetchone()
            if row is None:
                return
            value = self._at(row[0], parts)
            encoded = encode(value)
            key = begin + (encoded if direction == 1 else encoded.translate(COMPLEMENT))
            after = successor(key)
            if after <= low:  # the index names another document
                raise damaged()
            if value is MISSING:  # its key is that of null
                others = self._owner.rows(text, (low, min(after, high)))
                if all(self._at(other, parts) is MISSING for (other,) in others):
                    low = after
                    continue
                value = None
            yield value
            low = after

    def _at(self, raw: bytes, parts: tuple[str, ...]) -> Any:
        return walk(bson.decode(raw, self._codec), parts, 0)[0]
