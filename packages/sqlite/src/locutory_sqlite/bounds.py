"""Bounds: between which values of a path the matches of a filter lie."""

import math
import re
from typing import Any

from locutory_sqlite.arithmetic import is_nan
from locutory_sqlite.filters import Condition, Filter, compile_filter, is_operators
from locutory_sqlite.ordering import (
    COMPLEMENT,
    EMPTY_ARRAY,
    KIND_ARRAY,
    KIND_CODE,
    KIND_MAX,
    KIND_MIN,
    KIND_NUMBER,
    KIND_OBJECT,
    KIND_REGEX,
    KIND_STRING,
    NULL,
    encode,
    kind_of,
)
from locutory_sqlite.paths import position_of
from locutory_sqlite.patterns import Pattern, is_pattern

Dispatcher = tuple[bytes, bool]
"""A place in the order of values: before (or, if true, behind) all that begins with the bytes."""

Span = tuple[Dispatcher, Dispatcher]
"""The values between two edges, in ascending order."""

Range = tuple[bytes, bytes]
"""The keys from the first, inclusive, up to the second, exclusive."""


def successor(begin: bytes) -> bytes:
    """The first bytes that come behind everything that begins with ``begin``."""
    stripped = begin.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b"\xff" * 16


def behind(key: bytes) -> bytes:
    """`successor` of whole components, cheaper: none begins with this byte."""
    return key + b"\xff"


def _key(edge: Dispatcher) -> bytes:
    return successor(edge[0]) if edge[1] else edge[0]


def turned(spans: list[Span], direction: int) -> list[Range]:
    """The spans as ranges of the component of an index with this direction, in ascending order."""
    if all(map(is_point, spans)):
        keys = [low for (low, _), _ in spans]
        if direction == -1:
            keys = [key.translate(COMPLEMENT) for key in reversed(keys)]
        return [(key, behind(key)) for key in keys]
    if direction == 1:
        return [(_key(low), _key(high)) for low, high in spans]
    return [(_key(_mirrored(high)), _key(_mirrored(low))) for low, high in reversed(spans)]


def _mirrored(edge: Dispatcher) -> Dispatcher:
    return edge[0].translate(COMPLEMENT), not edge[1]


def is_point(span: Span) -> bool:
    """``True`` when the span contains one value only."""
    (low, behind), (high, also) = span
    return low == high and not behind and also


def admits_null(spans: list[Span]) -> bool:
    """``True`` when documents without the field are in the spans."""
    return any(_key(low) <= NULL < _key(high) for low, high in spans)


def choose(options: list[list[Span]], *, multikey: bool) -> list[Span]:
    """The spans that all conditions on a path leave; of a multikey index only one of the
    conditions counts, since different elements may fulfil the others."""
    if len(options) == 1:
        return options[0]
    if multikey:
        return min(options, key=lambda spans: (not all(map(is_point, spans)), len(spans)))
    chosen = options[0]
    for other in options[1:]:
        chosen = [
            (max(low, begin, key=_key), min(high, end, key=_key))
            for low, high in chosen
            for begin, end in other
            if max(_key(low), _key(begin)) < min(_key(high), _key(end))
        ]
    return _joined(chosen)


def _joined(spans: list[Span]) -> list[Span]:
    """In order, and those that touch as one; but points stay points."""
    if len(spans) < 2:
        return spans
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (_key(span[0]), not is_point(span))):
        touching = bool(joined) and _key(span[0]) == _key(joined[-1][1])
        if (touching and not (is_point(span) and is_point(joined[-1]))) or (
            joined and _key(span[0]) < _key(joined[-1][1])
        ):
            joined[-1] = (joined[-1][0], max(joined[-1][1], span[1], key=_key))
        else:
            joined.append(span)
    return joined


def bounds_of(query: Filter) -> dict[str, list[list[Span]]]:
    """The spans that the conditions of a filter allow, by path; of the alternatives of an ``$or``,
    for the paths that all of them restrict."""
    found: dict[str, list[list[Span]]] = {}
    for condition in query.conditions:
        spans = _spans(condition)
        if spans is not None:
            found.setdefault(condition.path, []).append(spans)
        elif condition.operator == "$elemMatch":
            _inside(condition, found)
    for clauses in query.branches:
        each = [bounds_of(clause) for clause in clauses]
        for path in each[0]:
            if all(path in bounds for bounds in each):
                union = [span for bounds in each for span in min(bounds[path], key=len)]
                found.setdefault(path, []).append(_joined(union))
    return found


