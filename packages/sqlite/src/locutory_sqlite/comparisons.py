"""Tests of a single value: equality, ``$in`` and the ranges, as the server compares values."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bson import Decimal128, ObjectId, Regex
from bson.code import Code

from locutory_sqlite.arithmetic import is_nan
from locutory_sqlite.errors import invalid
from locutory_sqlite.ordering import KIND_MAX, KIND_MIN, MISSING, NULL, encode, kind_of
from locutory_sqlite.patterns import is_pattern, pattern_of

ValueTest = Callable[[Any], bool]

_PLAIN = (str, ObjectId)


def equals(wanted: Any) -> ValueTest:
    """Equality as in MongoDB: 1 equals 1.0 but not true, objects are equal only with their fields
    in the same order, and null equals a missing field."""
    kind = type(wanted)
    if wanted is None:
        return lambda value: value is None or value is MISSING
    if kind is str:
        return lambda value: value == wanted and not isinstance(value, Code)
    if kind is bool:
        return lambda value: value is wanted
    if kind in (ObjectId, datetime):
        return lambda value: value == wanted
    encoded = encode(wanted)
    if isinstance(wanted, int | float) and wanted == wanted:
        return lambda value: (
            encode(value) == encoded
            if type(value) is Decimal128
            else value == wanted and not isinstance(value, bool)
        )
    return lambda value: value is not MISSING and encode(value) == encoded


def one_of(operand: Any, is_operators: Callable[[Any], bool]) -> ValueTest:
    """``$in``: equal to one of the values, or matched by one of the expressions."""
    if not isinstance(operand, list | tuple):
        raise invalid("$in needs an array")
    plain: set[Any] = set()
    encoded: set[bytes] = set()
    patterns = []
    for value in operand:
        if is_pattern(value):
            patterns.append(pattern_of(value))
        elif is_operators(value):
            raise invalid("cannot nest $ under $in")
        elif type(value) in _PLAIN:
            plain.add(value)
        else:
            encoded.add(encode(value))

    def run(value: Any) -> bool:
        if type(value) in _PLAIN:
            found = value in plain
        else:
            found = bool(encoded) and encode(value) in encoded
        return found or any(pattern(value) for pattern in patterns)

    return run


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}
RANGES = frozenset(_COMPARISONS)


def in_range(operator: str, bound: Any) -> ValueTest:
    """``$gt``, ``$gte``, ``$lt`` and ``$lte``: only values of the bound's type match. NaN is
    neither less nor greater than a number; MinKey and MaxKey are compared with every type."""
    if isinstance(bound, Regex | re.Pattern):
        raise invalid(f"Can't have RegEx as arg to predicate over field with {operator}")
    compare = _COMPARISONS[operator]
    if bound is None:
        return equals(None) if operator in ("$gte", "$lte") else lambda _value: False
    if type(bound) in (str, datetime):
        kind = type(bound)
        return lambda value: type(value) is kind and compare(value, bound)
    if is_nan(bound):
        return equals(bound) if operator in ("$gte", "$lte") else lambda _value: False
    encoded, wanted = encode(bound), kind_of(bound)
    across = wanted in (KIND_MIN, KIND_MAX)

    def run(value: Any) -> bool:
        if value is MISSING:
            return across and compare(NULL, encoded)
        return (
            (across or kind_of(value) == wanted)
            and compare(encode(value), encoded)
            and (across or not is_nan(value))
        )

    return run
