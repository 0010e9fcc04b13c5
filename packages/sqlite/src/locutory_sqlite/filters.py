"""Filters: compiled to a test of documents, and to the conditions that an index can use."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_sqlite import expressions
from locutory_sqlite.arithmetic import whole
from locutory_sqlite.comparisons import RANGES, ValueTest, equals, in_range, one_of
from locutory_sqlite.errors import FAILED_TO_PARSE, invalid, not_supported
from locutory_sqlite.kinds import mod_test, type_test
from locutory_sqlite.ordering import MISSING
from locutory_sqlite.paths import elements, split, values_at
from locutory_sqlite.patterns import is_pattern, pattern_of

Test = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one path, of a filter's outermost conjunction."""

    path: str
    operator: str
    value: Any


@dataclass(slots=True)
class Filter:
    """A compiled filter. ``test`` decides on a document. ``conditions`` must all hold for a match,
    and ``branches`` has the alternatives of each ``$or``: a planner may use them; the test covers
    everything. ``plain``: ``True`` when the conditions are all of the filter. ``shape``: the common
    part of filters that differ in their values only. ``fields``: the top-level fields that it
    reads, ``None`` for all."""

    test: Test
    conditions: list[Condition] = field(default_factory=list)
    branches: list[list["Filter"]] = field(default_factory=list)
    plain: bool = True
    shape: tuple[Hashable, ...] = ()
    fields: frozenset[str] | None = frozenset()

    @property
    def matches_all(self) -> bool:
        """``True`` when the filter matches every document."""
        return self.test is _all

    def look_at(self, fields: frozenset[str] | None) -> None:
        """Add top-level fields that the filter reads."""
        known = self.fields
        self.fields = None if known is None or fields is None else known | fields


def compile_filter(query: Mapping[str, Any]) -> Filter:
    """Compile a filter. ``OperationFailure`` names the part that is malformed or not supported."""
    if not isinstance(query, Mapping):
        raise invalid("the match filter must be an expression in an object", 15959)
    tests: list[Test] = []
    compiled = Filter(_all)
    for key, value in query.items():
        if not key.startswith("$"):
            for condition in conditions_of(key, value):
                tests.append(_path_test(condition))
                compiled.conditions.append(condition)
                compiled.shape += (key, condition.operator, _form(condition.value))
            compiled.look_at(frozenset((split(key)[0],)))
        elif key in TOP_LEVEL:
            TOP_LEVEL[key](compiled, tests, value)
        else:
            raise not_supported(f"the filter operator {key}")
    compiled.test = _every(tests)
    return compiled


def _and(compiled: Filter, tests: list[Test], value: Any) -> None:
    for inner in _clauses("$and", value):
        tests.append(inner.test)
        compiled.conditions += inner.conditions
        compiled.branches += inner.branches
        compiled.plain = compiled.plain and inner.plain
        compiled.shape += inner.shape
        compiled.look_at(inner.fields)


def _or(compiled: Filter, tests: list[Test], value: Any) -> None:
    clauses = _clauses("$or", value)
    alternatives = [clause.test for clause in clauses]
    tests.append(_any_of(alternatives) if len(clauses) > 1 else alternatives[0])
    compiled.branches.append(clauses)
    compiled.plain = False
    compiled.shape += ("$or", *(clause.shape for clause in clauses))
    for clause in clauses:
        compiled.look_at(clause.fields)


def _nor(compiled: Filter, tests: list[Test], value: Any) -> None:
    clauses = _clauses("$nor", value)
    any_of = _any_of([clause.test for clause in clauses])
    tests.append(lambda document: not any_of(document))
    compiled.plain = False
    for clause in clauses:
        compiled.look_at(clause.fields)


def _expr(compiled: Filter, tests: list[Test], value: Any) -> None:
    expression = expressions.compile_expression(value)
    tests.append(lambda document: expressions.truth(expression(expressions.scope_of(document))))
    compiled.plain = False
    compiled.look_at(None)


def _comment(_compiled: Filter, _tests: list[Test], _value: Any) -> None:
    pass


TOP_LEVEL: dict[str, Callable[[Filter, list[Test], Any], None]] = {
    "$and": _and,
    "$or": _or,
    "$nor": _nor,
    "$expr": _expr,
    "$comment": _comment,
}
"""The operators that are written in place of a path."""


def _clauses(key: str, value: Any) -> list[Filter]:
    if not isinstance(value, list | tuple) or not value:
        raise invalid(f"{key} must be a nonempty array")
    if not all(isinstance(clause, Mapping) for clause in value):
        raise invalid(f"{key} argument's entries must be objects")
    return [compile_filter(clause) for clause in value]


