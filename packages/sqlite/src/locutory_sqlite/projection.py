"""Projections of ``find`` and of ``$project``, and the new fields of ``$addFields``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from locutory_sqlite.arithmetic import is_number, is_zero, whole
from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.expressions import compile_expression, scope_of
from locutory_sqlite.filters import compile_filter
from locutory_sqlite.paths import split
from locutory_sqlite.shapes import Shape, changed

Document = dict[str, Any]
Project = Callable[[Document], Document]

FIND_OPERATORS = frozenset({"$slice", "$elemMatch"})
"""Those of projections of ``find``, besides expressions."""


def compile_projection(given: Any, *, aggregate: bool = False) -> Project:
    """From what ``find`` takes: names, or a mapping of path to 1, 0, ``$slice``, ``$elemMatch``
    or an expression. ``OperationFailure`` for a mixture of 1 and 0."""
    if isinstance(given, Mapping):
        fields = dict(given)
    elif isinstance(given, Sequence) and not isinstance(given, str) and not aggregate:
        fields = dict.fromkeys(given, 1) or {"_id": 1}
    else:
        raise invalid("projection specification must be an object", 15969)
    if not fields:
        if aggregate:
            raise invalid("projection specification must have at least one field", 51272)
        return lambda document: document
    if all(type(flag) is int for flag in fields.values()):
        return _of_flags(tuple(fields.items()), aggregate)
    return _compiled(dict(_leaves(fields, "")), find=not aggregate)


@lru_cache(500)
def _of_flags(fields: tuple[tuple[str, int], ...], aggregate: bool) -> Project:
    """Most projections are constants of a plugin."""
    return _compiled(dict(_leaves(dict(fields), "")), find=not aggregate)


def compile_new_fields(given: Any) -> Project:
    """Of ``$addFields``: every field is a path and an expression."""
    if not isinstance(given, Mapping) or not given:
        raise invalid("$addFields specification stage must be an object with a field", 40272)
    shape = Shape(including=False)
    for path, value in _leaves(given, ""):
        shape.compute(path, compile_expression(value))
    return lambda document: shape.apply(document, scope_of(document))


def _leaves(fields: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    """The paths; an object without operators holds the paths below."""
    for name, value in fields.items():
        path = f"{above}{name}"
        for part in split(path):
            if not part:
                raise invalid("FieldPath field names may not be empty strings.", 15998)
            if part == "$":
                raise not_supported("the positional projection $")
            if part.startswith("$"):
                raise invalid(f"FieldPath field names may not start with '$': {path}", 16410)
        if isinstance(value, Mapping) and not next(iter(value), "").startswith("$"):
            if not value:
                raise invalid("An empty sub-projection is not a valid value", 51270)
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or is_number(value)


def _wanted(flag: Any) -> bool:
    return flag if isinstance(flag, bool) else not is_zero(flag)


def _compiled(fields: Document, *, find: bool) -> Project:
    identity = fields.pop("_id") if _is_flag(fields.get("_id")) else None
    keep_id = identity is None or _wanted(identity)
    flags = {path: _wanted(value) for path, value in fields.items() if _is_flag(value)}
    slices = {p: _slicing(v["$slice"]) for p, v in fields.items() if find and _is_slice(v)}
    matched = {p: _matching(p, v) for p, v in fields.items() if find and _is(v, "$elemMatch")}
    expressions = {
        path: compile_expression(value)
        for path, value in fields.items()
        if path not in flags and path not in slices and path not in matched
    }
    including = any(flags.values()) or bool(expressions)
    if False in flags.values():
        excluded = next(path for path, flag in flags.items() if not flag)
        if including:
            code = 31254 if any(flags.values()) else 31252
            raise invalid(f"Cannot do exclusion on field {excluded} in inclusion projection", code)
    elif not including:
        including = bool(matched) or (identity is not None and keep_id)
    shape = Shape(including)
    for path in [*flags, *(slices if including else ()), *(matched if including else ())]:
        shape.name(path)
    for path, expression in expressions.items():
        shape.compute(path, expression)
    if keep_id is including and not {"_id"} & (shape.below.keys() | shape.computed.keys()):
        shape.named.add("_id")

    def project(document: Document) -> Document:
        result = shape.apply(document, scope_of(document))
        for path, work in slices.items():
            result = changed(result, split(path), work)
        for path, first in matched.items():
            found = first(document.get(path))
            if found:
                result[path] = found
            else:
                result.pop(path, None)
        return result

    return project


def _is(value: Any, operator: str) -> bool:
    return isinstance(value, Mapping) and list(value) == [operator]


def _is_slice(value: Any) -> bool:
    """Of ``find``: a number or two; with an array first it is an expression."""
    if not _is(value, "$slice"):
        return False
    given = value["$slice"]
    return not isinstance(given, list) or not given or is_number(given[0])


def _slicing(given: Any) -> Callable[[Any], Any]:
    if not isinstance(given, list):
        count = whole(given)
        if count is None:
            raise invalid("Invalid $slice syntax: a number or an array is needed", 28667)
        return partial(_slice, (count, None) if count < 0 else (0, count))
    numbers = [whole(number) for number in given]
    if len(numbers) != 2 or None in numbers or (numbers[1] or 0) <= 0:
        raise invalid("First argument to $slice must be a number, the second a positive one", 28724)
    return partial(_slice, (numbers[0] or 0, numbers[1]))


def _slice(place: tuple[int, int | None], value: Any) -> Any:
    if not isinstance(value, list):
        return value
    start, count = place
    start = max(len(value) + start, 0) if start < 0 else start
    return value[start:] if count is None else value[start : start + count]


def _matching(path: str, value: Any) -> Callable[[Any], list[Any]]:
    """The first element of an array that a condition of ``$elemMatch`` holds for."""
    if "." in path:
        raise invalid("Cannot use $elemMatch projection on a nested field", 31275)
    test = compile_filter({"x": value}).test

    def first(values: Any) -> list[Any]:
        if not isinstance(values, list):
            return []
        return next(([one] for one in values if test({"x": [one]})), [])

    return first
