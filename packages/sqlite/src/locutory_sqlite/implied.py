"""Detecting that a filter implies the condition of a partial index. Only then may the index be used
for it."""

from typing import Any

from locutory_sqlite.comparisons import RANGES
from locutory_sqlite.filters import Condition, Filter, value_test
from locutory_sqlite.kinds import NUMBERS, types_of
from locutory_sqlite.ordering import KIND_MAX, KIND_MIN, KIND_NUMBER, encode, kind_of
from locutory_sqlite.patterns import is_pattern


def implies(query: Filter, needed: Filter) -> bool:
    """``True`` when every match of the filter satisfies ``needed``; ``False`` also when that is not
    certain."""
    if needed.branches or not needed.plain:
        return False
    return bool(needed.conditions) and all(
        any(_stronger(own, condition) for own in query.conditions if own.path == condition.path)
        for condition in needed.conditions
    )


def _stronger(own: Condition, needed: Condition) -> bool:
    if own.operator == needed.operator and _same(own.value, needed.value):
        return True
    if own.operator == "$in":
        return not any(map(is_pattern, own.value)) and all(
            _stronger(Condition(own.path, "$eq", value), needed) for value in own.value
        )
    if needed.operator == "$exists":
        return bool(needed.value) and _is_there(own)
    if own.operator == "$eq" and needed.operator == "$type":
        return _has_type(own.value, needed.value)
    if own.operator == "$eq" and needed.operator in ("$eq", "$in", *RANGES):
        return value_test(needed.operator, needed.value)(own.value)
    if own.operator in RANGES and needed.operator in RANGES:
        # A range in the same direction, within the other one.
        same_way = own.operator[:3] == needed.operator[:3]
        strict_enough = len(own.operator) == 3 or len(needed.operator) == 4
        test = value_test(needed.operator, needed.value)
        at_edge = value_test(f"{needed.operator[:3]}e", needed.value)
        return (
            same_way
            and _is_there(own)
            and (test(own.value) if strict_enough is False else at_edge(own.value))
        )
    return False


def _same(left: Any, right: Any) -> bool:
    if is_pattern(left) or is_pattern(right):
        return bool(left == right)
    return encode(left) == encode(right)


def _is_there(own: Condition) -> bool:
    """``True`` when the condition holds only where the field exists."""
    if own.operator == "$eq":
        return own.value is not None
    if own.operator in RANGES:  # MinKey and MaxKey are compared with what is missing too
        return own.value is not None and kind_of(own.value) not in (KIND_MIN, KIND_MAX)
    return own.operator in ("$type", "$regex", "$size", "$elemMatch", "$mod") or (
        own.operator == "$exists" and bool(own.value)
    )


def _has_type(value: Any, operand: Any) -> bool:
    """``True`` when every value that equals this one has one of the types. Equal numbers may have
    any numeric type."""
    if value is None:  # equals what is missing, which has no type
        return False
    if kind_of(value) == KIND_NUMBER:
        return types_of(operand) >= NUMBERS
    return value_test("$type", operand)(value)
