"""Types of values by name and number: ``$type``, and ``$mod`` of whole numbers."""

from collections.abc import Callable
from typing import Any

from bson.code import Code
from bson.int64 import Int64

from locutory_sqlite.arithmetic import truncated, whole
from locutory_sqlite.errors import FAILED_TO_PARSE, invalid
from locutory_sqlite.ordering import MISSING, kind_of

_TYPES = {
    "double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "objectId": 7, "bool": 8,
    "date": 9, "null": 10, "regex": 11, "javascript": 13, "javascriptWithScope": 15, "int": 16,
    "timestamp": 17, "long": 18, "decimal": 19, "minKey": -1, "maxKey": 127,
}  # fmt: skip
# Those that the driver no longer makes; nothing is of them here.
_DEPRECATED = {"undefined": 6, "dbPointer": 12, "symbol": 14}
NUMBERS = frozenset({1, 16, 18, 19})


def types_of(operand: Any) -> set[int]:
    """The numbers of the types that a ``$type`` names."""
    wanted: set[int] = set()
    names = operand if isinstance(operand, list) else [operand]
    if not names:
        raise invalid("$type must match at least one type", FAILED_TO_PARSE)
    known = {**_TYPES, **_DEPRECATED}
    for name in names:
        number = whole(name)
        if name == "number":
            wanted |= NUMBERS
        elif isinstance(name, str) and name in known:
            wanted.add(known[name])
        elif number in known.values():
            wanted.add(number or 0)
        else:
            raise invalid(f"Unknown type name alias: {name}")
    return wanted


def type_test(operand: Any) -> Callable[[Any], bool]:
    """A function that returns ``True`` for a value of one of the types."""
    wanted = types_of(operand)
    return lambda value: value is not MISSING and type_number(value) in wanted


def type_number(value: Any) -> int:
    """The number that BSON gives to a value's type."""
    if isinstance(value, bool):
        return 8
    if isinstance(value, float):
        return 1
    if isinstance(value, int):
        return 18 if isinstance(value, Int64) or not -(2**31) <= value < 2**31 else 16
    if isinstance(value, Code) and value.scope is not None:
        return 15
    return _NUMBER_OF_KIND[kind_of(value)]


_NUMBER_OF_KIND = {
    0x05: -1, 0x0A: 10, 0x14: 19, 0x1E: 2, 0x28: 3, 0x32: 4, 0x3C: 5, 0x46: 7, 0x50: 8, 0x5A: 9,
    0x5F: 17, 0x64: 11, 0x78: 13, 0xF0: 127,
}  # fmt: skip


def type_name(value: Any) -> str:
    """The name of a value's type, as ``$type`` and messages have it."""
    if value is MISSING:
        return "missing"
    number = type_number(value)
    return next(name for name, known in _TYPES.items() if known == number)


def mod_test(operand: Any) -> Callable[[Any], bool]:
    """``$mod``: fractions are cut off, of the divisor and the rest too."""
    if not isinstance(operand, list) or len(operand) != 2:
        raise invalid("malformed mod, needs an array of two numbers")
    divisor, rest = (truncated(number) for number in operand)
    if divisor is None or rest is None:
        raise invalid("malformed mod, divisor and remainder must be whole numbers")
    if not divisor:
        raise invalid("divisor cannot be 0")
    size = abs(divisor)

    def run(value: Any) -> bool:
        number = truncated(value)
        return number is not None and abs(number) % size * (1 if number >= 0 else -1) == rest

    return run
