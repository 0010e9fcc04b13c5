"""Filters: compiled to a test of documents, and to the conditions that an index can use."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId, Regex
from bson.code import Code

from locutory_sqlite import expressions
from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.kinds import mod_test, type_test
from locutory_sqlite.ordering import MISSING, encode, kind_of
from locutory_sqlite.paths import elements, split, values_at

Test = Callable[[dict[str, Any]], bool]
ValueTest = Callable[[Any], bool]

_NUMBERS = (int, float)
_IGNORED = frozenset({"$comment"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one path, of a filter's outermost conjunction."""

    path: str
    operator: str
    value: Any


@dataclass(slots=True)
class Filter:
    """A compiled filter.

    ``test`` decides on a document. ``conditions`` must all hold for a match, and ``branches``
    holds the alternatives of each ``$or``: what a planner may use; the test covers it all.
    """

    test: Test
    conditions: list[Condition] = field(default_factory=list)
    branches: list[list["Filter"]] = field(default_factory=list)

    @property
    def matches_all(self) -> bool:
        """Does it ask for nothing?"""
        return self.test is _all


def compile_filter(query: Mapping[str, Any]) -> Filter:
    """``OperationFailure`` names what is malformed or not supported."""
    tests: list[Test] = []
    compiled = Filter(_all)
    for key, value in query.items():
        if key in _IGNORED:
            continue
        if key == "$and":
            for inner in _clauses(key, value):
                tests.append(inner.test)
                compiled.conditions += inner.conditions
                compiled.branches += inner.branches
        elif key == "$or":
            clauses = _clauses(key, value)
            tests.append(_any_of([clause.test for clause in clauses]))
            compiled.branches.append(clauses)
        elif key == "$nor":
            tests.append(_none_of([clause.test for clause in _clauses(key, value)]))
        elif key == "$expr":
            tests.append(_expression(value))
        elif key.startswith("$"):
            raise not_supported(f"the filter operator {key}")
        else:
            for condition in _conditions(key, value):
                tests.append(_path_test(condition))
                compiled.conditions.append(condition)
    compiled.test = _every(tests)
    return compiled


def _clauses(key: str, value: Any) -> list[Filter]:
    if not isinstance(value, list | tuple) or not value:
        raise invalid(f"{key} must be a nonempty array")
    if not all(isinstance(clause, Mapping) for clause in value):
        raise invalid(f"{key} argument's entries must be objects")
    return [compile_filter(clause) for clause in value]


def is_operators(value: Any) -> bool:
    """Is it ``{"$operator": …}`` rather than a document to be equal to?"""
    return isinstance(value, Mapping) and next(iter(value), "").startswith("$")


def _conditions(path: str, value: Any) -> list[Condition]:
    if isinstance(value, Regex | re.Pattern):
        return [Condition(path, "$regex", value)]
    if not is_operators(value) or "$ref" in value or "$id" in value:
        return [Condition(path, "$eq", value)]
    found = []
    for operator, operand in value.items():
        if not operator.startswith("$"):
            raise invalid(f"unknown operator: {operator}")
        if operator == "$options":
            if "$regex" not in value:
                raise invalid("$options needs a $regex")
            continue
        if operator == "$regex":
            operand = _pattern(operand, value.get("$options", ""))
        if operator != "$comment":
            found.append(Condition(path, operator, operand))
    return found


def _path_test(condition: Condition) -> Test:
    negated = _NEGATED.get(condition.operator)
    if negated is not None:
        inner = _path_test(Condition(condition.path, negated, condition.value))
        return lambda document: not inner(document)
    if condition.operator == "$not":
        return _not(condition)
    values = values_at(condition.path)
    if condition.operator == "$exists":
        wanted = bool(condition.value)
        return lambda document: any(v is not MISSING for v in values(document)) is wanted
    if condition.operator == "$all":
        return _all_of(condition)
    if (
        condition.operator in ("$eq", "$in", "$gt", "$gte", "$lt", "$lte")
        and "." not in condition.path
    ):
        return _top_level(condition.path, value_test(condition.operator, condition.value))
    test = value_test(condition.operator, condition.value)
    if condition.operator in ("$size", "$elemMatch"):
        parts = split(condition.path)
        return lambda document: any(map(test, elements(document, parts, spread=False)))
    return lambda document: any(map(test, values(document)))


