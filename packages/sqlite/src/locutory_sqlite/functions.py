"""The operators of aggregation expressions that are functions of their arguments' values."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Decimal128, ObjectId
from bson.int64 import Int64

from locutory_sqlite.arithmetic import (
    Number,
    Overflow,
    absolute,
    decimal_of,
    integer,
    is_number,
    is_wide,
    is_zero,
    minus,
    quotient,
    remainder,
    rounded,
    times,
    total,
    whole,
)
from locutory_sqlite.errors import TYPE_MISMATCH, invalid
from locutory_sqlite.kinds import type_name
from locutory_sqlite.ordering import KIND_NULL, MISSING, encode, kind_of

_CONVERSION_FAILURE = 241


def truth(value: Any) -> bool:
    """False, 0, null and a missing field are false; everything else is true."""
    if value is None or value is MISSING:
        return False
    if isinstance(value, bool):
        return value
    return not is_zero(value) if is_number(value) else True


def is_null(value: Any) -> bool:
    """``True`` for null, and when the value is missing."""
    return value is None or value is MISSING


def array(name: str, value: Any, code: int = 16883) -> list[Any]:
    """The value of an argument that must be an array."""
    if not isinstance(value, list):
        raise invalid(f"The argument to {name} must be an array, but was {type_name(value)}", code)
    return value


def _number(name: str, value: Any) -> Number:
    if not is_number(value):
        text = f"{name} only supports numeric types, not {type_name(value)}"
        raise invalid(text, TYPE_MISMATCH)
    return value


def _numeric(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Of numbers; null if one of them is."""

    def run(*values: Any) -> Any:
        if any(map(is_null, values)):
            return None
        numbers = [_number(name, value) for value in values]
        try:
            return work(*numbers)
        except Overflow:
            raise invalid(f"{name} leaves the 64-bit integers", 28680) from None

    return run


def _number_or_date(value: Any) -> Any:
    return value if isinstance(value, datetime) else _number("$add", value)


def _add(values: list[Any]) -> Any:
    dates = [value for value in values if isinstance(value, datetime)]
    if len(dates) > 1:
        raise invalid("only one date allowed in an $add expression", 16612)
    rest = total(value for value in values if not isinstance(value, datetime))
    return _moved(dates[0], rest, 1) if dates else rest


def _moved(moment: datetime, by: Number, sign: int) -> datetime:
    try:
        return moment + sign * timedelta(milliseconds=round(decimal_of(by)))
    except (OverflowError, ValueError, ArithmeticError):
        raise invalid("date overflow") from None


def _subtract(left: Any, right: Any) -> Any:
    if is_null(left) or is_null(right):
        return None
    if isinstance(left, datetime):
        if isinstance(right, datetime):
            return Int64((left - right) // timedelta(milliseconds=1))
        return _moved(left, _number("$subtract", right), -1)
    left, right = _number("$subtract", left), _number("$subtract", right)
    try:
        return minus(left, right)
    except Overflow:
        return float(left) - float(right)


def _multiply(values: list[Number]) -> Number:
    if all(isinstance(value, int) for value in values):
        exact = math.prod(int(value) for value in values if isinstance(value, int))
        try:
            return integer(exact, wide=any(map(is_wide, values)))
        except Overflow:
            return float(exact)
    product: Number = 1.0 if any(isinstance(value, float) for value in values) else 1
    for value in values:
        product = times(product, value)
    return product


def _divide(left: Number, right: Number) -> Number:
    if is_zero(right):
        raise invalid("can't $divide by zero", 16608)
    return quotient(left, right)


def _mod(left: Number, right: Number) -> Number:
    if is_zero(right):
        raise invalid("can't $mod by zero", 16610)
    return remainder(left, right)


def _integer(name: str, value: Any) -> int:
    number = whole(value)
    if number is None:
        raise invalid(f"{name} needs a whole number, not {value!r}", 28690)
    return number


def element(name: str, values: Any, index: Any) -> Any:
    """An element by its position, negative from the end; `MISSING` outside."""
    if is_null(values) or is_null(index):
        return None
    values, place = array(name, values, 28689), _integer(name, index)
    return values[place] if -len(values) <= place < len(values) else MISSING


def _slice(values: Any, *place: Any) -> Any:
    if is_null(values) or any(map(is_null, place)):
        return None
    values = array("$slice", values, 28724)
    first, *counts = (_integer("$slice", number) for number in place)
    if not counts:
        return values[:first] if first >= 0 else values[first:]
    if counts[0] <= 0:
        raise invalid("Third argument to $slice must be positive", 28729)
    start = first if first >= 0 else max(len(values) + first, 0)
    return values[start : start + counts[0]]


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(f"$concat only supports strings, not {type_name(value)}", 16702)
    return value


def _coerced(name: str, value: Any) -> str:
    if is_null(value):
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime) or is_number(value):
        return str(_to_string(value))
    raise invalid(f"can't convert from BSON type {type_name(value)} to String in {name}", 16007)


