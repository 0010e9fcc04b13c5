"""The writes of a collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.errors import InvalidBSON, InvalidDocument
from pymongo.errors import WriteError

from locutory_sqlite.connection import Connection, clock
from locutory_sqlite.engine import Engine
from locutory_sqlite.filters import Filter
from locutory_sqlite.indexes import Index
from locutory_sqlite.reading import Row
from locutory_sqlite.search import Search
from locutory_sqlite.sorting import Order
from locutory_sqlite.updates import Replacement, Update, compile_update, inserted_by
from locutory_sqlite.writing import Writing, with_id

Document = dict[str, Any]
Result = dict[str, Any]


@dataclass(slots=True)
class Change:
    """A compiled update, and the top-level fields that it may change (``None``: any)."""

    apply: Update
    fields: frozenset[str] | None

    @classmethod
    def of(cls, update: Document, *, replacing: bool) -> "Change":
        """``OperationFailure`` names what is malformed or not supported."""
        if replacing:
            return cls(Replacement(update), None)
        compiled = compile_update(update)
        paths = [path for fields in update.values() for path in fields]
        paths += update.get("$rename", {}).values()
        return cls(compiled, frozenset(path.partition(".")[0] for path in paths))


class Mutations:
    """The changes of one collection; filters and updates are in the form in which a server would
    receive them."""

    def __init__(
        self, engine: Engine, database: str, name: str, codec: "CodecOptions[Document]"
    ) -> None:
        self._engine = engine
        self._codec = codec
        self.search = Search(engine, database, name)

    # In the writer

    def change(self, change: Change, writing: Writing, row: Row) -> bytes:
        """Apply a change to a document that was read; return the document as it is stored now."""
        raw = bson.encode(change.apply(row[2]), codec_options=self._codec)
        if raw != row[1]:
            writing.replace(row, raw, change.fields)
        return raw

    def upserted(self, query: Filter, change: Change, writing: Writing) -> Document:
        """Insert the document that a change makes of an empty one; return it."""
        document = change.apply(inserted_by(query), inserting=True)
        if "_id" not in document:
            document = {"_id": ObjectId(), **document}
        raw = bson.encode(with_id(document), codec_options=self._codec)
        writing.insert(raw)
        return bson.decode(raw, self._codec)

    def apply(
        self,
        query: Filter,
        change: Change,
        upsert: bool,
        writer: Connection,
        row: Row | None,
    ) -> Result:
        """Update the match, or insert; return ``{n, nModified, upserted?}``."""
        if row is None and not upsert:
            return {"n": 0, "nModified": 0, "ok": 1.0}
        writing = self.search.writing(writer)
        if row is None:
            identity = self.upserted(query, change, writing)["_id"]
            result = {"n": 1, "nModified": 0, "upserted": identity, "ok": 1.0}
        else:
            changed = self.change(change, writing, row) != row[1]
            result = {"n": 1, "nModified": int(changed), "ok": 1.0}
        writing.flush()
        return result

    def remove(self, writer: Connection, row: Row | None) -> Document | None:
        """Remove the match; return the document as it was."""
        if row is None:
            return None
        writing = self.search.writing(writer)
        writing.delete(row)
        writing.flush()
        return bson.decode(row[1], self._codec)

    # By a caller

    async def insert(self, raw: bytes) -> None:
        """Store an encoded document. ``InvalidDocument`` if it is none."""

        def work(writer: Connection) -> None:
            writing = self.search.writing(writer)
            try:
                writing.insert(raw)
            except InvalidBSON as error:  # of the caller, not of the file
                raise InvalidDocument(str(error)) from error
            writing.flush()

        await self._engine.write(work)

    async def update(
        self, query: Filter, change: Change, *, many: bool, upsert: bool, order: Order
    ) -> Result:
        """Update the matches; return ``{n, nModified, upserted?}``."""
        if many:
            done = await self.search.each(
                query, lambda writing, row: self.change(change, writing, row) != row[1]
            )
            if done.error is not None:
                raise done.error
            if done.matched or not upsert:
                return {"n": done.matched, "nModified": done.modified, "ok": 1.0}
        use = partial(self.apply, query, change, upsert)
        return await self.search.first(query, order, use, certain=upsert)

    async def delete(self, query: Filter, *, many: bool) -> int:
        """Delete the matches; return their number."""
        if not many:
            found = await self.search.first(query, [], self.remove, certain=False)
            return int(found is not None)
        return (await self.search.each(query, _deleted)).matched

    async def find_and_update(
        self, query: Filter, change: Change, *, upsert: bool, order: Order, after: bool
    ) -> Document | None:
        """The first match as it was, or with ``after`` as it has become."""

        def use(writer: Connection, row: Row | None) -> Document | None:
            if row is None and not upsert:
                return None
            writing = self.search.writing(writer)
            found: Document | None
            if row is None:
                inserted = self.upserted(query, change, writing)
                found = inserted if after else None
            else:
                changed = self.change(change, writing, row)
                found = bson.decode(changed if after else row[1], self._codec)
            writing.flush()
            return found

        return await self.search.first(query, order, use, certain=upsert)

    async def find_and_delete(self, query: Filter, order: Order) -> Document | None:
        """The first match, which is removed."""
        return await self.search.first(query, order, self.remove, certain=False)

    async def create_indexes(self, wanted: Sequence[Index]) -> list[str]:
        """Create missing indexes, filled from the stored documents; return their names. When
        another process does the same at the same time, both fill them."""
        return await self._engine.finish(self._create_indexes(wanted))

    async def _create_indexes(self, wanted: Sequence[Index]) -> list[str]:
        left = [index for index in wanted if index.keys != (("_id", 1),)]
        while left:
            left, error = await self._engine.write(partial(self._fill, left))
            if error is not None:
                raise error
        return [index.name for index in wanted]

    def _fill(
        self, wanted: list[Index], writer: Connection
    ) -> tuple[list[Index], WriteError | None]:
        """A portion of it: the indexes that are not finished."""
        begun = clock()
        for at, index in enumerate(wanted):
            writing = self.search.writing(writer)
            stored = self.search.known(writer)
            assert stored is not None  # noqa: S101 - made by the line above
            made = next((known for known in stored.indexes if known.check_same(index)), None)
            if made is None:
                made = writer.catalog.add_index(writer.sql, stored, index)
            if made.filled is None:
                continue
            try:
                if not writing.fill(made, begun):
                    return wanted[at:], None
            except WriteError as error:
                writer.catalog.drop_index(writer.sql, made)
                return [], error
        return [], None


def _deleted(writing: Writing, row: Row) -> bool:
    writing.delete(row)
    return True
