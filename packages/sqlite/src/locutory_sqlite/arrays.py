"""The operators of updates that change an array."""

from collections.abc import Callable, Mapping
from typing import Any

from locutory_sqlite.arithmetic import whole
from locutory_sqlite.errors import FAILED_TO_PARSE, TYPE_MISMATCH, invalid, write_error
from locutory_sqlite.filters import compile_filter, is_operators, value_test
from locutory_sqlite.kinds import type_name
from locutory_sqlite.ordering import COMPLEMENT, MISSING, encode
from locutory_sqlite.paths import position_of, split
from locutory_sqlite.patterns import is_pattern
from locutory_sqlite.places import Change, changing, deepcopy_document

ValueTest = Callable[[Any], bool]


def _array(before: Any, operator: str, name: str, code: int = 2) -> list[Any]:
    if before is MISSING:
        return []
    if not isinstance(before, list):
        text = (
            f"Cannot apply {operator} to a value of non-array type: the field '{name}' must be an"
            f" array but is of type {type_name(before)}"
        )
        raise write_error(text, code)
    return before


def _push(parts: tuple[str, ...], operand: Any) -> Change:
    modifiers: Mapping[str, Any] = (
        operand if isinstance(operand, Mapping) and "$each" in operand else {"$each": [operand]}
    )
    for name in modifiers:
        if name not in PUSH_MODIFIERS:
            raise invalid(f"Unrecognized clause in $push: {name}")
    each = modifiers["$each"]
    if not isinstance(each, list):
        raise invalid("The argument to $each in $push must be an array")
    keep, position = (_integer(modifiers, name) for name in ("$slice", "$position"))
    order = _order(modifiers["$sort"]) if "$sort" in modifiers else None

    def run(before: Any) -> Any:
        values = list(_array(before, "$push", parts[-1]))
        place = len(values) if position is None else position
        values[place:place] = deepcopy_document(each)
        if order is not None:
            values.sort(key=order)
        if keep is not None:
            values = values[:keep] if keep >= 0 else values[keep:]
        return values

    return changing(parts, run)


PUSH_MODIFIERS = frozenset({"$each", "$slice", "$sort", "$position"})


def _integer(modifiers: Mapping[str, Any], name: str) -> int | None:
    if name not in modifiers:
        return None
    number = whole(modifiers[name])
    if number is None:
        raise invalid(f"The value for {name} must be an integer value, not {modifiers[name]!r}")
    return number


def _order(given: Any) -> Callable[[Any], bytes]:
    """Of whole elements, or of fields in them; an array there is one value."""
    whole_way = whole(given)
    pairs = list(given.items()) if isinstance(given, Mapping) else [("", whole_way)]
    if not pairs or any(whole(way) not in (1, -1) for _, way in pairs):
        raise invalid(
            "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort"
            " embedded fields"
        )
    if isinstance(given, Mapping) and any("" in split(path) for path, _ in pairs):
        raise invalid("The $sort field is a dotted field but has an empty part")
    fields = [(split(path) if path else (), whole(way) == -1) for path, way in pairs]

    def key(value: Any) -> bytes:
        encoded = ((encode(_at(value, path)), descending) for path, descending in fields)
        return b"".join(
            part.translate(COMPLEMENT) if descending else part for part, descending in encoded
        )

    return key


def _at(value: Any, parts: tuple[str, ...]) -> Any:
    for part in parts:
        if isinstance(value, dict):
            value = value.get(part)
        else:
            place = position_of(part)
            inside = isinstance(value, list) and place is not None and place < len(value)
            value = value[place] if inside else None
    return value


def _add_to_set(parts: tuple[str, ...], operand: Any) -> Change:
    if isinstance(operand, Mapping) and next(iter(operand), "") == "$each":
        each = operand["$each"]
        if not isinstance(each, list):
            raise invalid("The argument to $each in $addToSet must be an array", TYPE_MISMATCH)
        if len(operand) > 1:
            raise invalid(f"Found unexpected fields after $each in $addToSet: {list(operand)[1]}")
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

    return changing(parts, run)


def _pull(parts: tuple[str, ...], operand: Any) -> Change:
    if is_operators(operand) or is_pattern(operand):
        whole_value = compile_filter({"value": operand}).test
        return _removing(parts, "$pull", lambda value: whole_value({"value": value}))
    if isinstance(operand, Mapping):
        matches = compile_filter(operand).test
        return _removing(parts, "$pull", lambda value: isinstance(value, dict) and matches(value))
    return _removing(parts, "$pull", value_test("$eq", operand))


def _pull_all(parts: tuple[str, ...], operand: Any) -> Change:
    if not isinstance(operand, list):
        raise invalid("$pullAll requires an array argument")
    encoded = {encode(value) for value in operand}
    return _removing(parts, "$pullAll", lambda value: encode(value) in encoded)


def _removing(parts: tuple[str, ...], operator: str, gone: ValueTest) -> Change:
    def run(before: Any) -> Any:
        return [value for value in _array(before, operator, parts[-1]) if not gone(value)]

    return changing(parts, run, create=False)


def _pop(parts: tuple[str, ...], operand: Any) -> Change:
    end = whole(operand)
    if end not in (1, -1):
        raise invalid(f"$pop expects 1 or -1, found: {operand!r}", FAILED_TO_PARSE)

    def run(before: Any) -> Any:
        values = _array(before, "$pop", parts[-1], TYPE_MISMATCH)
        return values[:-1] if end == 1 else values[1:]

    return changing(parts, run, create=False)


ARRAY_OPERATORS: dict[str, Callable[[tuple[str, ...], Any], Change]] = {
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
    "$pullAll": _pull_all,
    "$pop": _pop,
}
