"""Types of values by name and number: ``$type``, and ``$mod`` of whole numbers."""

from collections.abc import Callable
from typing import Any

from bson.int64 import Int64

from locutory_sqlite.errors import invalid
from locutory_sqlite.ordering import MISSING, kind_of

_NUMBERS = (int, float)
_TYPES = {
    "double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "objectId": 7, "bool": 8,
    "date": 9, "null": 10, "regex": 11, "javascript": 13, "int": 16, "timestamp": 17, "long": 18,
    "decimal": 19, "minKey": -1, "maxKey": 127,
}  # fmt: skip


def type_test(operand: Any) -> Callable[[Any], bool]:
    wanted: set[int] = set()
    for name in operand if isinstance(operand, list) else [operand]:
        if name == "number":
            wanted |= {1, 16, 18, 19}
        elif isinstance(name, str) and name in _TYPES:
            wanted.add(_TYPES[name])
        elif isinstance(name, _NUMBERS) and name in _TYPES.values():
            wanted.add(int(name))
        else:
            raise invalid(f"Unknown type name alias: {name}")
    return lambda value: value is not MISSING and type_number(value) in wanted


def type_number(value: Any) -> int:
    """The number that BSON gives to a value's type."""
    if isinstance(value, bool):
        return 8
    if isinstance(value, float):
        return 1
    if isinstance(value, int):
        return 18 if isinstance(value, Int64) or not -(2**31) <= value < 2**31 else 16
    return _NUMBER_OF_KIND[kind_of(value)]


_NUMBER_OF_KIND = {
    0x05: -1, 0x0A: 10, 0x14: 19, 0x1E: 2, 0x28: 3, 0x32: 4, 0x3C: 5, 0x46: 7, 0x50: 8, 0x5A: 9,
    0x5F: 17, 0x64: 11, 0x78: 13, 0xF0: 127,
}  # fmt: skip


def mod_test(operand: Any) -> Callable[[Any], bool]:
    if not isinstance(operand, list) or len(operand) != 2:
        raise invalid("malformed mod, needs an array of two numbers")
    divisor, rest = (int(number) for number in operand)
    if not divisor:
        raise invalid("divisor cannot be 0")

    def run(value: Any) -> bool:
        if not isinstance(value, _NUMBERS) or isinstance(value, bool) or value != value:
            return False
        whole = int(value)
        return abs(whole) % abs(divisor) * (1 if whole >= 0 else -1) == rest

    return run
