"""A collection with the methods of the driver's ``AsyncCollection``."""

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import (
    DeleteMany,
    DeleteOne,
    InsertOne,
    ReplaceOne,
    ReturnDocument,
    UpdateMany,
    UpdateOne,
)
from pymongo.errors import BulkWriteError
from pymongo.results import (
    BulkWriteResult,
    DeleteResult,
    InsertManyResult,
    InsertOneResult,
    UpdateResult,
)

from locutory_sqlite.administration import Administration
from locutory_sqlite.aggregation import aggregate_rows, shape_of_pipeline, takes_long
from locutory_sqlite.bulk import Bulk, Insert, Modify
from locutory_sqlite.connection import clock
from locutory_sqlite.counting import Counting
from locutory_sqlite.cursor import FindCursor, ResultCursor, hint_name
from locutory_sqlite.errors import not_supported
from locutory_sqlite.filters import Filter
from locutory_sqlite.late import LateFilter
from locutory_sqlite.mutations import Change, Mutations
from locutory_sqlite.options import check_options
from locutory_sqlite.planner import Plan
from locutory_sqlite.projection import compile_projection
from locutory_sqlite.raw import as_raw, is_raw, raw_bytes, working_codec
from locutory_sqlite.readers import LOOP_SECONDS
from locutory_sqlite.reading import Reading, shape_of
from locutory_sqlite.sorting import order_of
from locutory_sqlite.trimming import Needed, needed_by
from locutory_sqlite.writing import with_id

if TYPE_CHECKING:
    from locutory_sqlite.database import Database
    from locutory_sqlite.engine import Connection, Engine

Document = dict[str, Any]
Codec = CodecOptions[Document]


