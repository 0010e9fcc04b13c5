"""Update documents: compiled once, applied to each document that matches."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from bson.int64 import Int64

from locutory_sqlite.errors import (
    CONFLICTING_UPDATE,
    DOLLAR_PREFIXED,
    FAILED_TO_PARSE,
    IMMUTABLE_FIELD,
    TYPE_MISMATCH,
    invalid,
    not_supported,
    write_error,
)
from locutory_sqlite.filters import Filter, compile_filter, is_operators, value_test
from locutory_sqlite.ordering import MISSING, encode
from locutory_sqlite.paths import split
from locutory_sqlite.places import deepcopy_document, holder, read, write
from locutory_sqlite.sorting import SortKey

Document = dict[str, Any]
Change = Callable[[Document, bool], None]
"""Applies one operator on one path to a document; the flag: is it being inserted?"""


class Update:
    """A compiled update; ``WriteError`` when it does not fit the document it is called with."""

    def __init__(self, changes: list[Change]) -> None:
        self._changes = changes

    def __call__(self, document: Document, *, inserting: bool = False) -> Document:
        """The document itself, changed; after an error it is half changed and of no use."""
        identity = encode(document.get("_id"))
        for change in self._changes:
            change(document, inserting)
        if not inserting and encode(document.get("_id")) != identity:
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
    """An update of operators; ``OperationFailure`` names what is malformed or not supported."""
    if not isinstance(update, Mapping):
        raise not_supported("updates by a pipeline")
    changes: list[tuple[str, Change]] = []
    for operator, fields in update.items():
        make = _OPERATORS.get(operator)
        if make is None:
            if operator.startswith("$"):
                raise not_supported(f"the update operator {operator}")
            raise invalid(f"Unknown modifier: {operator}", FAILED_TO_PARSE)
        if not isinstance(fields, Mapping):
            raise invalid(f"Modifiers operate on fields but we found {fields!r}", FAILED_TO_PARSE)
        for path, operand in fields.items():
            parts = _path(path)
            changes.append((path, make(parts, operand)))
            if operator == "$rename":
                changes.append((operand, _nothing))
    _without_conflicts([path for path, _ in changes])
    # The server applies operators in the order of their paths, numbers as numbers.
    changes.sort(key=lambda change: [_by_name(part) for part in split(change[0])])
    return Update([change for _, change in changes])


def _by_name(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)


def _nothing(_document: Document, _inserting: bool) -> None:
    pass


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


def _changing(parts: tuple[str, ...], work: Callable[[Any], Any], *, create: bool = True) -> Change:
    """Replaces the value of a path by ``work`` of it; ``MISSING`` from it changes nothing."""

    def change(document: Document, _inserting: bool) -> None:
        place = holder(document, parts, create=create)
        if place is None:
            return
        before = read(place, parts[-1])
        if before is MISSING and not create:
            return
        after = work(before)
        if after is not MISSING:
            write(place, parts[-1], after)

    return change


def _set(parts: tuple[str, ...], operand: Any) -> Change:
    return _changing(parts, lambda _before: deepcopy_document(operand))


def _set_on_insert(parts: tuple[str, ...], operand: Any) -> Change:
    change = _set(parts, operand)

    def run(document: Document, inserting: bool) -> None:
        if inserting:
            change(document, inserting)

    return run


def _unset(parts: tuple[str, ...], _operand: Any) -> Change:
    def change(document: Document, _inserting: bool) -> None:
        place = holder(document, parts, create=False)
        if isinstance(place, dict):
            place.pop(parts[-1], None)
        elif isinstance(place, list) and int(parts[-1]) < len(place):
            place[int(parts[-1])] = None

    return change


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _arithmetic(name: str, work: Callable[[Any, Any], Any], start: Any) -> Any:
    def make(parts: tuple[str, ...], operand: Any) -> Change:
        if not _is_number(operand):
            text = f"Cannot {name} with non-numeric argument: {{{'.'.join(parts)}: {operand!r}}}"
            raise invalid(text, TYPE_MISMATCH)

        def run(before: Any) -> Any:
            if before is MISSING:
                return operand if start is None else type(operand)(start)
            if not _is_number(before):
                text = (
                    f"Cannot apply ${name} to a value of non-numeric type: the field"
                    f" '{parts[-1]}' holds {before!r}"
                )
                raise write_error(text, TYPE_MISMATCH)
            result = work(before, operand)
            if isinstance(result, float):
                return result
            if not -(2**63) <= result < 2**63:
                raise write_error(f"Failed to apply ${name} operations to current value", 2)
            wide = isinstance(before, Int64) or isinstance(operand, Int64)
            return Int64(result) if wide else result

        return _changing(parts, run)

    return make


def _extreme(keep_new: Callable[[bytes, bytes], bool]) -> Any:
    def make(parts: tuple[str, ...], operand: Any) -> Change:
        encoded = encode(operand)
        return _changing(
            parts,
            lambda before: (
                operand if before is MISSING or keep_new(encoded, encode(before)) else MISSING
            ),
        )

    return make


def _array(before: Any, operator: str, name: str) -> list[Any]:
    if before is MISSING:
        return []
    if not isinstance(before, list):
        text = f"The field '{name}' must be an array but {operator} found {before!r}"[:300]
        raise write_error(text, 2)
    return before


def _push(parts: tuple[str, ...], operand: Any) -> Change:
    modifiers: Mapping[str, Any] = (
        operand if isinstance(operand, Mapping) and "$each" in operand else {"$each": [operand]}
    )
    unknown = set(modifiers) - {"$each", "$slice", "$sort", "$position"}
    if unknown:
        raise invalid(f"Unrecognized clause in $push: {sorted(unknown)[0]}")
    each = modifiers["$each"]
    if not isinstance(each, list):
        raise invalid("The argument to $each in $push must be an array")

    def run(before: Any) -> Any:
        values = list(_array(before, "$push", parts[-1]))
        place = modifiers.get("$position", len(values))
        values[place:place] = deepcopy_document(each)
        if "$sort" in modifiers:
            _sort(values, modifiers["$sort"])
        keep = modifiers.get("$slice")
        if keep is not None:
            values = values[:keep] if keep >= 0 else values[keep:]
        return values

    return _changing(parts, run)


def _sort(values: list[Any], order: Any) -> None:
    if isinstance(order, Mapping):
        key = SortKey(list(order.items()))
        values.sort(key=lambda value: key(value if isinstance(value, dict) else {}))
    else:
        values.sort(key=encode, reverse=order == -1)


def _add_to_set(parts: tuple[str, ...], operand: Any) -> Change:
    if isinstance(operand, Mapping) and next(iter(operand), "") == "$each":
        each = operand["$each"]
        if not isinstance(each, list) or len(operand) > 1:
            raise invalid("The argument to $each in $addToSet must be an array", TYPE_MISMATCH)
    else:
        each = [operand]

    def run(before: Any) -> Any:
        values = list(_array(before, "$addToSet", parts[-1]))
        known = {encode(value) for value in values}
        for value in each:
            encoded = encode(value)
            if encoded not in known:
                known.add(encoded)
                values.append(deepcopy_document(value))
        return values

    return _changing(parts, run)


def _pull(parts: tuple[str, ...], operand: Any) -> Change:
    if isinstance(operand, Mapping) and not is_operators(operand):
        inner = compile_filter(operand).test
        gone: Callable[[Any], bool] = lambda value: isinstance(value, dict) and inner(value)  # noqa: E731
    elif is_operators(operand):
        whole: Filter = compile_filter({"value": operand})
        gone = lambda value: whole.test({"value": value})  # noqa: E731
    else:
        gone = value_test("$eq", operand)
    return _removing(parts, "$pull", gone)


def _pull_all(parts: tuple[str, ...], operand: Any) -> Change:
    if not isinstance(operand, list):
        raise invalid("$pullAll requires an array argument")
    encoded = {encode(value) for value in operand}
    return _removing(parts, "$pullAll", lambda value: encode(value) in encoded)


def _removing(parts: tuple[str, ...], operator: str, gone: Callable[[Any], bool]) -> Change:
    def run(before: Any) -> Any:
        return [value for value in _array(before, operator, parts[-1]) if not gone(value)]

    return _changing(parts, run, create=False)


def _pop(parts: tuple[str, ...], operand: Any) -> Change:
    if operand not in (1, -1):
        raise invalid("$pop expects 1 or -1", FAILED_TO_PARSE)

    def run(before: Any) -> Any:
        values = _array(before, "$pop", parts[-1])
        return values[:-1] if operand == 1 else values[1:]

    return _changing(parts, run, create=False)


def _rename(parts: tuple[str, ...], operand: Any) -> Change:
    if not isinstance(operand, str):
        raise invalid("The 'to' field for $rename must be a string")
    target = _path(operand)

    def change(document: Document, _inserting: bool) -> None:
        place = holder(document, parts, create=False)
        if not isinstance(place, dict) or parts[-1] not in place:
            return
        value = place.pop(parts[-1])
        write(holder(document, target, create=True), target[-1], value)

    return change


def _current_date(parts: tuple[str, ...], operand: Any) -> Change:
    if operand is not True and operand != {"$type": "date"}:
        raise not_supported("$currentDate with another type than date")
    return _changing(parts, lambda _before: datetime.now(UTC))


_OPERATORS: dict[str, Callable[[tuple[str, ...], Any], Change]] = {
    "$set": _set,
    "$unset": _unset,
    "$setOnInsert": _set_on_insert,
    "$inc": _arithmetic("inc", lambda before, by: before + by, None),
    "$mul": _arithmetic("mul", lambda before, by: before * by, 0),
    "$min": _extreme(lambda new, old: new < old),
    "$max": _extreme(lambda new, old: new > old),
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
    "$pullAll": _pull_all,
    "$pop": _pop,
    "$rename": _rename,
    "$currentDate": _current_date,
}


def inserted_by(query: Filter) -> Document:
    """The document that an upsert begins with: what the filter says of equality."""
    document: Document = {}
    for path, value in _equalities(query):
        parts = split(path)
        write(holder(document, parts, create=True), parts[-1], deepcopy(value))
    return document


def _equalities(query: Filter) -> Iterator[tuple[str, Any]]:
    for condition in query.conditions:
        operator, value = condition.operator, condition.value
        if operator in ("$in", "$all") and isinstance(value, list) and len(value) == 1:
            operator, value = "$eq", value[0]
        if operator == "$eq":
            yield condition.path, value
    for clauses in query.branches:
        if len(clauses) == 1:
            yield from _equalities(clauses[0])
