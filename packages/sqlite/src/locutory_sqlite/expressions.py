"""Aggregation expressions: ``"$path"``, ``"$$ROOT"``, literals and operators.

An expression is compiled to a function of its scope, the variables by name (``ROOT`` and
``CURRENT`` are the document). A field that is not there is `MISSING`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from locutory_sqlite.arithmetic import whole
from locutory_sqlite.errors import FAILED_TO_PARSE, invalid, not_supported
from locutory_sqlite.functions import FUNCTIONS, array, is_null, truth
from locutory_sqlite.ordering import MISSING
from locutory_sqlite.paths import get, split

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]


def scope_of(document: dict[str, Any]) -> Scope:
    """The variables of an expression on a document."""
    return {"ROOT": document, "CURRENT": document}


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
        for name in value:
            if not name or "." in name or name.startswith("$"):
                raise invalid(f"FieldPath field names may not contain '.' or '$': {name!r}", 16412)
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


def _names(path: str) -> tuple[str, ...]:
    parts = split(path)
    if "" in parts:
        raise invalid(f"'${path}' is not a valid FieldPath: it has an empty name", 15998)
    if any(part.startswith("$") for part in parts):
        raise invalid(f"FieldPath field names may not start with '$': ${path}", 16410)
    return parts


def _field(path: str) -> Expression:
    parts = _names(path)
    if len(parts) > 1:
        return lambda scope: get(scope["CURRENT"], parts)

    def run(scope: Scope) -> Any:
        document = scope["CURRENT"]
        return document.get(path, MISSING) if isinstance(document, dict) else get(document, parts)

    return run


def _variable(path: str) -> Expression:
    name, dot, rest = path.partition(".")
    if name == "REMOVE":
        return lambda _scope: MISSING
    if name == "NOW":
        moment = datetime.now(UTC)
        return lambda _scope: moment
    parts = _names(rest) if dot else ()

    def run(scope: Scope) -> Any:
        if name not in scope:
            raise invalid(f"Use of undefined variable: {name}", 17276)
        return get(scope[name], parts) if parts else scope[name]

    return run


def _operator(name: str, operand: Any) -> Expression:
    special = SPECIAL.get(name)
    if special is not None:
        return special(operand)
    function = FUNCTIONS.get(name)
    if function is None:
        raise not_supported(f"the expression operator {name}")
    least, most, work = function
    arguments = [
        compile_expression(inner) for inner in (operand if isinstance(operand, list) else [operand])
    ]
    if not least <= len(arguments) <= most:
        raise invalid(f"Expression {name} takes {least} to {most} arguments", 16020)
    if len(arguments) == 1:
        (only,) = arguments
        return lambda scope: work(only(scope))
    return lambda scope: work(*[argument(scope) for argument in arguments])


def _named(name: str, operand: Any, needed: tuple[str, ...], *optional: str) -> Mapping[str, Any]:
    """The arguments of an operator that takes them by name."""
    if not isinstance(operand, Mapping):
        raise invalid(f"{name} only supports an object as its argument", FAILED_TO_PARSE)
    for key in operand:
        if key not in needed and key not in optional:
            raise invalid(f"Unrecognized parameter to {name}: {key}", FAILED_TO_PARSE)
    for key in needed:
        if key not in operand:
            raise invalid(f"Missing '{key}' parameter to {name}", FAILED_TO_PARSE)
    return operand


def _literal(operand: Any) -> Expression:
    return lambda _scope: operand


def _cond(operand: Any) -> Expression:
    if isinstance(operand, Mapping):
        named = _named("$cond", operand, ("if", "then", "else"))
        operand = [named["if"], named["then"], named["else"]]
    if not isinstance(operand, list) or len(operand) != 3:
        raise invalid("Expression $cond takes exactly 3 arguments", 16020)
    test, then, otherwise = (compile_expression(inner) for inner in operand)
    return lambda scope: then(scope) if truth(test(scope)) else otherwise(scope)


def _switch(operand: Any) -> Expression:
    given = _named("$switch", operand, ("branches",), "default")
    if not isinstance(given["branches"], list) or not given["branches"]:
        raise invalid("$switch requires an array of at least one branch", 40068)
    branches = []
    for one in given["branches"]:
        branch = _named("$switch", one, ("case", "then"))
        branches.append((compile_expression(branch["case"]), compile_expression(branch["then"])))
    default = compile_expression(given["default"]) if "default" in given else None

    def run(scope: Scope) -> Any:
        for test, then in branches:
            if truth(test(scope)):
                return then(scope)
        if default is None:
            raise invalid("$switch could not find a matching branch for an input", 40066)
        return default(scope)

    return run


def _if_null(operand: Any) -> Expression:
    if not isinstance(operand, list) or len(operand) < 2:
        raise invalid("$ifNull needs at least two arguments", 1257300)
    *tried, last = (compile_expression(inner) for inner in operand)

    def run(scope: Scope) -> Any:
        for expression in tried:
            value = expression(scope)
            if not is_null(value):
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
    given = _named("$let", operand, ("vars", "in"))
    if not isinstance(given["vars"], Mapping):
        raise invalid("invalid parameter: expected an object (vars)", 10065)
    names = {
        _user_variable(name): compile_expression(value) for name, value in given["vars"].items()
    }
    inner = compile_expression(given["in"])
    return lambda scope: inner({**scope, **{name: value(scope) for name, value in names.items()}})


def _user_variable(name: Any) -> str:
    if not isinstance(name, str) or not name[:1].islower() or not name.replace("_", "a").isalnum():
        raise invalid(f"'{name}' starts with an invalid character for a user variable name", 16867)
    return name


def _map(operand: Any) -> Expression:
    given = _named("$map", operand, ("input", "in"), "as")
    source, inner = compile_expression(given["input"]), compile_expression(given["in"])
    name = _user_variable(given.get("as", "this"))

    def run(scope: Scope) -> Any:
        values = source(scope)
        if is_null(values):
            return None
        return [_null(inner({**scope, name: value})) for value in array("$map", values)]

    return run


def _filter(operand: Any) -> Expression:
    given = _named("$filter", operand, ("input", "cond"), "as", "limit")
    source, inner = compile_expression(given["input"]), compile_expression(given["cond"])
    name = _user_variable(given.get("as", "this"))
    limit = compile_expression(given.get("limit"))

    def run(scope: Scope) -> Any:
        values, most = source(scope), limit(scope)
        if is_null(values):
            return None
        wanted = whole(most)
        if not is_null(most) and (wanted is None or wanted < 1):
            raise invalid("$filter: limit must be greater than 0", 327392)
        found: list[Any] = []
        for value in array("$filter", values, 28651):
            if truth(inner({**scope, name: value})):
                found.append(value)
                if len(found) == wanted:
                    break
        return found

    return run


def _reduce(operand: Any) -> Expression:
    given = _named("$reduce", operand, ("input", "initialValue", "in"))
    source, start, inner = (
        compile_expression(given[key]) for key in ("input", "initialValue", "in")
    )

    def run(scope: Scope) -> Any:
        values = source(scope)
        if is_null(values):
            return None
        value = start(scope)
        for this in array("$reduce", values, 40080):
            value = inner({**scope, "this": this, "value": value})
        return value

    return run


SPECIAL: dict[str, Callable[[Any], Expression]] = {
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
"""The operators that do not evaluate all of their arguments, or that name variables."""

__all__ = ["FUNCTIONS", "SPECIAL", "Expression", "Scope", "compile_expression", "scope_of", "truth"]