def _form(value: Any) -> Hashable:
    """Of a value of a condition, what may decide on an index: conditions of partial indexes are
    often about the truth or the absence of a value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list):
        few = tuple(map(_form, value)) if len(value) < 4 else ()
        return len(value).bit_length(), few
    return type(value).__name__


def is_operators(value: Any) -> bool:
    """``True`` for ``{"$operator": …}``, ``False`` for a value that a document must be equal to."""
    if not isinstance(value, Mapping):
        return False
    first = next(iter(value), "")
    return first.startswith("$") and first not in ("$ref", "$id", "$db")


def conditions_of(path: str, value: Any) -> list[Condition]:
    """The conditions of a filter on a path: a value to be equal to, an expression, or operators."""
    if is_pattern(value):
        return [Condition(path, "$regex", pattern_of(value))]
    if not is_operators(value):
        return [Condition(path, "$eq", value)]
    found = []
    for operator, operand in value.items():
        if not operator.startswith("$"):
            raise invalid(f"unknown operator: {operator}")
        if operator == "$options":
            if "$regex" not in value:
                raise invalid("$options needs a $regex")
            continue
        if operator not in OPERATORS:
            raise not_supported(f"the filter operator {operator}")
        if operator == "$regex":
            operand = pattern_of(operand, value.get("$options", ""))
        elif operator == "$ne" and is_pattern(operand):
            raise invalid("Can't have regex as arg to $ne.")
        if operator != "$comment":
            found.append(Condition(path, operator, operand))
    return found


_NEGATED = {"$ne": "$eq", "$nin": "$in"}
_ON_VALUES = frozenset({"$eq", "$in", *RANGES})


def _path_test(condition: Condition) -> Test:
    path, operator, operand = condition.path, condition.operator, condition.value
    if operator in _NEGATED:
        inner = _path_test(Condition(path, _NEGATED[operator], operand))
        return lambda document: not inner(document)
    if operator == "$not":
        test = _every([_path_test(one) for one in _negatable(path, operand)])
        return lambda document: not test(document)
    values = values_at(path)
    if operator == "$exists":
        wanted = expressions.truth(operand)
        return lambda document: any(v is not MISSING for v in values(document)) is wanted
    if operator == "$all":
        return _all_of(condition)
    matches = value_test(operator, operand)
    if operator in _ON_VALUES and "." not in path:
        return _top_level(path, matches)
    if operator in ("$size", "$elemMatch"):
        parts = split(path)
        return lambda document: any(map(matches, elements(document, parts, spread=False)))
    return lambda document: any(map(matches, values(document)))


def _top_level(path: str, test: ValueTest) -> Test:
    def run(document: dict[str, Any]) -> bool:
        value = document.get(path, MISSING)
        return test(value) or (isinstance(value, list) and any(map(test, value)))

    return run


def _negatable(path: str, operand: Any) -> list[Condition]:
    if not is_pattern(operand) and not is_operators(operand):
        raise invalid("$not needs a regex or a document of operators")
    return conditions_of(path, operand)


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
            tests.append(_path_test(conditions_of(condition.path, value)[0]))
    return _every(tests)


def value_test(operator: str, operand: Any) -> ValueTest:
    """The test of one value for one operator; ``OperationFailure`` for those of paths."""
    if operator in RANGES:
        return in_range(operator, operand)
    match operator:
        case "$eq":
            return equals(operand)
        case "$in":
            return one_of(operand, is_operators)
        case "$regex":
            return pattern_of(operand)
        case "$size":
            length = whole(operand)
            if length is None or length < 0:
                raise invalid(
                    f"Failed to parse $size. Expected a whole number: {operand!r}", FAILED_TO_PARSE
                )
            return lambda value: isinstance(value, list) and len(value) == length
        case "$elemMatch":
            return _element_match(operand)
        case "$type":
            return type_test(operand)
        case "$mod":
            return mod_test(operand)
    raise not_supported(f"the filter operator {operator} in this place")


OPERATORS = frozenset(
    {
        "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$not", "$all",
        "$elemMatch", "$size", "$mod", "$regex", "$options", "$comment",
    }
)  # fmt: skip
"""The operators on a path."""


def _element_match(operand: Any) -> ValueTest:
    if not isinstance(operand, Mapping):
        raise invalid("$elemMatch needs an Object")
    if is_operators(operand) and next(iter(operand)) not in TOP_LEVEL:
        tests = [_value_condition(condition) for condition in conditions_of("", operand)]
        return lambda value: (
            isinstance(value, list) and any(all(test(inner) for test in tests) for inner in value)
        )
    matches = compile_filter(operand).test
    return lambda value: (
        isinstance(value, list)
        and any(
            # An array counts as an object whose fields are its positions.
            matches(one if isinstance(one, dict) else {str(n): v for n, v in enumerate(one)})
            for one in value
            if isinstance(one, dict | list)
        )
    )


def _value_condition(condition: Condition) -> ValueTest:
    """A condition on the element of an array itself, which is not looked into."""
    operator, operand = condition.operator, condition.value
    if operator in _NEGATED:
        inner = value_test(_NEGATED[operator], operand)
        return lambda value: not inner(value)
    if operator == "$exists":
        wanted = expressions.truth(operand)
        return lambda _value: wanted
    if operator == "$not":
        tests = [_value_condition(one) for one in _negatable("", operand)]
        return lambda value: not all(test(value) for test in tests)
    return value_test(operator, operand)


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

    def run(document: dict[str, Any]) -> bool:
        for test in tests:  # noqa: SIM110 - all() of a generator takes twice as long
            if not test(document):
                return False
        return True

    return run


def _any_of(tests: list[Test]) -> Test:
    def run(document: dict[str, Any]) -> bool:
        for test in tests:  # noqa: SIM110 - any() of a generator takes twice as long
            if test(document):
                return True
        return False

    return run


__all__ = ["Condition", "Filter", "compile_filter", "conditions_of", "is_operators", "value_test"]
