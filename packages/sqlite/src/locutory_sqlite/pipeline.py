"""Aggregation pipelines over documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.expressions import Expression, compile_expression, scope_of
from locutory_sqlite.filters import compile_filter
from locutory_sqlite.ordering import MISSING, encode
from locutory_sqlite.paths import elements, get, split
from locutory_sqlite.places import deepcopy_document
from locutory_sqlite.projection import compile_projection
from locutory_sqlite.sorting import SortKey, order_of

Document = dict[str, Any]
Documents = Iterable[Document]
Stage = Callable[[Documents], Iterator[Document]]
Source = Callable[[str, Mapping[str, Any], list[Mapping[str, Any]]], list[Document]]
"""The documents of another collection that match a filter, after a pipeline."""


def compile_pipeline(stages: list[Mapping[str, Any]], source: Source) -> list[Stage]:
    """``OperationFailure`` names what is malformed or not supported."""
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
    if name == "$lookup":
        return _lookup(operand, source)
    if name == "$facet":
        return _facet(operand, source)
    make = _STAGES.get(name)
    if make is None:
        raise not_supported(f"the pipeline stage {name}")
    return make(operand)


def _match(operand: Any) -> Stage:
    test = compile_filter(operand).test
    return lambda documents: (document for document in documents if test(document))


def _sort(operand: Any) -> Stage:
    key = SortKey(order_of(operand))
    return lambda documents: iter(sorted(documents, key=key))


def _skip(operand: Any) -> Stage:
    return lambda documents: islice(documents, int(operand), None)


def _limit(operand: Any) -> Stage:
    if not operand > 0:
        raise invalid("the limit must be positive", 15958)
    return lambda documents: islice(documents, int(operand))


def _project(operand: Any) -> Stage:
    project = compile_projection(operand, aggregate=True)
    return lambda documents: map(project, documents)


def _add_fields(operand: Any) -> Stage:
    fields = [(split(path), compile_expression(value)) for path, value in operand.items()]

    def add(document: Document) -> Document:
        scope = scope_of(document)
        found = [(parts, expression(scope)) for parts, expression in fields]
        changed: Document = deepcopy_document(document)
        for parts, value in found:
            _put(changed, parts, value)
        return changed

    return lambda documents: map(add, documents)


def _put(document: Any, parts: tuple[str, ...], value: Any) -> None:
    """Set a path; inside of arrays in each element."""
    name, rest = parts[0], parts[1:]
    if isinstance(document, list):
        for position, inner in enumerate(document):
            if not isinstance(inner, dict | list):
                document[position] = inner = {}
            _put(inner, parts, value)
    elif not rest:
        if value is not MISSING:
            document[name] = value
        else:
            document.pop(name, None)
    else:
        if not isinstance(document.get(name), dict | list):
            document[name] = {}
        _put(document[name], rest, value)


def _unset(operand: Any) -> Stage:
    paths = [operand] if isinstance(operand, str) else list(operand)
    return _project(dict.fromkeys(paths, 0))


def _unwind(operand: Any) -> Stage:
    options = {"path": operand} if isinstance(operand, str) else dict(operand)
    path = options["path"]
    if not path.startswith("$"):
        raise invalid("path option to $unwind stage should be prefixed with a '$'", 28818)
    parts = split(path[1:])
    keep = options.get("preserveNullAndEmptyArrays", False)
    counter = options.get("includeArrayIndex")

    def unwind(documents: Documents) -> Iterator[Document]:
        for document in documents:
            value = _member(document, parts)
            if isinstance(value, list) and value:
                for position, inner in enumerate(value):
                    changed = deepcopy_document(document)
                    _put(changed, parts, inner)
                    if counter:
                        changed[counter] = position
                    yield changed
            elif isinstance(value, list) or value is None or value is MISSING:
                if keep:
                    changed = deepcopy_document(document)
                    if isinstance(value, list):
                        _put(changed, parts, MISSING)
                    if counter:
                        changed[counter] = None
                    yield changed
            else:
                yield {**document, **({counter: None} if counter else {})}

    return unwind


def _member(document: Any, parts: tuple[str, ...]) -> Any:
    for part in parts:
        if not isinstance(document, dict):
            return MISSING
        document = document.get(part, MISSING)
    return document


def _group(operand: Any) -> Stage:
    if "_id" not in operand:
        raise invalid("a group specification must include an _id", 15955)
    identity = compile_expression(operand["_id"])
    fields: dict[str, tuple[str, Expression]] = {}
    for name, value in operand.items():
        if name == "_id":
            continue
        if not isinstance(value, Mapping) or len(value) != 1:
            raise invalid(f"The field '{name}' must be an accumulator object", 40234)
        operator, inner = next(iter(value.items()))
        if operator not in _ACCUMULATORS:
            raise not_supported(f"the accumulator {operator}")
        fields[name] = (operator, compile_expression(1 if operator == "$count" else inner))

    def group(documents: Documents) -> Iterator[Document]:
        groups: dict[bytes, tuple[Any, dict[str, list[Any]]]] = {}
        for document in documents:
            scope = scope_of(document)
            key = identity(scope)
            key = None if key is MISSING else key
            found = groups.setdefault(encode(key), (key, {name: [] for name in fields}))
            for name, (_, expression) in fields.items():
                found[1][name].append(expression(scope))
        for key, values in groups.values():
            row = {"_id": key}
            for name, (operator, _) in fields.items():
                row[name] = _ACCUMULATORS[operator](values[name])
            yield row

    return group


def _numbers(values: list[Any]) -> list[Any]:
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def _known(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not MISSING and value is not None]


def _set_of(values: list[Any]) -> list[Any]:
    return list({encode(value): value for value in values if value is not MISSING}.values())


def _null(value: Any) -> Any:
    return None if value is MISSING else value


_ACCUMULATORS: dict[str, Callable[[list[Any]], Any]] = {
    "$sum": lambda values: sum(_numbers(values)),
    "$count": len,
    "$avg": lambda values: (
        sum(_numbers(values)) / len(_numbers(values)) if _numbers(values) else None
    ),
    "$max": lambda values: max(_known(values), key=encode, default=None),
    "$min": lambda values: min(_known(values), key=encode, default=None),
    "$first": lambda values: _null(values[0]),
    "$last": lambda values: _null(values[-1]),
    "$push": lambda values: [value for value in values if value is not MISSING],
    "$addToSet": _set_of,
}


def _count(operand: Any) -> Stage:
    def count(documents: Documents) -> Iterator[Document]:
        total = sum(1 for _ in documents)
        if total:
            yield {operand: total}

    return count


def _replace_root(operand: Any) -> Stage:
    return _replace_with(operand["newRoot"])


def _replace_with(operand: Any) -> Stage:
    expression = compile_expression(operand)

    def replace(document: Document) -> Document:
        value = expression(scope_of(document))
        if not isinstance(value, dict):
            raise invalid("'newRoot' expression must evaluate to an object", 40228)
        return value

    return lambda documents: map(replace, documents)


def _sort_by_count(operand: Any) -> Stage:
    stages = [_group({"_id": operand, "count": {"$sum": 1}}), _sort({"count": -1})]
    return lambda documents: run(stages, documents)


def _facet(operand: Any, source: Source) -> Stage:
    facets = {name: compile_pipeline(stages, source) for name, stages in operand.items()}

    def facet(documents: Documents) -> Iterator[Document]:
        rows = list(documents)
        yield {name: list(run(stages, rows)) for name, stages in facets.items()}

    return facet


def _lookup(operand: Any, source: Source) -> Stage:
    if "let" in operand or "localField" not in operand or "foreignField" not in operand:
        raise not_supported("$lookup without localField and foreignField")
    local, foreign = split(operand["localField"]), operand["foreignField"]
    name, target = operand["from"], split(operand["as"])
    inner = list(operand.get("pipeline", ()))

    def lookup(documents: Documents) -> Iterator[Document]:
        for document in documents:
            wanted = [None if v is MISSING else v for v in elements(document, local)]
            if isinstance(get(document, local), list):
                wanted = [value for value in wanted if not isinstance(value, list)]
            found = source(name, {foreign: {"$in": wanted or [None]}}, inner)
            changed = deepcopy_document(document)
            _put(changed, target, found)
            yield changed

    return lookup


_STAGES: dict[str, Callable[[Any], Stage]] = {
    "$match": _match,
    "$sort": _sort,
    "$skip": _skip,
    "$limit": _limit,
    "$project": _project,
    "$addFields": _add_fields,
    "$set": _add_fields,
    "$unset": _unset,
    "$unwind": _unwind,
    "$group": _group,
    "$count": _count,
    "$replaceRoot": _replace_root,
    "$replaceWith": _replace_with,
    "$sortByCount": _sort_by_count,
}

__all__ = ["Source", "compile_pipeline", "run"]
