"""Validation errors of bodies in the form of LibreChat's validation library (zod)."""

from collections.abc import Sequence
from typing import Any


def json_type(value: Any) -> str:
    """The name that zod has for a JSON value's type: ``null``, ``boolean``, ``number``, ``string``,
    ``array`` or ``object``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def wrong_type(expected: str, received: str, path: Sequence[Any] = ()) -> dict[str, Any]:
    """The issue ``{code, expected, received, path, message}`` of a member of a wrong type;
    ``received`` is ``undefined`` for a missing member."""
    missing = received == "undefined"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": list(path),
        "message": "Required" if missing else f"Expected {expected}, received {received}",
    }
