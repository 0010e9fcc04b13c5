"""The writes of a collection: each is one piece of work for the writer."""

from collections.abc import Callable, Sequence
from typing import Any

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo.errors import WriteError

from locutory_sqlite.catalog import Stored
from locutory_sqlite.engine import Connection, Engine
from locutory_sqlite.filters import Filter, compile_filter
from locutory_sqlite.indexes import Index
from locutory_sqlite.reading import Reading, Row
from locutory_sqlite.sorting import Order
from locutory_sqlite.updates import Replacement, Update, compile_update, inserted_by
from locutory_sqlite.writing import Writing, with_id

Document = dict[str, Any]
Result = dict[str, Any]


class Mutations:
    """What changes one collection; filters and updates are already as the server would get
    them."""

    def __init__(
        self, engine: Engine, database: str, name: str, codec: "CodecOptions[Document]"
    ) -> None:
        self._engine = engine
        self._database = database
        self._name = name
        self._codec = codec

    def _writing(self, writer: Connection, stored: Stored) -> Writing:
        return Writing(writer.sql, writer.catalog, stored, self._database)

    def _made(self, writer: Connection) -> Stored:
        """The collection, made if it is not there."""
        return writer.catalog.create(writer.sql, self._name)

    def _known(self, writer: Connection) -> Stored | None:
        return writer.catalog.collections.get(self._name)

    def _rows(
        self, writer: Connection, stored: Stored, query: Filter, order: Order, *, many: bool
    ) -> list[Row]:
        reading = Reading(writer, stored, self._codec)
        return list(reading.rows(query, order, limit=0 if many else 1))

    async def insert(self, documents: Sequence[bytes]) -> None:
        """Store encoded documents, all or none."""

        def work(writer: Connection) -> None:
            stored = self._made(writer)
            writing = self._writing(writer, stored)
            for raw in documents:
                writing.insert(raw)

        await self._engine.write(work)

    async def update(
        self,
        query: Document,
        update: Document,
        *,
        many: bool,
        upsert: bool,
        replacing: bool,
        order: Order,
    ) -> Result:
        """``{n, nModified, upserted?}``"""
        compiled, change = compile_filter(query), _compiled(update, replacing=replacing)
        return await self._engine.write(
            lambda writer: self._apply(writer, compiled, change, order, many=many, upsert=upsert)
        )

    def _apply(
        self,
        writer: Connection,
        query: Filter,
        change: Update,
        order: Order,
        *,
        many: bool,
        upsert: bool,
    ) -> Result:
        stored = self._known(writer)
        modified = 0
        rows: list[Row] = []
        if stored is not None:
            rows = self._rows(writer, stored, query, order, many=many)
            for row in rows:
                modified += self._changed(writer, stored, row, change) != row[1]
        if rows or not upsert:
            return {"n": len(rows), "nModified": modified, "ok": 1.0}
        identity = self._upserted(writer, query, change)["_id"]
        return {"n": 1, "nModified": 0, "upserted": identity, "ok": 1.0}

    def _changed(self, writer: Connection, stored: Stored, row: Row, change: Update) -> bytes:
        """Apply a change to a document that was read: what is stored now."""
        raw = bson.encode(change(row[2]), codec_options=self._codec)
        if raw != row[1]:
            self._writing(writer, stored).replace(row, raw)
        return raw

    def _upserted(self, writer: Connection, query: Filter, change: Update) -> Document:
        stored = self._made(writer)
        document = change(inserted_by(query), inserting=True)
        if "_id" not in document:
            document = {"_id": ObjectId(), **document}
        raw = bson.encode(with_id(document), codec_options=self._codec)
        self._writing(writer, stored).insert(raw)
        return bson.decode(raw, self._codec)

    async def delete(self, query: Document, *, many: bool) -> int:
        """How many were removed."""
        compiled = compile_filter(query)
        return await self._engine.write(
            lambda writer: self._removed(writer, compiled, [], many=many)[0]
        )

    def _removed(
        self, writer: Connection, query: Filter, order: Order, *, many: bool
    ) -> tuple[int, Document | None]:
        stored = self._known(writer)
        if stored is None:
            return 0, None
        rows = self._rows(writer, stored, query, order, many=many)
        writing = self._writing(writer, stored)
        for row in rows:
            writing.delete(row)
        return len(rows), rows[0][2] if rows else None

    async def find_and_update(
        self,
        query: Document,
        update: Document,
        *,
        upsert: bool,
        replacing: bool,
        order: Order,
        after: bool,
    ) -> Document | None:
        """The first match as it was, or with ``after`` as it has become."""
        compiled, change = compile_filter(query), _compiled(update, replacing=replacing)

        def work(writer: Connection) -> Document | None:
            stored = self._known(writer)
            rows = [] if stored is None else self._rows(writer, stored, compiled, order, many=False)
            if stored is None or not rows:
                inserted = self._upserted(writer, compiled, change) if upsert else None
                return inserted if after else None
            changed = self._changed(writer, stored, rows[0], change)
            return bson.decode(changed if after else rows[0][1], self._codec)

        return await self._engine.write(work)

    async def find_and_delete(self, query: Document, order: Order) -> Document | None:
        """The first match, which is removed."""
        compiled = compile_filter(query)
        return await self._engine.write(
            lambda writer: self._removed(writer, compiled, order, many=False)[1]
        )

    async def bulk(
        self, requests: Sequence[tuple[str, tuple[Any, ...]]], *, ordered: bool
    ) -> Result:
        """The details of a bulk write; one that is refused undoes only itself."""
        compiled = [self._compiled_request(*request) for request in requests]
        return await self._engine.write(lambda writer: self._all(writer, compiled, ordered=ordered))

    def _compiled_request(
        self, kind: str, values: tuple[Any, ...]
    ) -> Callable[[Connection], Result]:
        if kind == "insert":
            (raw,) = values

            def insert(writer: Connection) -> Result:
                stored = self._made(writer)
                self._writing(writer, stored).insert(raw)
                return {"nInserted": 1}

            return insert
        query = compile_filter(values[0])
        if kind == "delete":
            return lambda writer: {"nRemoved": self._removed(writer, query, [], many=values[1])[0]}
        _, update, many, upsert, replacing = values
        change = _compiled(update, replacing=replacing)

        def run(writer: Connection) -> Result:
            done = self._apply(writer, query, change, [], many=many, upsert=upsert)
            if "upserted" in done:
                return {"nUpserted": 1, "upserted": done["upserted"]}
            return {"nMatched": done["n"], "nModified": done["nModified"]}

        return run

    def _all(
        self,
        writer: Connection,
        requests: Sequence[Callable[[Connection], Result]],
        *,
        ordered: bool,
    ) -> Result:
        counts = ("nInserted", "nMatched", "nModified", "nRemoved", "nUpserted")
        total: Result = {
            "writeErrors": [], "writeConcernErrors": [], "upserted": [], **dict.fromkeys(counts, 0)
        }  # fmt: skip
        for number, request in enumerate(requests):
            writer.sql.execute("SAVEPOINT request")
            try:
                done = request(writer)
            except WriteError as error:
                writer.undo("request")
                details = dict(error.details or {})
                total["writeErrors"].append({**details, "index": number, "code": error.code})
                if ordered:
                    break
            else:
                for name in counts:
                    total[name] += done.get(name, 0)
                if "upserted" in done:
                    total["upserted"].append({"index": number, "_id": done["upserted"]})
            finally:
                writer.sql.execute("RELEASE request")
        return total

    async def create_indexes(self, wanted: Sequence[Index]) -> list[str]:
        """Make what is missing of them, filled with what is stored; their names."""

        def work(writer: Connection) -> list[str]:
            for index in wanted:
                stored = self._made(writer)
                if any(known.check_same(index) for known in stored.indexes):
                    continue
                if index.keys == (("_id", 1),):
                    continue
                made = writer.catalog.add_index(writer.sql, stored, index)
                stored = writer.catalog.collections[self._name]
                self._writing(writer, stored).fill(made)
            return [index.name for index in wanted]

        return await self._engine.write(work)


def _compiled(update: Document, *, replacing: bool) -> Update:
    return Replacement(update) if replacing else compile_update(update)
