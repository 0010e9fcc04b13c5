"""Arithmetic on BSON's numbers: 32- and 64-bit integers, doubles and decimals.

A result has the widest type of its operands; an integer that does not fit becomes a 64-bit one. The
driver's types represent them: ``int``, ``Int64``, ``float`` and ``Decimal128``.
"""

import math
from collections.abc import Callable, Iterable
from decimal import Context, Decimal, DecimalException
from typing import Any, TypeGuard

from bson import Decimal128
from bson.decimal128 import create_decimal128_context
from bson.int64 import Int64

Number = int | float | Decimal128

_CONTEXT: Context = create_decimal128_context()


class Overflow(Exception):
    """The result fits in no 64-bit integer."""


def is_number(value: Any) -> TypeGuard[Number]:
    """``True`` for a value of a numeric type. Booleans are not."""
    return isinstance(value, int | float | Decimal128) and not isinstance(value, bool)


def is_nan(value: Any) -> bool:
    """``True`` for NaN."""
    if isinstance(value, Decimal128):
        return value.to_decimal().is_nan()
    return isinstance(value, float) and value != value


def is_zero(value: Number) -> bool:
    """``True`` for 0 of any type."""
    return not (value.to_decimal() if isinstance(value, Decimal128) else value)


def whole(value: Any) -> int | None:
    """The number as an ``int``; ``None`` for a fraction and for anything but a number."""
    if not is_number(value):
        return None
    if isinstance(value, int):
        return int(value)
    number = value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)
    if not number.is_finite() or abs(number) >= 2**63 or number != int(number):
        return None
    return int(number)


def truncated(value: Any) -> int | None:
    """The number without its fraction; ``None`` for NaN, infinities and numbers out of range."""
    if not is_number(value):
        return None
    if isinstance(value, int):
        return int(value)
    number = value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)
    return int(number) if number.is_finite() and abs(number) < 2**63 else None


def decimal_of(value: Number) -> Decimal:
    """The decimal value of a number, converted as a server does: doubles with 15 significant
    digits."""
    if isinstance(value, Decimal128):
        return value.to_decimal()
    return Decimal(f"{value:.15g}") if isinstance(value, float) else Decimal(value)


def integer(value: int, *, wide: bool) -> int:
    """A whole result: 64 bits wide if an operand was, or if it needs them; `Overflow`."""
    if not -(2**63) <= value < 2**63:
        raise Overflow
    return Int64(value) if wide or not -(2**31) <= value < 2**31 else int(value)


def is_wide(value: Any) -> bool:
    """``True`` for an integer of 64 bits."""
    return isinstance(value, Int64) or not -(2**31) <= value < 2**31


def combine(
    left: Number,
    right: Number,
    exact: Callable[[Any, Any], Any],
    of_decimals: Callable[[Decimal, Decimal, Context], Decimal],
) -> Number:
    """An operation on two numbers, in the wider one of their types; `Overflow`."""
    if isinstance(left, Decimal128) or isinstance(right, Decimal128):
        try:
            return Decimal128(of_decimals(decimal_of(left), decimal_of(right), _CONTEXT))
        except DecimalException:
            return Decimal128("NaN")
    if isinstance(left, float) or isinstance(right, float):
        result: float = exact(float(left), float(right))
        return result
    return integer(exact(int(left), int(right)), wide=is_wide(left) or is_wide(right))


def plus(left: Number, right: Number) -> Number:
    """The sum; `Overflow`."""
    return combine(left, right, lambda a, b: a + b, lambda a, b, context: context.add(a, b))


def minus(left: Number, right: Number) -> Number:
    """The difference; `Overflow`."""
    return combine(left, right, lambda a, b: a - b, lambda a, b, context: context.subtract(a, b))


def times(left: Number, right: Number) -> Number:
    """The product; `Overflow`."""
    return combine(left, right, lambda a, b: a * b, lambda a, b, context: context.multiply(a, b))


def quotient(left: Number, right: Number) -> Number:
    """``left / right``, a double or decimal; the divisor is not 0."""
    if isinstance(left, Decimal128) or isinstance(right, Decimal128):
        return combine(left, right, min, lambda a, b, context: context.divide(a, b))
    return float(left) / float(right)


def remainder(left: Number, right: Number) -> Number:
    """With the sign of ``left``; the divisor is not 0."""

    def exact(a: Any, b: Any) -> Any:
        if isinstance(a, int):
            return abs(a) % abs(b) * (1 if a >= 0 else -1)
        return math.fmod(a, b) if math.isfinite(a) and b == b else math.nan

    return combine(left, right, exact, lambda a, b, context: context.remainder(a, b))


def rounded(value: Number, way: Callable[[Any], int]) -> Number:
    """``math.floor`` or ``math.ceil``, in the type of the number."""
    if isinstance(value, float):
        return math.copysign(way(value), value) if math.isfinite(value) else value
    if isinstance(value, Decimal128):
        number = value.to_decimal()
        return Decimal128(Decimal(way(number))) if number.is_finite() else value
    return value


def absolute(value: Number) -> Number:
    """Without its sign; `Overflow` for the least integer."""
    if isinstance(value, Decimal128):
        return Decimal128(value.to_decimal().copy_abs())
    return abs(value) if isinstance(value, float) else integer(abs(value), wide=is_wide(value))


def total(values: Iterable[Number]) -> Number:
    """The sum, that of doubles rounded once; what leaves the integers becomes a double."""
    whole_part, floats, decimals = 0, [], []
    wide = False
    for value in values:
        if isinstance(value, Decimal128):
            decimals.append(value)
        elif isinstance(value, float):
            floats.append(value)
        else:
            whole_part += value
            wide = wide or is_wide(value)
    if floats:
        result: Number = _float_total([*floats, *_doubles(whole_part)])
    else:
        try:
            result = integer(whole_part, wide=wide)
        except Overflow:
            result = float(whole_part)
    for value in decimals:
        result = plus(result, value)
    return result


def _doubles(value: int) -> tuple[float, float]:
    nearest = float(value)
    return nearest, float(value - int(nearest))


def _float_total(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # infinities of both signs, or a sum beyond them
        return sum(values)


def average(values: list[Number]) -> Number:
    """The average of one or more numbers: a double, or a decimal if one of them is."""
    return quotient(
        total([*values, 0.0]) if not _has_decimal(values) else total(values), len(values)
    )


def _has_decimal(values: list[Number]) -> bool:
    return any(isinstance(value, Decimal128) for value in values)
