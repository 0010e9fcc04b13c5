"""Finding the documents that a write's filter matches, and changing them in portions.

The writer searches itself, but not for long: longer searches are done by a reader, and each
document is tested again when it is written.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TypeVar

from pymongo.errors import WriteError

from locutory_sqlite.catalog import STORED, Stored
from locutory_sqlite.connection import Connection, TooLong, clock
from locutory_sqlite.engine import Engine
from locutory_sqlite.filters import Filter
from locutory_sqlite.reading import Reading, Row, shape_of
from locutory_sqlite.sorting import Order
from locutory_sqlite.writing import Writing

T = TypeVar("T")

SEARCH_SECONDS = 0.004
"""The maximum seconds for which the writer searches for the matches of a filter."""

_TRIES = 5

Step = Callable[[Writing, Row], bool]
"""Changes one match; returns ``True`` when it has changed anything."""


@dataclass(slots=True)
class Done:
    """The progress of a write of many documents. ``left``: rows that are still to be tested;
    ``error``: the refusal of a document, after which the others are not changed."""

    matched: int = 0
    modified: int = 0
    left: Sequence[int] = ()
    error: WriteError | None = None


class Search:
    """The matches of filters in one collection, for writing."""

    def __init__(self, engine: Engine, database: str, name: str) -> None:
        self._engine = engine
        self._database = database
        self._name = name

    def known(self, connection: Connection) -> Stored | None:
        """The collection, if there is one."""
        return connection.catalog.collections.get(self._name)

    def writing(self, writer: Connection) -> Writing:
        """For changing the collection, which is made if it is not there."""
        return Writing(writer, writer.catalog.create(writer.sql, self._name), self._database)

    def rows(
        self,
        writer: Connection,
        query: Filter,
        order: Order,
        *,
        many: bool,
        seconds: float = SEARCH_SECONDS,
    ) -> list[Row]:
        """The matches, or the first; `TooLong` after some time."""
        stored = self.known(writer)
        if stored is None:
            return []
        writer.until = clock() + seconds
        try:
            reading = Reading(writer, stored, STORED)
            return list(reading.rows(query, order, limit=0 if many else 1))
        finally:
            writer.until = inf

    async def _numbers(
        self, query: Filter, order: Order, shape: Hashable, *, many: bool
    ) -> list[int]:
        """The rows of the matches, or of the first, as a reader sees them."""

        def read(reader: Connection) -> list[int]:
            stored = self.known(reader)
            if stored is None:
                return []
            begun = clock()
            rows = Reading(reader, stored, STORED).rows(query, order, limit=0 if many else 1)
            numbers = [number for number, _, _ in rows]
            if clock() - begun < SEARCH_SECONDS / 2:
                self._engine.readers.long.discard(shape)
            return numbers

        return await self._engine.read(read, long=True)

    def _shape(self, query: Filter, order: Order, *, many: bool) -> Hashable:
        return "write", shape_of(self._name, query, order, limited=not many)

    async def first(
        self,
        query: Filter,
        order: Order,
        use: Callable[[Connection, Row | None], T],
        *,
        certain: bool,
    ) -> T:
        """The result of ``use``, called in the writer with the first match, or with ``None``;
        ``certain``: then there must be none at that very moment."""
        shape, shapes = self._shape(query, order, many=False), self._engine.readers.long

        def at_once(writer: Connection, seconds: float = SEARCH_SECONDS) -> T:
            rows = self.rows(writer, query, order, many=False, seconds=seconds)
            return use(writer, rows[0] if rows else None)

        def again(writer: Connection, number: int) -> tuple[bool, T | None]:
            stored = self.known(writer)
            if stored is not None:
                row = Reading(writer, stored, STORED).row(number, query)
                if row is not None:
                    return True, use(writer, row)
            return False, None

        if shape not in shapes:
            try:
                return await self._engine.write(at_once)
            except TooLong:
                shapes.add(shape)
        for _ in range(_TRIES):
            numbers = await self._numbers(query, order, shape, many=False)
            if not numbers:
                if certain:
                    break
                return await self._engine.write(lambda writer: use(writer, None))
            found, result = await self._engine.write(partial(again, number=numbers[0]))
            if found:
                return result  # type: ignore[return-value]
        return await self._engine.write(partial(at_once, seconds=inf))

    async def each(self, query: Filter, step: Step) -> Done:
        """Apply ``step`` to every match. No document is changed twice, and those that begin to
        match meanwhile are not changed."""
        return await self._engine.finish(self._each(query, step))

    async def _each(self, query: Filter, step: Step) -> Done:
        shape, shapes = self._shape(query, [], many=True), self._engine.readers.long
        total = Done()
        part: Done | None = None
        if shape not in shapes:
            try:
                total = part = await self._engine.write(partial(self._at_once, query, step))
            except TooLong:
                shapes.add(shape)
        if part is None:
            part = Done(left=sorted(await self._numbers(query, [], shape, many=True)))
        while part.left and part.error is None:
            part = await self._engine.write(partial(self._portion, query, step, part.left))
            total.matched += part.matched
            total.modified += part.modified
            total.error = part.error
        return total

    def _at_once(self, query: Filter, step: Step, writer: Connection) -> Done:
        rows = sorted(self.rows(writer, query, [], many=True), key=lambda row: row[0])
        if not rows:
            return Done()
        return self._apply(writer, [row[0] for row in rows], rows.__getitem__, step)

    def _portion(self, query: Filter, step: Step, left: Sequence[int], writer: Connection) -> Done:
        stored = self.known(writer)
        if stored is None:
            return Done()
        reading = Reading(writer, stored, STORED)
        return self._apply(writer, left, lambda at: reading.row(left[at], query), step)

    def _apply(
        self,
        writer: Connection,
        numbers: Sequence[int],
        row_at: Callable[[int], Row | None],
        step: Step,
    ) -> Done:
        """One portion of the documents."""
        writing, done = self.writing(writer), Done()
        begun = clock()
        for at in range(len(numbers)):
            if at and writing.portion_ends(begun):
                done.left = numbers[at:]
                break
            row = row_at(at)
            if row is None:
                continue
            try:
                done.modified += step(writing, row)
            except WriteError as error:
                done.error = error
                break
            done.matched += 1
        writing.flush()
        return done
