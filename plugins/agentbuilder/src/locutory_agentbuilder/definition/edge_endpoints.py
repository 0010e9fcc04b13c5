"""The two sides of an edge: the id of an agent, or several."""

from typing import Annotated, Any

from pydantic import BeforeValidator

_MAX_ID_LENGTH = 256
_MAX_IDS = 32


def _check(value: Any) -> str | list[str]:
    ends = value if isinstance(value, list) else [value]
    if not all(isinstance(end, str) for end in ends):
        raise ValueError("Expected string or array of strings")
    if not ends:
        raise ValueError("Array must contain at least 1 element(s)")
    if len(ends) > _MAX_IDS:
        raise ValueError(f"Array must contain at most {_MAX_IDS} element(s)")
    if any(len(end) > _MAX_ID_LENGTH for end in ends):
        raise ValueError(f"String must contain at most {_MAX_ID_LENGTH} character(s)")
    found: str | list[str] = value
    return found


EdgeEndpoints = Annotated[str | list[str], BeforeValidator(_check)]


def as_list(ends: Any) -> list[str]:
    """The ids of one side of an edge; of something malformed, none."""
    if isinstance(ends, str):
        return [ends]
    return [end for end in ends if isinstance(end, str)] if isinstance(ends, list) else []


def replaced(ends: Any, old: str, new: str) -> Any:
    """One side of an edge with an id in the place of another."""
    if isinstance(ends, list):
        return [new if end == old else end for end in ends]
    return new if ends == old else ends
