"""What is wrong with a body, in the words of LibreChat's validation (zod)."""

from collections.abc import Sequence
from typing import Any


def json_type(value: Any) -> str:
    """The name of a JSON value's type there: ``null``, ``boolean``, ``number``, ``string``,
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
    """``{code, expected, received, path, message}`` of a member of a wrong type; ``received``
    is ``undefined`` for one that is missing."""
    missing = received == "undefined"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": list(path),
        "message": "Required" if missing else f"Expected {expected}, received {received}",
    }
