"""Projections of ``find`` and of ``$project``."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.expressions import compile_expression, scope_of
from locutory_sqlite.filters import compile_filter
from locutory_sqlite.ordering import MISSING

Document = dict[str, Any]
Project = Callable[[Document], Document]
Tree = dict[str, Any]
"""By name: ``True`` (the whole), or the tree of what lies below."""


def compile_projection(given: Any, *, aggregate: bool = False) -> Project:
    """From what ``find`` takes: names, or a mapping of path to 1, 0, ``$slice``, ``$elemMatch``
    or an expression. ``OperationFailure`` for a mixture of 1 and 0."""
    if isinstance(given, Mapping):
        fields = dict(given)
    elif isinstance(given, Sequence) and not isinstance(given, str):
        fields = dict.fromkeys(given, 1) or {"_id": 1}
    else:
        raise invalid("projection must be a mapping or a list of names")
    if not fields:
        if aggregate:
            raise invalid("projection specification must have at least one field", 51272)
        return lambda document: document
    identity = fields.pop("_id", 1)
    if not _plain(identity):
        fields["_id"] = identity
    return _compiled(fields, keep_id=not _plain(identity) or bool(identity))


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _compiled(fields: Document, *, keep_id: bool) -> Project:
    included = [path for path, value in fields.items() if _plain(value) and value]
    excluded = [path for path, value in fields.items() if _plain(value) and not value]
    computed = {path: value for path, value in fields.items() if not _plain(value)}
    sliced = {path: v["$slice"] for path, v in computed.items() if _is(v, "$slice")}
    slices = {p: v for p, v in sliced.items() if not isinstance(v, list) or _numbers(v)}
    matched = {
        p: compile_filter({"x": v}).test for p, v in computed.items() if _is(v, "$elemMatch")
    }
    if included and excluded:
        raise invalid(f"Cannot do exclusion on field {excluded[0]} in inclusion projection", 31254)
    expressions = {
        path: compile_expression(value)
        for path, value in computed.items()
        if path not in slices and path not in matched
    }
    exclusive = bool(excluded) or (
        not included and not expressions and not matched and (not keep_id or bool(slices))
    )
    if excluded and expressions:
        raise invalid("Invalid $project: an exclusion cannot hold expressions", 31252)
    tree = _tree(excluded if exclusive else [*included, *slices])

    def project(document: Document) -> Document:
        if exclusive:
            result = _without(document, tree)
            if not keep_id:
                result.pop("_id", None)
        else:
            result = _with(document, tree)
            if keep_id and "_id" in document and "_id" not in expressions:
                result = {"_id": document["_id"], **result}
        for path, place in slices.items():
            _change(result, path.split("."), partial(_slice, place))
        for path, test in matched.items():
            found = [v for v in document.get(path) or () if test({"x": [v]})]
            if found:
                result[path] = found[:1]
        if expressions:
            scope = scope_of(document)
            for path, expression in expressions.items():
                value = expression(scope)
                if value is not MISSING:
                    _place(result, path.split("."), value)
        return result

    return project


def _is(value: Any, operator: str) -> bool:
    return isinstance(value, Mapping) and list(value) == [operator]


def _numbers(value: list[Any]) -> bool:
    return all(isinstance(number, int) for number in value)


def _tree(paths: list[str]) -> Tree:
    tree: Tree = {}
    for path in paths:
        *names, last = path.split(".")
        if last == "$":
            raise not_supported("the positional projection $")
        place = tree
        for name in names:
            inner = place.setdefault(name, {})
            if inner is True:
                raise invalid(f"Path collision at {path}", 31249)
            place = inner
        if isinstance(place.get(last), dict):
            raise invalid(f"Path collision at {path}", 31250)
        place[last] = True
    return tree


def _with(document: Document, tree: Tree) -> Document:
    result = {}
    for name, value in document.items():
        below = tree.get(name)
        if below is True:
            result[name] = value
        elif below is not None:
            kept = _below(value, below, _with)
            if kept is not MISSING:
                result[name] = kept
    return result


def _without(document: Document, tree: Tree) -> Document:
    result = {}
    for name, value in document.items():
        below = tree.get(name)
        if below is None:
            result[name] = value
        elif below is not True:
            kept = _below(value, below, _without)
            result[name] = value if kept is MISSING else kept
    return result


def _below(value: Any, tree: Tree, work: Callable[[Document, Tree], Document]) -> Any:
    """In objects, and in those of arrays; other values are left out of an inclusion."""
    if isinstance(value, dict):
        return work(value, tree)
    if isinstance(value, list):
        inner = (_below(one, tree, work) for one in value)
        if work is _with:
            return [one for one in inner if one is not MISSING]
        return [old if one is MISSING else one for one, old in zip(inner, value, strict=True)]
    return MISSING


def _change(document: Any, names: list[str], work: Callable[[Any], Any]) -> None:
    name, *rest = names
    if isinstance(document, dict) and name in document:
        if rest:
            document[name] = (
                dict(document[name]) if isinstance(document[name], dict) else document[name]
            )
            _change(document[name], rest, work)
        else:
            document[name] = work(document[name])


def _slice(place: Any, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if isinstance(place, list):
        start, count = place
        start = max(len(value) + start, 0) if start < 0 else start
        return value[start : start + count]
    return value[:place] if place >= 0 else value[place:]


def _place(document: Document, names: list[str], value: Any) -> None:
    for name in names[:-1]:
        inner = document.get(name)
        document[name] = document = dict(inner) if isinstance(inner, dict) else {}
    document[names[-1]] = value
