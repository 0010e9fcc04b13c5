"""Aggregation pipelines over documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from bson.int64 import Int64

from locutory_sqlite.arithmetic import whole
from locutory_sqlite.errors import FAILED_TO_PARSE, invalid, not_supported
from locutory_sqlite.expressions import compile_expression, scope_of
from locutory_sqlite.filters import compile_filter, is_operators
from locutory_sqlite.grouping import compile_group
from locutory_sqlite.ordering import MISSING
from locutory_sqlite.paths import elements, split
from locutory_sqlite.patterns import is_pattern
from locutory_sqlite.projection import compile_new_fields, compile_projection
from locutory_sqlite.sorting import SortKey, order_of

Document = dict[str, Any]
Documents = Iterable[Document]
Stage = Callable[[Documents], Iterator[Document]]
Source = Callable[[str, Mapping[str, Any], list[Mapping[str, Any]]], list[Document]]
"""The documents of another collection that match a filter, after a pipeline."""


def compile_pipeline(stages: list[Mapping[str, Any]], source: Source) -> list[Stage]:
    """Compile a pipeline. ``OperationFailure`` names the part that is malformed or not
    supported."""
    return [_stage(stage, source) for stage in stages]


def run(stages: list[Stage], documents: Documents) -> Iterator[Document]:
    """The documents that come out of the last stage."""
    for stage in stages:
        documents = stage(documents)
    yield from documents


def _stage(stage: Mapping[str, Any], source: Source) -> Stage:
    if not isinstance(stage, Mapping) or len(stage) != 1:
        raise invalid(
            "A pipeline stage specification object must contain exactly one field.", 40323
        )
    name, operand = next(iter(stage.items()))
    if name in NESTING:
        return NESTING[name](operand, source)
    if name not in STAGES:
        raise not_supported(f"the pipeline stage {name}")
    return STAGES[name](operand)


def _match(operand: Any) -> Stage:
    test = compile_filter(operand).test
    return lambda documents: (document for document in documents if test(document))


def _sort(operand: Any) -> Stage:
    if not isinstance(operand, Mapping) or not operand:
        raise invalid("$sort stage must have at least one sort key", 15976)
    key = SortKey(order_of(operand))
    return lambda documents: iter(sorted(documents, key=key))


def _skip(operand: Any) -> Stage:
    number = skip_of(operand)
    return lambda documents: islice(documents, number, None)


def _limit(operand: Any) -> Stage:
    number = limit_of(operand)
    return lambda documents: islice(documents, number)


def skip_of(operand: Any) -> int:
    """The number of a ``$skip``."""
    number = whole(operand)
    if number is None or number < 0:
        raise invalid(f"invalid argument to $skip stage: {operand!r}", 5107200)
    return number


def limit_of(operand: Any) -> int:
    """The number of a ``$limit``."""
    number = whole(operand)
    if number is None or number < 0:
        raise invalid(f"invalid argument to $limit stage: {operand!r}", 5107201)
    if not number:
        raise invalid("the limit must be positive", 15958)
    return number


def _project(operand: Any) -> Stage:
    project = compile_projection(operand, aggregate=True)
    return lambda documents: map(project, documents)


def _add_fields(operand: Any) -> Stage:
    add = compile_new_fields(operand)
    return lambda documents: map(add, documents)


def _unset(operand: Any) -> Stage:
    paths = [operand] if isinstance(operand, str) else operand
    if not isinstance(paths, list) or not paths or not all(isinstance(p, str) for p in paths):
        raise invalid("$unset specification must be a string or an array of strings", 31002)
    return _project(dict.fromkeys(paths, 0))


def _options(stage: str, operand: Any, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    if not isinstance(operand, Mapping):
        raise invalid(f"the {stage} stage must be an object", FAILED_TO_PARSE)
    for name in operand:
        if name not in needed | optional:
            raise invalid(f"unrecognized option to {stage} stage: {name}", FAILED_TO_PARSE)
    for name in sorted(needed):
        if name not in operand:
            raise invalid(f"the {stage} stage needs {name}", FAILED_TO_PARSE)
    return operand


def _unwind(operand: Any) -> Stage:
    given = {"path": operand} if isinstance(operand, str) else operand
    options = _options(
        "$unwind", given, {"path"}, {"preserveNullAndEmptyArrays", "includeArrayIndex"}
    )
    path = options["path"]
    if not isinstance(path, str) or not path.startswith("$"):
        raise invalid("path option to $unwind stage should be prefixed with a '$'", 28818)
    parts = split(path[1:])
    keep = options.get("preserveNullAndEmptyArrays", False)
    counter = options.get("includeArrayIndex")
    if counter is not None and (not isinstance(counter, str) or not counter or counter[0] == "$"):
        raise invalid("includeArrayIndex option to $unwind must be a field name", 28810)
    place = split(counter) if counter else None

    def counted(document: Document, position: int | None) -> Document:
        if place is None:
            return document
        return _with(document, place, None if position is None else Int64(position))

    def unwind(documents: Documents) -> Iterator[Document]:
        for document in documents:
            value = _member(document, parts)
            if isinstance(value, list) and value:
                for position, inner in enumerate(value):
                    yield counted(_with(document, parts, inner), position)
            elif isinstance(value, list):
                if keep:
                    yield counted(_with(document, parts, MISSING), None)
            elif keep or (value is not None and value is not MISSING):
                yield counted(document, None)

    return unwind


def _member(document: Any, parts: tuple[str, ...]) -> Any:
    for part in parts:
        if not isinstance(document, dict):
            return MISSING
        document = document.get(part, MISSING)
    return document


def _with(document: Any, parts: tuple[str, ...], value: Any) -> Document:
    """A copy with another value of a path through objects; `MISSING` removes it."""
    copy = dict(document) if isinstance(document, dict) else {}
    name, rest = parts[0], parts[1:]
    if rest:
        copy[name] = _with(copy.get(name), rest, value)
    elif value is MISSING:
        copy.pop(name, None)
    else:
        copy[name] = value
    return copy


def _count(operand: Any) -> Stage:
    if not isinstance(operand, str) or not operand or "." in operand or operand[0] == "$":
        raise invalid("the count field must be a non-empty string without '.' and '$'", 40156)

    def count(documents: Documents) -> Iterator[Document]:
        total = sum(1 for _ in documents)
        if total:
            yield {operand: total}

    return count


def _replace_root(operand: Any) -> Stage:
    return _replace_with(_options("$replaceRoot", operand, {"newRoot"}, set())["newRoot"])


def _replace_with(operand: Any) -> Stage:
    expression = compile_expression(operand)

    def replace(document: Document) -> Document:
        value = expression(scope_of(document))
        if not isinstance(value, dict):
            raise invalid("'newRoot' expression must evaluate to an object", 40228)
        return value

    return lambda documents: map(replace, documents)


def _sort_by_count(operand: Any) -> Stage:
    field = isinstance(operand, str) and operand.startswith("$")
    if not field and not is_operators(operand):
        raise invalid("the sortByCount field must be a $-prefixed path or an expression", 40147)
    stages = [compile_group({"_id": operand, "count": {"$sum": 1}}), _sort({"count": -1})]
    return lambda documents: run(stages, documents)


def _facet(operand: Any, source: Source) -> Stage:
    if not isinstance(operand, Mapping) or not operand:
        raise invalid("the $facet specification must be a non-empty object", 40169)
    for name, stages in operand.items():
        if "." in name or name.startswith("$") or not isinstance(stages, list):
            raise invalid(f"the $facet {name!r} must be a field name with a pipeline", 40170)
        for stage in stages:
            if isinstance(stage, Mapping) and "$facet" in stage:
                raise invalid("$facet is not allowed to be used within a $facet stage", 40600)
    facets = {name: compile_pipeline(stages, source) for name, stages in operand.items()}

    def facet(documents: Documents) -> Iterator[Document]:
        rows = list(documents)
        yield {name: list(run(stages, rows)) for name, stages in facets.items()}

    return facet


def _lookup(operand: Any, source: Source) -> Stage:
    if isinstance(operand, Mapping):
        for name in ("let", "_internalUnwind", "_internalCollation"):
            if name in operand:
                raise not_supported(f"$lookup with {name}")
        if "localField" not in operand and "foreignField" not in operand and "pipeline" in operand:
            raise not_supported("$lookup without localField and foreignField")
    given = _options("$lookup", operand, {"from", "localField", "foreignField", "as"}, {"pipeline"})
    for name in ("from", "localField", "foreignField", "as"):
        if not isinstance(given[name], str) or "" in split(given[name]) or given[name][0] == "$":
            raise invalid(f"$lookup argument '{name}' must be a string, a name", FAILED_TO_PARSE)
    local, foreign, target = split(given["localField"]), given["foreignField"], split(given["as"])
    inner = given.get("pipeline", [])
    if not isinstance(inner, list):
        raise invalid("the pipeline of $lookup must be an array", FAILED_TO_PARSE)
    compile_pipeline(inner, source)

    def lookup(documents: Documents) -> Iterator[Document]:
        for document in documents:
            query = _foreign(foreign, _locals(document, local))
            yield _with(document, target, source(given["from"], query, inner))

    return lookup


def _locals(document: Document, parts: tuple[str, ...]) -> list[Any]:
    """The values to look for: the elements of an array, and null if there is nothing."""
    found: list[Any] = []
    for value in elements(document, parts, spread=False):
        if value is not MISSING:
            found += value if isinstance(value, list) else [value]
    return found or [None]


def _foreign(path: str, values: list[Any]) -> Document:
    """Equality with one of the values, which are never operators or expressions."""
    plain = [v for v in values if not is_pattern(v) and not is_operators(v)]
    clauses = [{path: {"$eq": v}} for v in values if is_pattern(v) or is_operators(v)]
    if not clauses:
        return {path: {"$in": plain}}
    return {"$or": [{path: {"$in": plain}}, *clauses]}


STAGES: dict[str, Callable[[Any], Stage]] = {
    "$match": _match,
    "$sort": _sort,
    "$skip": _skip,
    "$limit": _limit,
    "$project": _project,
    "$addFields": _add_fields,
    "$set": _add_fields,
    "$unset": _unset,
    "$unwind": _unwind,
    "$group": compile_group,
    "$count": _count,
    "$replaceRoot": _replace_root,
    "$replaceWith": _replace_with,
    "$sortByCount": _sort_by_count,
}
NESTING: dict[str, Callable[[Any, Source], Stage]] = {"$facet": _facet, "$lookup": _lookup}
"""The stages with pipelines of their own."""

__all__ = ["NESTING", "STAGES", "Source", "compile_pipeline", "limit_of", "run", "skip_of"]
