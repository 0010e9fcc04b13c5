"""Running pipelines and ``distinct`` on stored collections: what comes first is left to an
index."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions

from locutory_sqlite.filters import compile_filter
from locutory_sqlite.ordering import MISSING, encode
from locutory_sqlite.paths import elements, split
from locutory_sqlite.pipeline import Source, compile_pipeline, limit_of, skip_of
from locutory_sqlite.reading import Reading
from locutory_sqlite.sorting import Order, order_of

if TYPE_CHECKING:
    from locutory_sqlite.cursor import Open
    from locutory_sqlite.engine import Connection

Document = dict[str, Any]
Codec = CodecOptions[Document]


def aggregate_rows(
    name: str, stages: Sequence[Mapping[str, Any]], codec: Codec, hint: str | None
) -> "Open":
    """Opens a pipeline on a reader."""
    query, order, skip, limit, rest = _first(stages)
    compiled_query = compile_filter(query)
    compile_pipeline(rest, lambda *_: [])  # refuses at once what is not supported

    def rows(reader: "Connection") -> Iterator[Document]:
        stored = reader.catalog.collections.get(name)
        source: Iterable[Document] = ()
        if stored is not None:
            reading = Reading(reader, stored, codec)
            plan = reading.plan(compiled_query, order, limited=bool(limit), hint=hint)
            found = reading.rows(compiled_query, order, skip=skip, limit=limit, using=plan)
            source = (document for _, _, document in found)
        for stage in compile_pipeline(rest, _source(reader, codec)):
            source = _watched(reader, stage(source))
        return iter(source)

    return rows


def _watched(reader: "Connection", documents: Iterable[Document]) -> Iterator[Document]:
    """The documents; a stage that makes many of few is noticed too."""
    for document in documents:
        reader.tick()
        yield document


def shape_of_pipeline(name: str, stages: Sequence[Mapping[str, Any]]) -> Hashable:
    """The common part of pipelines that take about as long: everything but their values."""
    parts: list[Any] = [name]
    for stage in stages:
        for operator, operand in stage.items():
            parts += (operator, tuple(operand) if isinstance(operand, Mapping) else None)
    return tuple(parts)


def takes_long(stages: Sequence[Mapping[str, Any]]) -> bool:
    """``True`` when there is a stage during which the time is not checked."""
    return any("$facet" in stage for stage in stages)


def _source(reader: "Connection", codec: Codec) -> Source:
    """Other collections, for ``$lookup``."""

    def read(
        name: str, query: Mapping[str, Any], stages: list[Mapping[str, Any]]
    ) -> list[Document]:
        first = [{"$match": query}, *stages]
        return list(aggregate_rows(name, first, codec, None)(reader))

    return read


def _first(
    stages: Sequence[Mapping[str, Any]],
) -> tuple[Document, Order, int, int, list[Mapping[str, Any]]]:
    """The filters, the sort, the skip and the limit that a pipeline begins with, and the rest."""
    filters: list[Any] = []
    order: Order = []
    skip = limit = at = 0

    def next_is(name: str) -> bool:
        return at < len(stages) and list(stages[at]) == [name]

    while next_is("$match"):
        filters.append(stages[at]["$match"])
        at += 1
    if next_is("$sort") and isinstance(stages[at]["$sort"], Mapping) and stages[at]["$sort"]:
        order = order_of(stages[at]["$sort"])
        at += 1
    if next_is("$skip"):
        skip = skip_of(stages[at]["$skip"])
        at += 1
    if next_is("$limit"):
        limit = limit_of(stages[at]["$limit"])
        at += 1
    query: Document = {"$and": filters} if filters else {}
    if len(filters) == 1:
        query = filters[0]
    return query, order, skip, limit, list(stages[at:])


def distinct_values(path: str, documents: Iterable[Document]) -> list[Any]:
    """Each value once, in MongoDB's order; arrays are taken apart."""
    found: dict[bytes, Any] = {}
    parts = split(path)
    for document in documents:
        for value in elements(document, parts, spread=False):
            for one in value if isinstance(value, list) else [value]:
                if one is not MISSING:
                    found.setdefault(encode(one), one)
    return [found[key] for key in sorted(found)]