def _top_level(path: str, test: ValueTest) -> Test:
    def run(document: dict[str, Any]) -> bool:
        value = document.get(path, MISSING)
        return test(value) or (isinstance(value, list) and any(map(test, value)))

    return run


_NEGATED = {"$ne": "$eq", "$nin": "$in"}


def _not(condition: Condition) -> Test:
    value = condition.value
    if isinstance(value, Regex | re.Pattern):
        inner = [Condition(condition.path, "$regex", value)]
    elif isinstance(value, Mapping) and value:
        inner = _conditions(condition.path, value)
        if not is_operators(value):
            raise invalid("$not needs a regex or a document of operators")
    else:
        raise invalid("$not needs a regex or a document of operators")
    test = _every([_path_test(one) for one in inner])
    return lambda document: not test(document)


def _all_of(condition: Condition) -> Test:
    if not isinstance(condition.value, list | tuple):
        raise invalid("$all needs an array")
    if not condition.value:
        return lambda _document: False
    tests = []
    for value in condition.value:
        if is_operators(value):
            if list(value) != ["$elemMatch"]:
                raise invalid("no $ expressions in $all")
            tests.append(_path_test(Condition(condition.path, "$elemMatch", value["$elemMatch"])))
        else:
            tests.append(_path_test(_conditions(condition.path, value)[0]))
    return _every(tests)


def value_test(operator: str, operand: Any) -> ValueTest:
    """The test of one value for one operator."""
    match operator:
        case "$eq":
            return equals(operand)
        case "$in":
            return _in(operand)
        case "$gt" | "$gte" | "$lt" | "$lte":
            return _range(operator, operand)
        case "$regex":
            return _regex(operand)
        case "$size":
            if not isinstance(operand, _NUMBERS) or int(operand) != operand or operand < 0:
                raise invalid("$size must be a whole number, 0 or more")
            return lambda value: isinstance(value, list) and len(value) == operand
        case "$elemMatch":
            return _element_match(operand)
        case "$type":
            return type_test(operand)
        case "$mod":
            return mod_test(operand)
    raise not_supported(f"the filter operator {operator}")


def equals(wanted: Any) -> ValueTest:
    """Equality as the server has it: 1 is 1.0 but not true, and objects are equal only with
    their fields in the same order."""
    if isinstance(wanted, Regex | re.Pattern):
        raise invalid("Can't have a regex as the value of $eq here")
    kind = type(wanted)
    if wanted is None:
        return lambda value: value is None or value is MISSING
    if kind is str:
        return lambda value: value == wanted and not isinstance(value, Code)
    if kind is bool:
        return lambda value: value is wanted
    if isinstance(wanted, _NUMBERS) and wanted == wanted:
        return lambda value: value == wanted and not isinstance(value, bool)
    if kind in (ObjectId, datetime):
        return lambda value: value == wanted
    encoded = encode(wanted)
    return lambda value: value is not MISSING and encode(value) == encoded


def _in(operand: Any) -> ValueTest:
    if not isinstance(operand, list | tuple):
        raise invalid("$in needs an array")
    plain: set[Any] = set()
    tests: list[ValueTest] = []
    for value in operand:
        if type(value) in (str, ObjectId):
            plain.add(value)
        elif isinstance(value, Regex | re.Pattern):
            tests.append(_regex(value))
        elif is_operators(value):
            raise invalid("cannot nest $ under $in")
        else:
            tests.append(equals(value))
    if not tests:
        return lambda value: type(value) in (str, ObjectId) and value in plain
    return lambda value: (
        (type(value) in (str, ObjectId) and value in plain) or any(test(value) for test in tests)
    )


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}