def _inside(condition: Condition, found: dict[str, list[list[Span]]]) -> None:
    """The conditions on fields of the objects in an array, on the whole path."""
    if is_operators(condition.value):
        return
    for inner in compile_filter(condition.value).conditions:
        spans = _spans(inner)
        # An array in the array counts as an object there, but its positions do not in a path.
        if spans is not None and position_of(inner.path.partition(".")[0]) is None:
            found.setdefault(f"{condition.path}.{inner.path}", []).append(spans)


def says_exactly(condition: Condition) -> bool:
    """``True`` when a condition holds for every document whose key is in its spans, if no array is
    on its path."""
    operator, value = condition.operator, condition.value
    if operator == "$in":
        return not any(isinstance(one, list) or is_pattern(one) for one in value)
    if operator == "$eq":
        return not isinstance(value, list)
    return operator in _RANGES and _between(operator, value) is not None


_RANGES = frozenset({"$gt", "$gte", "$lt", "$lte"})


def ids_of(query: Filter) -> list[bytes] | None:
    """The encoded ``_id`` values that a filter names, in order; ``None`` if it names none."""
    for condition in query.conditions:
        if (
            condition.path == "_id"
            and condition.operator in ("$eq", "$in")
            and says_exactly(condition)
        ):
            if condition.operator == "$eq":
                return [encode(condition.value)]
            return sorted({encode(one) for one in condition.value})
    return None


def _point(encoded: bytes) -> Span:
    return (encoded, False), (encoded, True)


def _spans(condition: Condition) -> list[Span] | None:
    """The spans that a condition allows; ``None`` when it does not restrict an index."""
    operator, value = condition.operator, condition.value
    if operator == "$eq":
        return _equal(value)
    if operator == "$in" and isinstance(value, list):
        if any(map(is_pattern, value)):
            return None
        if not any(isinstance(one, list) for one in value):
            return list(map(_point, sorted(set(map(encode, value)))))
        return _joined(list({span for one in value for span in _equal(one)}))
    if operator in _RANGES:
        return _between(operator, value)
    if operator == "$regex":
        return _prefix(value)
    if operator == "$exists" and value in (False, 0):
        return [_point(NULL)]
    if operator == "$all" and isinstance(value, list) and value and not is_pattern(value[0]):
        return None if isinstance(value[0], dict) else _equal(value[0])
    return None


def _equal(value: Any) -> list[Span]:
    if isinstance(value, list):
        # It equals an array, whose keys are its elements, or an element of an array.
        first = encode(value[0]) if value else EMPTY_ARRAY
        return _joined([_point(first), _point(encode(value))])
    return [_point(NULL if value is None else encode(value))]


def _between(operator: str, value: Any) -> list[Span] | None:
    if value is None:
        return [_point(NULL)] if operator in ("$gte", "$lte") else []
    kind = kind_of(value)
    if kind in (KIND_ARRAY, KIND_OBJECT, KIND_REGEX, KIND_CODE, KIND_MIN, KIND_MAX):
        return None
    if is_nan(value):
        return [_point(encode(value))] if operator in ("$gte", "$lte") else []
    encoded, bracket = encode(value), bytes((kind,))
    if operator in ("$gt", "$gte"):
        return [((encoded, operator == "$gt"), (bracket, True))]
    # NaN comes before every other number and is not less than any.
    begin = (encode(math.nan), True) if kind == KIND_NUMBER else (bracket, False)
    return [(begin, (encoded, operator == "$lte"))]


_SPECIAL = frozenset("\\.^$*+?()[]{}|")


def _prefix(pattern: Pattern) -> list[Span] | None:
    """The prefix in ``^text…``; ``None`` for every other regular expression."""
    given = pattern.text
    if given[:1] != "^" or "|" in given or pattern.flags & (re.I | re.M | re.X):
        return None
    text, at = "", 1
    while at < len(given):
        letter, at = given[at], at + 1
        if letter == "\\" and at < len(given) and not given[at].isalnum():
            letter, at = given[at], at + 1
        elif letter in _SPECIAL:
            if letter in "*?{":  # the letter before may be missing
                text = text[:-1]
            break
        text += letter
    if not text:
        return None
    begin = bytes((KIND_STRING,)) + text.encode("utf-8", "surrogatepass").replace(
        b"\x00", b"\x00\xff"
    )
    # Expressions are found in strings, and are equal to stored expressions.
    stored = ((bytes((KIND_REGEX,)), False), (bytes((KIND_REGEX + 1,)), False))
    return [((begin, False), (successor(begin), False)), stored]