class Collection(Administration, Counting):
    """One collection of an open file; made by `Database.get_collection`."""

    def __init__(self, database: "Database", name: str, codec: Codec) -> None:
        self.database = database
        self.name = name
        self.full_name = f"{database.name}.{name}"
        self.codec_options = codec
        self._codec = working_codec(codec)
        self._raw = is_raw(codec)
        self._engine: Engine = database.client.engine
        self._mutations = Mutations(self._engine, database.name, name, self._codec)

    def __repr__(self) -> str:
        return f"Collection({self.full_name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collection) and (other.database, other.name) == (
            self.database,
            self.name,
        )

    def __hash__(self) -> int:
        return hash((self.full_name, id(self._engine)))

    def __bool__(self) -> bool:
        raise NotImplementedError("compare with None instead: collection is not None")

    def with_options(self, codec_options: Codec | None = None, **_options: Any) -> "Collection":
        """The same collection, read with other codec options."""
        return Collection(self.database, self.name, codec_options or self.codec_options)

    # Reading

    def _normal(self, document: Any) -> Document:
        """A document as a server would receive it: dates in milliseconds, tuples as arrays."""
        return bson.decode(bson.encode(document, codec_options=self._codec), self._codec)

    async def _filter(self, query: Any) -> Filter:
        compiled = LateFilter(query, self._codec)
        return await self._engine.readers.compute(compiled) if compiled.long else compiled()

    def _planned(
        self,
        connection: "Connection",
        query: Filter,
        options: FindCursor,
        needed: Needed | None = None,
    ) -> tuple[Reading, Plan] | None:
        """The plan for reading a query; ``None`` when there is no such collection."""
        stored = connection.catalog.collections.get(self.name)
        if stored is None:
            return None
        reading = Reading(connection, stored, self._codec, needed)
        limited = bool(options.limited)
        return reading, reading.plan(query, options.order, limited=limited, hint=options.hinted)

    def _rows(
        self, connection: "Connection", query: Filter, options: FindCursor, projection: Any
    ) -> Iterator[Document]:
        needed = needed_by(projection, query.fields, [path for path, _ in options.order])
        planned = self._planned(connection, query, options, needed)
        if planned is None:
            return
        reading, plan = planned
        for _, _, document in reading.rows(
            query, options.order, skip=options.skipped, limit=options.limited, using=plan
        ):
            yield document

    def _raw_rows(
        self, connection: "Connection", query: Filter, options: FindCursor
    ) -> Iterator[Any]:
        planned = self._planned(connection, query, options)
        if planned is None:
            return iter(())
        reading, plan = planned
        skip, limit = options.skipped, options.limited
        rows = reading.raw_rows(query, options.order, skip=skip, limit=limit, using=plan)
        codec: Any = self.codec_options
        return (RawBSONDocument(raw, codec) for raw in rows)

    def _shaped(self, document: Document) -> Document:
        """A document that was computed, as the codec options want it."""
        found: Any = as_raw(document, self.codec_options) if self._raw else document
        return cast("Document", found)

    def find(
        self, filter: Mapping[str, Any] | None = None, projection: Any = None, **options: Any
    ) -> FindCursor:
        """A cursor over the matches. Keywords: ``sort``, ``skip``, ``limit``, ``hint``."""
        check_options(options, "sort", "skip", "limit", "hint")
        late = LateFilter(filter, self._codec)
        if not late.long:
            late()  # is refused at once
        project = None if projection is None else compile_projection(projection)

        def run(reader: "Connection", cursor: FindCursor) -> Iterator[Document]:
            if self._raw and project is None:
                return self._raw_rows(reader, late(), cursor)
            rows = self._rows(reader, late(), cursor, projection)
            shown = rows if project is None else map(project, rows)
            return map(self._shaped, shown) if self._raw else shown

        def plan(reader: "Connection", cursor: FindCursor) -> Mapping[str, Any]:
            planned = self._planned(reader, late(), cursor)
            return {"stage": "EOF"} if planned is None else planned[1].describe()

        def shape(cursor: FindCursor) -> Hashable:
            return shape_of(self.name, late(), cursor.order, limited=bool(cursor.limited))

        return FindCursor(self._engine, run, plan, shape, options, long=late.long)

    async def find_one(
        self, filter: Any = None, projection: Any = None, **options: Any
    ) -> Document | None:
        """The first match, or ``None``; ``filter`` may be an ``_id``."""
        if filter is not None and not isinstance(filter, Mapping):
            return await self.find_one({"_id": filter}, projection, **options)
        found = await self.find(filter, projection, **{**options, "limit": 1}).to_list()
        return found[0] if found else None

    async def aggregate(
        self, pipeline: Sequence[Mapping[str, Any]], **options: Any
    ) -> ResultCursor:
        """A cursor over the results of a pipeline."""
        check_options(options, "hint")
        hint = hint_name(options.get("hint"))
        stages: list[Document] = self._normal({"pipeline": list(pipeline)})["pipeline"]
        rows = aggregate_rows(self.name, stages, self._codec, hint)
        shape, long = shape_of_pipeline(self.name, stages), takes_long(stages)
        if not self._raw:
            return ResultCursor(self._engine, rows, shape=shape, long=long)
        shaped = lambda reader: map(self._shaped, rows(reader))  # noqa: E731
        return ResultCursor(self._engine, shaped, shape=shape, long=long)

    # Writing

    async def insert_one(self, document: Any, **options: Any) -> InsertOneResult:
        """Store a document, which gets an ``_id`` if it has none."""
        check_options(options)
        await self._mutations.insert(self._encoded(document))
        identity = None if isinstance(document, RawBSONDocument) else document["_id"]
        return InsertOneResult(identity, True)

    def _encoded(self, document: Any) -> bytes:
        """A document to insert as it is stored; like the driver, gives it its ``_id``, unless it
        is a raw one."""
        if isinstance(document, RawBSONDocument):
            return raw_bytes(document)
        filled = with_id(document)
        document.setdefault("_id", filled["_id"])
        return bson.encode(filled, codec_options=self._codec)

    async def insert_many(
        self, documents: Iterable[Any], ordered: bool = True, **options: Any
    ) -> InsertManyResult:
        """Store documents; ``BulkWriteError`` names those that were refused."""
        check_options(options)
        given = list(documents)
        if not given:
            raise TypeError("documents must be a non-empty list")
        await self.bulk_write([InsertOne(document) for document in given], ordered=ordered)
        known = (each["_id"] for each in given if not isinstance(each, RawBSONDocument))
        return InsertManyResult(list(known), True)

    async def update_one(
        self, filter: Mapping[str, Any], update: Any, upsert: bool = False, **options: Any
    ) -> UpdateResult:
        """Change the first match."""
        check_options(options, "sort", "hint")
        return await self._update(filter, update, upsert, options, many=False)

    async def update_many(
        self, filter: Mapping[str, Any], update: Any, upsert: bool = False, **options: Any
    ) -> UpdateResult:
        """Change every match."""
        check_options(options, "hint")
        return await self._update(filter, update, upsert, options, many=True)

    async def replace_one(
        self, filter: Mapping[str, Any], replacement: Any, upsert: bool = False, **options: Any
    ) -> UpdateResult:
        """Put another document in the place of the first match."""
        check_options(options, "sort", "hint")
        return await self._update(filter, replacement, upsert, options, many=False, replacing=True)

    async def _update(
        self,
        filter: Mapping[str, Any],
        update: Any,
        upsert: bool,
        options: Mapping[str, Any],
        *,
        many: bool,
        replacing: bool = False,
    ) -> UpdateResult:
        raw = await self._mutations.update(
            await self._filter(filter),
            self._change(update, replacing=replacing),
            many=many,
            upsert=upsert,
            order=order_of(options.get("sort")),
        )
        return UpdateResult(raw, True)

    def _change(self, update: Any, *, replacing: bool) -> Change:
        if not isinstance(update, Mapping):
            raise not_supported("updates by a pipeline")
        first = next(iter(update), "")
        if replacing and first.startswith("$"):
            raise ValueError("replacement can not include $ operators")
        if not replacing and not first.startswith("$"):
            raise ValueError("update only works with $ operators")
        return Change.of(self._normal(update), replacing=replacing)

    async def delete_one(self, filter: Mapping[str, Any], **options: Any) -> DeleteResult:
        """Remove the first match."""
        check_options(options, "hint")
        count = await self._mutations.delete(await self._filter(filter), many=False)
        return DeleteResult({"n": count, "ok": 1.0}, True)

    async def delete_many(self, filter: Mapping[str, Any], **options: Any) -> DeleteResult:
        """Remove every match."""
        check_options(options, "hint")
        count = await self._mutations.delete(await self._filter(filter), many=True)
        return DeleteResult({"n": count, "ok": 1.0}, True)

    async def find_one_and_update(
        self, filter: Mapping[str, Any], update: Any, projection: Any = None, **options: Any
    ) -> Document | None:
        """Change the first match; the document before or after, or ``None``."""
        return await self._find_and(filter, update, projection, options, replacing=False)

    async def find_one_and_replace(
        self, filter: Mapping[str, Any], replacement: Any, projection: Any = None, **options: Any
    ) -> Document | None:
        """Replace the first match; the document before or after, or ``None``."""
        return await self._find_and(filter, replacement, projection, options, replacing=True)

    async def _find_and(
        self,
        filter: Mapping[str, Any],
        update: Any,
        projection: Any,
        options: Mapping[str, Any],
        *,
        replacing: bool,
    ) -> Document | None:
        check_options(options, "sort", "hint", "upsert", "return_document")
        found = await self._mutations.find_and_update(
            await self._filter(filter),
            self._change(update, replacing=replacing),
            upsert=bool(options.get("upsert")),
            order=order_of(options.get("sort")),
            after=options.get("return_document") is ReturnDocument.AFTER,
        )
        return self._projected(found, projection)

    async def find_one_and_delete(
        self, filter: Mapping[str, Any], projection: Any = None, **options: Any
    ) -> Document | None:
        """Remove the first match; the document, or ``None``."""
        check_options(options, "sort", "hint")
        found = await self._mutations.find_and_delete(
            await self._filter(filter), order_of(options.get("sort"))
        )
        return self._projected(found, projection)

    def _projected(self, document: Document | None, projection: Any) -> Document | None:
        if document is None:
            return None
        found = document if projection is None else compile_projection(projection)(document)
        return self._shaped(found)

    async def bulk_write(
        self, requests: Sequence[Any], ordered: bool = True, **options: Any
    ) -> BulkWriteResult:
        """Do several writes; ``BulkWriteError`` names those that were refused, and the effects of
        the others are kept."""
        check_options(options)
        if not requests:
            raise TypeError("requests must be a non-empty list")
        prepared = []
        until = clock() + LOOP_SECONDS
        for request in requests:
            prepared.append(await self._prepared(request))
            if clock() > until:
                await asyncio.sleep(0)
                until = clock() + LOOP_SECONDS
        bulk = Bulk(self._engine, self._mutations, prepared, ordered=ordered)
        details = await bulk.run()
        if details["writeErrors"]:
            raise BulkWriteError(details)
        return BulkWriteResult(details, True)

    async def _prepared(self, request: Any) -> Insert | Modify:
        if isinstance(request, InsertOne):
            return Insert(self._encoded(request._doc))
        if isinstance(request, DeleteOne | DeleteMany):
            query = await self._filter(request._filter)
            return Modify(query, None, isinstance(request, DeleteMany))
        if isinstance(request, ReplaceOne | UpdateOne | UpdateMany):
            change = self._change(request._doc, replacing=isinstance(request, ReplaceOne))
            query = await self._filter(request._filter)
            many = isinstance(request, UpdateMany)
            return Modify(query, change, many, bool(request._upsert))
        raise TypeError(f"{request!r} is not a valid request")
