"""Aggregation expressions: ``"$path"``, ``"$$ROOT"``, literals and operators.

An expression is compiled to a function of its scope, the variables by name (``ROOT`` and
``CURRENT`` are the document). A field that is not there is `MISSING`.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.ordering import KIND_NULL, KIND_NUMBER, MISSING, encode, kind_of
from locutory_sqlite.paths import get, split

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]


def scope_of(document: dict[str, Any]) -> Scope:
    """The variables of an expression on a document."""
    return {"ROOT": document, "CURRENT": document}


def truth(value: Any) -> bool:
    """False, 0, null and a missing field are false; everything else is true."""
    if value is None or value is MISSING:
        return False
    return bool(value) if isinstance(value, bool | int | float) else True


def compile_expression(value: Any) -> Expression:
    """``OperationFailure`` names an operator that is not supported."""
    if isinstance(value, str) and value.startswith("$"):
        return _variable(value[2:]) if value.startswith("$$") else _field(value[1:])
    if isinstance(value, Mapping):
        first = next(iter(value), "")
        if first.startswith("$"):
            if len(value) != 1:
                raise invalid("an expression has exactly one operator", 15983)
            return _operator(first, value[first])
        members = {name: compile_expression(inner) for name, inner in value.items()}
        return lambda scope: {
            name: found for name, inner in members.items() if (found := inner(scope)) is not MISSING
        }
    if isinstance(value, list):
        items = [compile_expression(inner) for inner in value]
        return lambda scope: [_null(item(scope)) for item in items]
    return lambda _scope: value


def _null(value: Any) -> Any:
    return None if value is MISSING else value


def _field(path: str) -> Expression:
    parts = split(path)
    if len(parts) == 1:
        name = parts[0]
        return lambda scope: (
            get(scope["CURRENT"], parts)
            if not isinstance(scope["CURRENT"], dict)
            else scope["CURRENT"].get(name, MISSING)
        )
    return lambda scope: get(scope["CURRENT"], parts)


def _variable(path: str) -> Expression:
    name, _, rest = path.partition(".")
    if name == "REMOVE":
        return lambda _scope: MISSING
    if name == "NOW":
        moment = datetime.now(UTC)
        return lambda _scope: moment
    parts = split(rest) if rest else ()

    def run(scope: Scope) -> Any:
        if name not in scope:
            raise invalid(f"Use of undefined variable: {name}", 17276)
        return get(scope[name], parts) if parts else scope[name]

    return run


def _operator(name: str, operand: Any) -> Expression:
    special = _SPECIAL.get(name)
    if special is not None:
        return special(operand)
    function = _FUNCTIONS.get(name)
    if function is None:
        raise not_supported(f"the expression operator {name}")
    least, most, work = function
    arguments = [
        compile_expression(inner) for inner in (operand if isinstance(operand, list) else [operand])
    ]
    if not least <= len(arguments) <= most:
        raise invalid(f"Expression {name} takes {least} to {most} arguments", 16020)
    return lambda scope: work(*[argument(scope) for argument in arguments])


def _literal(operand: Any) -> Expression:
    return lambda _scope: operand


def _cond(operand: Any) -> Expression:
    if isinstance(operand, Mapping):
        if set(operand) != {"if", "then", "else"}:
            raise invalid("$cond needs if, then and else", 17083)
        operand = [operand["if"], operand["then"], operand["else"]]
    if not isinstance(operand, list) or len(operand) != 3:
        raise invalid("Expression $cond takes exactly 3 arguments", 16020)
    test, then, otherwise = (compile_expression(inner) for inner in operand)
    return lambda scope: then(scope) if truth(test(scope)) else otherwise(scope)


def _switch(operand: Any) -> Expression:
    branches = [
        (compile_expression(branch["case"]), compile_expression(branch["then"]))
        for branch in operand.get("branches", ())
    ]
    default = compile_expression(operand["default"]) if "default" in operand else None

    def run(scope: Scope) -> Any:
        for test, then in branches:
            if truth(test(scope)):
                return then(scope)
        if default is None:
            raise invalid("$switch could not find a matching branch", 40066)
        return default(scope)

    return run


def _if_null(operand: Any) -> Expression:
    if not isinstance(operand, list) or len(operand) < 2:
        raise invalid("$ifNull needs at least two arguments", 1257300)
    *tried, last = (compile_expression(inner) for inner in operand)

    def run(scope: Scope) -> Any:
        for expression in tried:
            value = expression(scope)
            if value is not None and value is not MISSING:
                return value
        return last(scope)

    return run


def _and(operand: Any) -> Expression:
    parts = [compile_expression(inner) for inner in _list(operand)]
    return lambda scope: all(truth(part(scope)) for part in parts)


def _or(operand: Any) -> Expression:
    parts = [compile_expression(inner) for inner in _list(operand)]
    return lambda scope: any(truth(part(scope)) for part in parts)


def _list(operand: Any) -> list[Any]:
    return operand if isinstance(operand, list) else [operand]


def _let(operand: Any) -> Expression:
    names = {name: compile_expression(value) for name, value in operand["vars"].items()}
    inner = compile_expression(operand["in"])
    return lambda scope: inner({**scope, **{name: value(scope) for name, value in names.items()}})


def _over(operand: Any, member: str) -> tuple[Expression, str, Expression]:
    name = operand.get("as", "this")
    return compile_expression(operand["input"]), name, compile_expression(operand[member])


def _map(operand: Any) -> Expression:
    source, name, inner = _over(operand, "in")

    def run(scope: Scope) -> Any:
        values = source(scope)
        if values is None or values is MISSING:
            return None
        return [_null(inner({**scope, name: value})) for value in _array("$map", values)]

    return run


def _filter(operand: Any) -> Expression:
    source, name, inner = _over(operand, "cond")

    def run(scope: Scope) -> Any:
        values = source(scope)
        if values is None or values is MISSING:
            return None
        return [
            value for value in _array("$filter", values) if truth(inner({**scope, name: value}))
        ]

    return run


def _reduce(operand: Any) -> Expression:
    source, start, inner = (
        compile_expression(operand[key]) for key in ("input", "initialValue", "in")
    )

    def run(scope: Scope) -> Any:
        values = source(scope)
        if values is None or values is MISSING:
            return None
        value = start(scope)
        for this in _array("$reduce", values):
            value = inner({**scope, "this": this, "value": value})
        return value

    return run


def _array(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(f"the argument to {name} must be an array", 16883)
    return value


def _number(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} only supports numeric types", 16554)
    return value


def _numeric(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        if any(value is None or value is MISSING for value in values):
            return None
        return work(*[_number(name, value) for value in values])

    return run


def _add(*values: Any) -> Any:
    if any(value is None or value is MISSING for value in values):
        return None
    dates = [value for value in values if isinstance(value, datetime)]
    if not dates:
        return sum(_number("$add", value) for value in values)
    from datetime import timedelta

    if len(dates) > 1:
        raise invalid("only one date allowed in an $add expression", 16612)
    rest = sum(_number("$add", value) for value in values if not isinstance(value, datetime))
    return dates[0] + timedelta(milliseconds=rest)


def _subtract(left: Any, right: Any) -> Any:
    if left is None or left is MISSING or right is None or right is MISSING:
        return None
    from datetime import timedelta

    if isinstance(left, datetime):
        if isinstance(right, datetime):
            return (left - right) // timedelta(milliseconds=1)
        return left - timedelta(milliseconds=_number("$subtract", right))
    return _number("$subtract", left) - _number("$subtract", right)


def _divide(left: float, right: float) -> float:
    if not right:
        raise invalid("can't $divide by zero", 16608)
    return left / right


def _size(value: Any) -> int:
    return len(_array("$size", value))


def _element(values: Any, index: Any) -> Any:
    if values is None or values is MISSING or index is None or index is MISSING:
        return None
    values = _array("$arrayElemAt", values)
    return values[int(index)] if -len(values) <= index < len(values) else MISSING


def _slice(values: Any, *place: Any) -> Any:
    if values is None or values is MISSING:
        return None
    values = _array("$slice", values)
    if len(place) == 1:
        return values[: place[0]] if place[0] >= 0 else values[place[0] :]
    start = place[0] if place[0] >= 0 else max(len(values) + place[0], 0)
    return values[start : start + place[1]]


def _concat(*values: Any) -> Any:
    if any(value is None or value is MISSING for value in values):
        return None
    if not all(isinstance(value, str) for value in values):
        raise invalid("$concat only supports strings", 16702)
    return "".join(values)


def _concat_arrays(*values: Any) -> Any:
    if any(value is None or value is MISSING for value in values):
        return None
    return [item for value in values for item in _array("$concatArrays", value)]


def _text(value: Any) -> str:
    if value is None or value is MISSING:
        return ""
    if not isinstance(value, str):
        raise invalid("$toLower and $toUpper take strings", 16007)
    return value


def _is_number(value: Any) -> bool:
    return value is not MISSING and kind_of(value) == KIND_NUMBER


def _merge(*values: Any) -> Any:
    merged: dict[str, Any] = {}
    for value in values:
        if value is None or value is MISSING:
            continue
        if not isinstance(value, Mapping):
            raise invalid("$mergeObjects requires object inputs", 40400)
        merged.update(value)
    return merged


def _in_array(value: Any, values: Any) -> bool:
    encoded = _key(value)
    return any(_key(item) == encoded for item in _array("$in", values))


def _key(value: Any) -> bytes:
    # A missing field comes before null in comparisons of expressions.
    return b"\x06" if value is MISSING else encode(value)


def _extreme(values: tuple[Any, ...], choose: Callable[..., Any]) -> Any:
    if len(values) == 1 and isinstance(values[0], list):
        values = tuple(values[0])
    known = [v for v in values if v is not MISSING and kind_of(v) != KIND_NULL]
    return choose(known, key=encode) if known else None


def _to_string(value: Any) -> Any:
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (
            value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{value.microsecond // 1000:03}Z"
        )
    return str(value)


_MOST = 1000
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "$add": (0, _MOST, _add),
    "$subtract": (2, 2, _subtract),
    "$multiply": (0, _MOST, _numeric("$multiply", lambda *values: math.prod(values))),
    "$divide": (2, 2, _numeric("$divide", _divide)),
    "$mod": (2, 2, _numeric("$mod", math.fmod)),
    "$abs": (1, 1, _numeric("$abs", abs)),
    "$floor": (1, 1, _numeric("$floor", math.floor)),
    "$ceil": (1, 1, _numeric("$ceil", math.ceil)),
    "$eq": (2, 2, lambda left, right: _key(left) == _key(right)),
    "$ne": (2, 2, lambda left, right: _key(left) != _key(right)),
    "$gt": (2, 2, lambda left, right: _key(left) > _key(right)),
    "$gte": (2, 2, lambda left, right: _key(left) >= _key(right)),
    "$lt": (2, 2, lambda left, right: _key(left) < _key(right)),
    "$lte": (2, 2, lambda left, right: _key(left) <= _key(right)),
    "$not": (1, 1, lambda value: not truth(value)),
    "$size": (1, 1, _size),
    "$arrayElemAt": (2, 2, _element),
    "$first": (1, 1, lambda values: _element(values, 0)),
    "$last": (1, 1, lambda values: _element(values, -1)),
    "$slice": (2, 3, _slice),
    "$concat": (0, _MOST, _concat),
    "$concatArrays": (0, _MOST, _concat_arrays),
    "$toLower": (1, 1, lambda value: _text(value).lower()),
    "$toUpper": (1, 1, lambda value: _text(value).upper()),
    "$toString": (1, 1, _to_string),
    "$isArray": (1, 1, lambda value: isinstance(value, list)),
    "$isNumber": (1, 1, _is_number),
    "$mergeObjects": (0, _MOST, _merge),
    "$in": (2, 2, _in_array),
    "$max": (1, _MOST, lambda *values: _extreme(values, max)),
    "$min": (1, _MOST, lambda *values: _extreme(values, min)),
}
_SPECIAL: dict[str, Callable[[Any], Expression]] = {
    "$literal": _literal,
    "$cond": _cond,
    "$switch": _switch,
    "$ifNull": _if_null,
    "$and": _and,
    "$or": _or,
    "$let": _let,
    "$map": _map,
    "$filter": _filter,
    "$reduce": _reduce,
}