def _to_string(value: Any) -> Any:
    if is_null(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    if isinstance(value, float):
        return f"{value:.16g}" if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, str | int | ObjectId | Decimal128):
        return str(value)
    text = f"Unsupported conversion from {type_name(value)} to string in $toString"
    raise invalid(text, _CONVERSION_FAILURE)


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _merge(*values: Any) -> Any:
    merged: dict[str, Any] = {}
    for value in values:
        if is_null(value):
            continue
        if not isinstance(value, Mapping):
            text = f"$mergeObjects requires object inputs, but input is of type {type_name(value)}"
            raise invalid(text, 40400)
        merged.update(value)
    return merged


def _key(value: Any) -> bytes:
    # A missing field comes before null in comparisons of expressions.
    return b"\x06" if value is MISSING else encode(value)


def _in_array(value: Any, values: Any) -> bool:
    encoded = _key(value)
    return any(_key(item) == encoded for item in array("$in", values, 40081))


def _extreme(values: tuple[Any, ...], choose: Callable[..., Any]) -> Any:
    if len(values) == 1 and isinstance(values[0], list):
        values = tuple(values[0])
    known = [value for value in values if value is not MISSING and kind_of(value) != KIND_NULL]
    return choose(known, key=encode) if known else None


_MOST = 1000
FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "$subtract": (2, 2, _subtract),
    "$divide": (2, 2, _numeric("$divide", _divide)),
    "$mod": (2, 2, _numeric("$mod", _mod)),
    "$abs": (1, 1, _numeric("$abs", absolute)),
    "$floor": (1, 1, _numeric("$floor", lambda value: rounded(value, math.floor))),
    "$ceil": (1, 1, _numeric("$ceil", lambda value: rounded(value, math.ceil))),
    "$eq": (2, 2, lambda left, right: _key(left) == _key(right)),
    "$ne": (2, 2, lambda left, right: _key(left) != _key(right)),
    "$gt": (2, 2, lambda left, right: _key(left) > _key(right)),
    "$gte": (2, 2, lambda left, right: _key(left) >= _key(right)),
    "$lt": (2, 2, lambda left, right: _key(left) < _key(right)),
    "$lte": (2, 2, lambda left, right: _key(left) <= _key(right)),
    "$not": (1, 1, lambda value: not truth(value)),
    "$size": (1, 1, lambda value: len(array("$size", value, 17124))),
    "$arrayElemAt": (2, 2, lambda values, index: element("$arrayElemAt", values, index)),
    "$first": (1, 1, lambda values: element("$first", values, 0)),
    "$last": (1, 1, lambda values: element("$last", values, -1)),
    "$slice": (2, 3, _slice),
    "$toLower": (1, 1, lambda value: _coerced("$toLower", value).lower()),
    "$toUpper": (1, 1, lambda value: _coerced("$toUpper", value).upper()),
    "$toString": (1, 1, _to_string),
    "$isArray": (1, 1, lambda value: isinstance(value, list)),
    "$isNumber": (1, 1, is_number),
    "$mergeObjects": (0, _MOST, _merge),
    "$in": (2, 2, _in_array),
    "$max": (1, _MOST, lambda *values: _extreme(values, max)),
    "$min": (1, _MOST, lambda *values: _extreme(values, min)),
}
"""By name: the minimum and the maximum number of arguments, and the function of their values."""

SEQUENCES: dict[str, tuple[Callable[[Any], Any], Callable[[list[Any]], Any]]] = {
    "$add": (_number_or_date, _add),
    "$multiply": (lambda value: _number("$multiply", value), _multiply),
    "$concat": (_string, "".join),
    "$concatArrays": (
        lambda value: array("$concatArrays", value, 28664),
        lambda values: [item for value in values for item in value],
    ),
}
"""Those of any number of arguments, which are looked at one after the other until one is null: the
check of an argument, and the function of them all."""
