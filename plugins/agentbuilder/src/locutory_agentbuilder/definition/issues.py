"""Validation errors of a body, in the form of LibreChat's responses (contract agents §5)."""

from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from locutory_contracts.issues import json_type, wrong_type

_MOST = 50

_EXPECTED = {
    "string_type": "string",
    "bool_type": "boolean",
    "float_type": "number",
    "int_type": "number",
    "finite_number": "number",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}
_SIZES = {
    "string_too_short": ("too_small", "minimum", "min_length", "string", "at least", "String"),
    "string_too_long": ("too_big", "maximum", "max_length", "string", "at most", "String"),
    "too_short": ("too_small", "minimum", "min_length", "array", "at least", "Array"),
    "too_long": ("too_big", "maximum", "max_length", "array", "at most", "Array"),
    "greater_than_equal": ("too_small", "minimum", "ge", "number", "greater than or equal to", ""),
    "less_than_equal": ("too_big", "maximum", "le", "number", "less than or equal to", ""),
}

Issue = dict[str, Any]


class Invalid(ValueError):
    """The body is invalid. ``issues`` are the reasons, each ``{code, path, message, …}``."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(str(issue["message"]) for issue in issues))
        self.issues = issues


def issues_of(errors: Iterable[ErrorDetails], missing: str = "string") -> list[Issue]:
    """The issues of a failed check; ``missing`` is the type of members that are required."""
    found: list[Issue] = []
    for error in errors:
        if len(found) == _MOST:
            break
        found.append(_issue(error, missing))
    return found


def _issue(error: ErrorDetails, missing: str) -> Issue:
    kind, path, context = error["type"], list(error["loc"]), error.get("ctx", {})
    if kind == "missing":
        return wrong_type(missing, "undefined", path)
    if kind in _EXPECTED:
        return wrong_type(_EXPECTED[kind], json_type(error["input"]), path)
    if kind in _SIZES:
        code, bound, name, what, words, subject = _SIZES[kind]
        limit = context[name]
        if what == "number":
            message = f"Number must be {words} {limit}"
        else:
            unit = "character(s)" if what == "string" else "element(s)"
            message = f"{subject} must contain {words} {limit} {unit}"
        return {
            "code": code,
            bound: limit,
            "type": what,
            "inclusive": True,
            "exact": False,
            "message": message,
            "path": path,
        }
    if kind == "literal_error":
        return {
            "code": "invalid_enum_value",
            "received": error["input"] if isinstance(error["input"], str) else None,
            "path": path,
            "message": f"Invalid enum value. Expected {context['expected']}",
        }
    message = str(context["error"]) if kind == "value_error" else error["msg"]
    return {"code": "custom", "message": message, "path": path}
