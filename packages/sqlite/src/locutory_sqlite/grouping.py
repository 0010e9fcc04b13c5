"""``$group`` and its accumulators."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from locutory_sqlite.arithmetic import average, is_number, total
from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.expressions import Expression, compile_expression, scope_of
from locutory_sqlite.ordering import MISSING, encode

Document = dict[str, Any]


def _known(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not MISSING and value is not None]


def _average(values: list[Any]) -> Any:
    numbers = [value for value in values if is_number(value)]
    return average(numbers) if numbers else None


def _set_of(values: list[Any]) -> list[Any]:
    found: dict[bytes, Any] = {}
    for value in values:
        if value is not MISSING:
            found.setdefault(encode(value), value)
    return list(found.values())


def _null(value: Any) -> Any:
    return None if value is MISSING else value


ACCUMULATORS: dict[str, Callable[[list[Any]], Any]] = {
    "$sum": lambda values: total(value for value in values if is_number(value)),
    "$count": len,
    "$avg": _average,
    "$max": lambda values: max(_known(values), key=encode, default=None),
    "$min": lambda values: min(_known(values), key=encode, default=None),
    "$first": lambda values: _null(values[0]),
    "$last": lambda values: _null(values[-1]),
    "$push": lambda values: [value for value in values if value is not MISSING],
    "$addToSet": _set_of,
}
"""By name: the function that computes the value of a group from the values of its one or more
documents."""


def compile_group(operand: Any) -> Callable[[Iterable[Document]], Iterator[Document]]:
    """The documents of ``$group``, in the order in which the groups were met."""
    if not isinstance(operand, Mapping):
        raise invalid("a group's fields must be specified in an object", 15947)
    if "_id" not in operand:
        raise invalid("a group specification must include an _id", 15955)
    identity = compile_expression(operand["_id"])
    fields = {name: _accumulator(name, value) for name, value in operand.items() if name != "_id"}

    def group(documents: Iterable[Document]) -> Iterator[Document]:
        groups: dict[bytes, tuple[Any, dict[str, list[Any]]]] = {}
        for document in documents:
            scope = scope_of(document)
            key = _null(identity(scope))
            encoded = encode(key)
            found = groups.get(encoded)
            if found is None:
                found = groups[encoded] = (key, {name: [] for name in fields})
            for name, (_, expression) in fields.items():
                found[1][name].append(expression(scope))
        for key, values in groups.values():
            row = {"_id": key}
            for name, (accumulate, _) in fields.items():
                row[name] = accumulate(values[name])
            yield row

    return group


def _accumulator(name: str, value: Any) -> tuple[Callable[[list[Any]], Any], Expression]:
    if "." in name or name.startswith("$") or not name:
        raise invalid(f"The field name '{name}' cannot contain '.' or begin with '$'", 40235)
    if not isinstance(value, Mapping) or not next(iter(value), "").startswith("$"):
        raise invalid(f"The field '{name}' must be an accumulator object", 40234)
    if len(value) != 1:
        raise invalid(f"The field '{name}' must specify one accumulator", 40238)
    operator, inner = next(iter(value.items()))
    accumulate = ACCUMULATORS.get(operator)
    if accumulate is None:
        raise not_supported(f"the accumulator {operator}")
    if operator == "$count":
        if inner != {}:
            raise invalid("$count takes no arguments, i.e. $count:{}", 8161700)
        inner = 1
    if isinstance(inner, list):
        # As an accumulator an operator takes one argument, which may stand in brackets.
        if len(inner) != 1:
            raise invalid(f"The {operator} accumulator is a unary operator", 40237)
        (inner,) = inner
    return accumulate, compile_expression(inner)
