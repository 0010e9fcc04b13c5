"""Conversion of the text of an environment variable: LibreChat's booleans, arithmetic, lists."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def arithmetic(text: str) -> float:
    """The value of ``1000 * 60 * 15``; ``ValueError`` for anything but + - * / and numbers."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise ValueError(f"'{text}' is not a number")

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, RecursionError, OverflowError, MemoryError):
        raise ValueError(f"'{text}' is not a number") from None


def flag(text: str | None) -> bool:
    """A boolean of LibreChat: ``True`` for 'true', trimmed and in any case, ``False`` for all
    else."""
    return text is not None and text.strip().lower() == "true"


def kind_of(annotation: Any) -> Any:
    """The type of a field's values, without ``None`` and annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kind_of(get_args(annotation)[0])
    options = [arg for arg in get_args(annotation) if arg is not type(None)]
    if origin not in (list, tuple, dict, set) and len(options) == 1:
        return kind_of(options[0])
    return origin or annotation


def _whole(text: str) -> int:
    number = arithmetic(text)
    if not math.isfinite(number):
        raise ValueError(f"'{text}' is not a number")
    return int(number)


def from_text(annotation: Any, text: str) -> Any:
    """The text of an environment variable as a value of a field's type: booleans, arithmetic,
    comma-separated lists, else text. ``ValueError`` when it cannot be converted."""
    kind = kind_of(annotation)
    if kind is bool:
        return flag(text)
    if kind is int:
        return _whole(text)
    if kind is float:
        return arithmetic(text)
    if kind in (list, tuple, set):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
