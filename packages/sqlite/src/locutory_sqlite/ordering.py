"""MongoDB's order of values, as bytes.

`encode` maps a BSON value to bytes whose order (as compared by ``memcmp``, and so by SQLite for
BLOBs) is MongoDB's order of values, across types too: MinKey, null, numbers, strings, objects,
arrays, binary data, object ids, booleans, dates, timestamps, regular expressions, code, MaxKey.
Equal numbers of different types have equal bytes. No encoding is a prefix of another one, so that
the keys of compound indexes are concatenations, and a descending component is its complement.

Source: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
"""

import math
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from bson import DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS

from locutory_sqlite.errors import not_supported

__all__ = ["COMPLEMENT", "MISSING", "NULL", "Missing", "encode", "kind_of"]


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""The value of a path in a document without that field; indexed and sorted like null."""

COMPLEMENT: Final = bytes(255 - byte for byte in range(256))
"""For ``bytes.translate``: turns an ascending component of a key into a descending one."""

NULL: Final = b"\x0a"
EMPTY_ARRAY: Final = b"\x08"
"""The key of an array without elements, which comes before null."""

_END = b"\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = 2**53
_pack_double = struct.Struct(">d").pack
_pack_bits = struct.Struct(">Q").pack
_unpack_bits = struct.Struct(">Q").unpack
_pack_length = struct.Struct(">I").pack

KIND_MIN, KIND_NULL, KIND_NUMBER, KIND_STRING = 0x05, 0x0A, 0x14, 0x1E
KIND_OBJECT, KIND_ARRAY, KIND_BINARY, KIND_OBJECT_ID = 0x28, 0x32, 0x3C, 0x46
KIND_BOOLEAN, KIND_DATE, KIND_TIMESTAMP, KIND_REGEX = 0x50, 0x5A, 0x5F, 0x64
KIND_CODE, KIND_MAX = 0x78, 0xF0


def _double(value: float) -> bytes:
    if value != value:  # NaN comes before every other number
        return b"\x00" * 8
    bits = _unpack_bits(_pack_double(value + 0.0 if value else 0.0))[0]
    return _pack_bits(bits ^ 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63)


def _number(value: float) -> bytes:
    """The nearest double and, where it is not the number itself, how far that lies off."""
    if isinstance(value, float) or -_EXACT <= value <= _EXACT:
        return b"\x14" + _double(value) + b"\x80"
    nearest = float(value)
    return b"\x14" + _double(nearest) + _rest(value - int(nearest))


def _rest(rest: float) -> bytes:
    if not rest:
        return b"\x80"
    return (b"\x7f" if rest < 0 else b"\x81") + _double(float(rest))


def _decimal(value: Decimal128) -> bytes:
    number = value.to_decimal()
    if number.is_nan():
        return b"\x14" + _double(math.nan) + b"\x80"
    try:
        nearest = float(number)
    except OverflowError:
        nearest = math.copysign(math.inf, number)
    if math.isinf(nearest):
        return b"\x14" + _double(nearest) + b"\x80"
    return b"\x14" + _double(nearest) + _rest(float(number - Decimal(nearest)))


def _string(value: str) -> bytes:
    return b"\x1e" + _terminated(value.encode("utf-8", "surrogatepass"))


def _terminated(text: bytes) -> bytes:
    if b"\x00" in text:
        text = text.replace(b"\x00", b"\x00\xff")
    return text + b"\x00\x00"


def _object(value: Mapping[str, Any]) -> bytes:
    parts = [b"\x28"]
    for name, inner in value.items():
        encoded = encode(inner)
        parts += (encoded[:1], name.encode(), _END, encoded)
    parts.append(_END)
    return b"".join(parts)


def _array(value: "list[Any] | tuple[Any, ...]") -> bytes:
    return b"\x32" + b"".join([encode(inner) for inner in value]) + _END


def _binary(value: bytes) -> bytes:
    subtype = value.subtype if isinstance(value, Binary) else 0
    return b"\x3c" + _pack_length(len(value)) + bytes((subtype,)) + value


def milliseconds(value: datetime) -> int:
    """Since 1970, rounded down as BSON does; naive dates are UTC."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    passed = value - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1000 + passed.microseconds // 1000


def _date(value: datetime) -> bytes:
    return b"\x5a" + _pack_bits(milliseconds(value) + (1 << 63))


def _other(value: Any) -> bytes:
    """Subclasses of the common types, and the rare ones."""
    match value:
        case Missing():
            return NULL
        case Code():
            scope = b"" if value.scope is None else _object(value.scope)
            return b"\x78" + _terminated(str(value).encode()) + scope + _END
        case bool():
            return b"\x50\x01" if value else b"\x50\x00"
        case int() | float():
            return _number(value)
        case str():
            return _string(value)
        case Mapping():
            return _object(value)
        case list() | tuple():
            return _array(value)
        case bytes():
            return _binary(value)
        case datetime():
            return _date(value)
        case DatetimeMS():
            return b"\x5a" + _pack_bits(int(value) + (1 << 63))
        case DBRef():
            return _object(value.as_doc())
        case Decimal128():
            return _decimal(value)
        case Timestamp():
            return b"\x5f" + _pack_length(value.time) + _pack_length(value.inc)
        case Regex():
            flags = "".join(sorted(_flags(value.flags)))
            pattern = value.pattern
            text = pattern.encode() if isinstance(pattern, str) else pattern
            return b"\x64" + _terminated(text) + _terminated(flags.encode())
        case MinKey():
            return b"\x05"
        case MaxKey():
            return b"\xf0"
    raise not_supported(f"values of the type {type(value).__name__}")


def _flags(flags: int) -> list[str]:
    return [
        letter
        for letter, bit in (("i", 2), ("l", 4), ("m", 8), ("s", 16), ("u", 32), ("x", 64))
        if flags & bit
    ]


_ENCODERS: dict[type, Any] = {
    type(None): lambda _value: NULL,
    bool: lambda value: b"\x50\x01" if value else b"\x50\x00",
    int: _number,
    float: _number,
    str: _string,
    dict: _object,
    list: _array,
    bytes: _binary,
    ObjectId: lambda value: b"\x46" + value.binary,
    datetime: _date,
}


def encode(value: Any) -> bytes:
    """The bytes of a value; the first byte is its `kind_of`. ``OperationFailure`` for a type
    that BSON does not have."""
    encoder = _ENCODERS.get(value.__class__, _other)
    encoded: bytes = encoder(value)
    return encoded


_KINDS: dict[type, int] = {
    type(None): KIND_NULL,
    bool: KIND_BOOLEAN,
    int: KIND_NUMBER,
    float: KIND_NUMBER,
    str: KIND_STRING,
    dict: KIND_OBJECT,
    list: KIND_ARRAY,
    bytes: KIND_BINARY,
    ObjectId: KIND_OBJECT_ID,
    datetime: KIND_DATE,
}


def kind_of(value: Any) -> int:
    """The place of a value's type in the order; values of one kind are compared with each
    other, those of different kinds never match a range."""
    kind = _KINDS.get(value.__class__)
    return kind if kind is not None else _other(value)[0]
