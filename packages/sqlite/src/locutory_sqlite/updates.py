"""Update documents: compiled once, applied to each document that matches."""

from collections.abc import Iterator, Mapping
from typing import Any

from locutory_sqlite.errors import (
    CONFLICTING_UPDATE,
    DOLLAR_PREFIXED,
    FAILED_TO_PARSE,
    IMMUTABLE_FIELD,
    invalid,
    not_supported,
    write_error,
)
from locutory_sqlite.filters import Filter, is_operators
from locutory_sqlite.operators import OPERATORS
from locutory_sqlite.ordering import MISSING, encode
from locutory_sqlite.paths import split
from locutory_sqlite.patterns import is_pattern
from locutory_sqlite.places import Change, Document, deepcopy_document, holder, write

NOT_SINGLE = 54


class Update:
    """A compiled update; ``WriteError`` when it does not fit the document it is called with."""

    def __init__(self, changes: list[Change]) -> None:
        self._changes = changes

    def __call__(self, document: Document, *, inserting: bool = False) -> Document:
        """The document itself, changed; after an error it is half changed and of no use."""
        identity = document.get("_id", MISSING)
        encoded = encode(identity)
        for change in self._changes:
            change(document, inserting)
        after = document.get("_id", MISSING)
        new = inserting and identity is MISSING
        if not new and (encode(after) != encoded or (after is MISSING) != (identity is MISSING)):
            text = "Performing an update on the path '_id' would modify the immutable field '_id'"
            raise write_error(text, IMMUTABLE_FIELD)
        return document


class Replacement(Update):
    """A whole new document, which keeps the ``_id`` of the old one."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__([])
        self._document = document

    def __call__(self, document: Document, *, inserting: bool = False) -> Document:
        identity = document.get("_id", MISSING)
        given = self._document.get("_id", identity)
        if identity is not MISSING and encode(given) != encode(identity):
            text = (
                "After applying the update, the (immutable) field '_id' was found to have been"
                f" altered to _id: {given!r}"
            )
            raise write_error(text, IMMUTABLE_FIELD)
        first = {} if given is MISSING else {"_id": given}
        return {**first, **{k: v for k, v in self._document.items() if k != "_id"}}


def compile_update(update: Any) -> Update:
    """Compile an update of operators. ``OperationFailure`` names the part that is malformed or not
    supported."""
    if not isinstance(update, Mapping):
        raise not_supported("updates by a pipeline")
    changes: list[tuple[str, Change]] = []
    sources: list[str] = []
    for operator, fields in update.items():
        make = OPERATORS.get(operator)
        if make is None:
            if operator.startswith("$"):
                raise not_supported(f"the update operator {operator}")
            raise invalid(f"Unknown modifier: {operator}", FAILED_TO_PARSE)
        if not isinstance(fields, Mapping):
            raise invalid(f"Modifiers operate on fields but we found {fields!r}", FAILED_TO_PARSE)
        for path, operand in fields.items():
            parts = _path(path)
            if operator == "$rename":
                if not isinstance(operand, str):
                    raise invalid("The 'to' field for $rename must be a string")
                _path(operand)
                sources.append(path)
                path = operand
            changes.append((path, make(parts, operand)))
    _without_conflicts([*(path for path, _ in changes), *sources])
    # The server applies operators in the order of their paths, numbers as numbers.
    changes.sort(key=lambda change: [_by_name(part) for part in split(change[0])])
    return Update([change for _, change in changes])


def _by_name(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)


def _path(path: str) -> tuple[str, ...]:
    parts = split(path)
    if not path or "" in parts:
        raise invalid(f"The update path '{path}' contains an empty field name", 56)
    for part in parts:
        if part.startswith("$"):
            if part == "$" or part.startswith("$["):
                raise not_supported(f"the positional operator {part}")
            if part not in ("$ref", "$id", "$db"):
                text = f"The dollar ($) prefixed field '{part}' in '{path}' is not allowed"
                raise invalid(text, DOLLAR_PREFIXED)
    return parts


def _without_conflicts(paths: list[str]) -> None:
    before = ""
    for path in sorted(paths, key=split):
        if before and (path == before or path.startswith(f"{before}.")):
            text = f"Updating the path '{path}' would create a conflict at '{before}'"
            raise invalid(text, CONFLICTING_UPDATE)
        before = path


def inserted_by(query: Filter) -> Document:
    """The document that an upsert begins with: the values that the filter compares for equality."""
    document: Document = {}
    known: list[str] = []
    for path, value in _equalities(query):
        for other in known:
            if other == path:
                text = f"cannot infer query fields to set, path '{path}' is matched twice"
                raise write_error(text, NOT_SINGLE)
            if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                text = f"cannot infer query fields to set, both paths '{other}' and '{path}' are matched"
                raise write_error(text, NOT_SINGLE)
        known.append(path)
        parts = split(path)
        write(holder(document, parts, create=True), parts[-1], deepcopy_document(value))
    return document


def _equalities(query: Filter) -> Iterator[tuple[str, Any]]:
    for condition in query.conditions:
        operator, value = condition.operator, condition.value
        if operator in ("$in", "$all") and len(value) == 1:
            special = is_pattern(value[0]) or is_operators(value[0])
            operator, value = ("" if special else "$eq"), value[0]
        if operator == "$eq":
            yield condition.path, value
    for clauses in query.branches:
        if len(clauses) == 1:
            yield from _equalities(clauses[0])
