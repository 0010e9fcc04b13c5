"""Counts and distinct values of a collection."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from bson.codec_options import CodecOptions

from locutory_sqlite.aggregation import distinct_values
from locutory_sqlite.covering import Covering
from locutory_sqlite.cursor import hint_name
from locutory_sqlite.filters import Filter
from locutory_sqlite.late import LateFilter
from locutory_sqlite.options import check_options
from locutory_sqlite.ordering import encode
from locutory_sqlite.reading import shape_of

if TYPE_CHECKING:
    from locutory_sqlite.connection import Connection
    from locutory_sqlite.engine import Engine

Document = dict[str, Any]
T = TypeVar("T")


class Counting:
    """The methods of a `Collection` that count its documents without returning them."""

    name: str
    _codec: "CodecOptions[Document]"
    _engine: "Engine"

    async def count_documents(self, filter: Mapping[str, Any], **options: Any) -> int:
        """The number of documents that match."""
        check_options(options, "skip", "limit", "hint")
        skip, limit = int(options.get("skip") or 0), int(options.get("limit") or 0)
        hint = hint_name(options.get("hint"))

        def count(reading: Covering, query: Filter) -> int:
            chosen = reading.plan(query, [], limited=False, hint=hint)
            return reading.count(query, chosen, skip=skip, limit=limit)

        return await self._covered("count", filter, count, 0)

    async def _covered(
        self, kind: str, filter: Any, work: Callable[[Covering, Filter], T], nothing: T
    ) -> T:
        """The result of ``work`` for the collection, or ``nothing`` if that does not exist."""
        late = LateFilter(filter, self._codec)
        shape = None if late.long else (kind, shape_of(self.name, late(), [], limited=False))

        def read(reader: "Connection") -> T:
            stored = reader.catalog.collections.get(self.name)
            if stored is None:
                return nothing
            return work(Covering(reader, stored, self._codec), late())

        return await self._engine.read(read, long=late.long, shape=shape)

    async def estimated_document_count(self, **options: Any) -> int:
        """The number of documents."""
        check_options(options)

        def count(reader: "Connection") -> int:
            stored = reader.catalog.collections.get(self.name)
            if stored is None:
                return 0
            text = f"SELECT count(*) FROM c{stored.number}"
            return int(reader.sql.execute(text).fetchone()[0])

        return await self._engine.read(count, long=True)

    async def distinct(
        self, key: str, filter: Mapping[str, Any] | None = None, **options: Any
    ) -> list[Any]:
        """The different values of a field, those of arrays each by itself."""
        check_options(options, "hint")
        hint = hint_name(options.get("hint"))

        def values(reading: Covering, query: Filter) -> list[Any]:
            found = reading.distinct(query, key) if hint is None else None
            if found is not None:
                return sorted(found, key=encode)
            chosen = reading.plan(query, [], limited=False, hint=hint)
            return distinct_values(key, (row[2] for row in reading.rows(query, [], using=chosen)))

        return await self._covered("distinct", filter, values, [])