def _range(operator: str, bound: Any) -> ValueTest:
    if isinstance(bound, Regex | re.Pattern):
        raise invalid(f"Can't have RegEx as arg to predicate over field with {operator}")
    compare = _COMPARISONS[operator]
    if bound is None:
        return equals(None) if operator in ("$gte", "$lte") else lambda _value: False
    if isinstance(bound, str | datetime) and type(bound) in (str, datetime):
        kind = type(bound)
        return lambda value: type(value) is kind and compare(value, bound)
    if isinstance(bound, float) and bound != bound:
        return equals(bound) if operator in ("$gte", "$lte") else lambda _value: False
    encoded, wanted = encode(bound), kind_of(bound)
    across = wanted in (0x05, 0xF0)  # MinKey and MaxKey are compared with every type

    def run(value: Any) -> bool:
        if value is MISSING:
            return across and compare(b"\x0a", encoded)
        return (across or kind_of(value) == wanted) and compare(encode(value), encoded)

    return run


def _pattern(operand: Any, options: Any) -> Any:
    if isinstance(operand, Regex):
        operand = operand.try_compile() if not options else operand.pattern
    if isinstance(operand, re.Pattern):
        if not options:
            return operand
        operand = operand.pattern
    if not isinstance(operand, str) or not isinstance(options, str):
        raise invalid("$regex and $options must be strings")
    flags = 0
    for letter in options:
        if letter not in "imsux":
            raise invalid(f"invalid flag in regex options: {letter}")
        flags |= {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "u": 0}[letter]
    try:
        return re.compile(operand, flags)
    except re.error as error:
        raise invalid(f"Regular expression is invalid: {error}", 51091) from None


def _regex(operand: Any) -> ValueTest:
    pattern = _pattern(operand, "")
    search = pattern.search
    as_stored = encode(Regex.from_native(pattern))
    return lambda value: (
        bool(search(value))
        if type(value) is str
        else isinstance(value, Regex) and encode(value) == as_stored
    )


def _element_match(operand: Any) -> ValueTest:
    if not isinstance(operand, Mapping):
        raise invalid("$elemMatch needs an Object")
    if is_operators(operand) and next(iter(operand)) not in ("$and", "$or", "$nor", "$expr"):
        tests = [_value_condition(condition) for condition in _conditions("", operand)]
        return lambda value: (
            isinstance(value, list) and any(all(test(inner) for test in tests) for inner in value)
        )
    inner_test = compile_filter(operand).test

    def run(value: Any) -> bool:
        if not isinstance(value, list):
            return False
        return any(
            inner_test(inner if isinstance(inner, dict) else dict(_numbered(inner)))
            for inner in value
            if isinstance(inner, dict | list)
        )

    return run


def _numbered(values: list[Any]) -> list[tuple[str, Any]]:
    return [(str(position), value) for position, value in enumerate(values)]


def _value_condition(condition: Condition) -> ValueTest:
    """A condition on the element of an array itself, which is not looked into."""
    negated = _NEGATED.get(condition.operator)
    if negated is not None:
        inner = value_test(negated, condition.value)
        return lambda value: not inner(value)
    if condition.operator == "$exists":
        return lambda _value: bool(condition.value)
    if condition.operator == "$not":
        tests = [_value_condition(one) for one in _conditions("", condition.value)]
        return lambda value: not all(test(value) for test in tests)
    return value_test(condition.operator, condition.value)


def _expression(value: Any) -> Test:
    expression = expressions.compile_expression(value)
    return lambda document: expressions.truth(expression(expressions.scope_of(document)))


def _all(_document: dict[str, Any]) -> bool:
    return True


def _every(tests: list[Test]) -> Test:
    if not tests:
        return _all
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda document: first(document) and second(document)
    return lambda document: all(test(document) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    return lambda document: any(test(document) for test in tests)


def _none_of(tests: list[Test]) -> Test:
    return lambda document: not any(test(document) for test in tests)


__all__ = [
    "Condition",
    "Filter",
    "compile_filter",
    "equals",
    "is_operators",
    "value_test",
]
