"""Dotted paths, as the server walks them."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from locutory_sqlite.ordering import MISSING

Values = Callable[[dict[str, Any]], Iterator[Any]]


@lru_cache(maxsize=4096)
def split(path: str) -> tuple[str, ...]:
    """The names of a path."""
    return tuple(path.split("."))


def position_of(name: str) -> int | None:
    """The position in an array that a name of a path means; ``None`` for a name only."""
    if name.isdecimal() and name.isascii() and (name[0] != "0" or name == "0"):
        return int(name)
    return None


def walk(value: Any, parts: tuple[str, ...], at: int) -> tuple[Any, int]:
    """Follow a path through objects, up to its end or the first array: the value there, and the
    number of names used; `MISSING` where the path ends before."""
    while at < len(parts):
        if not isinstance(value, dict):
            if isinstance(value, list):
                return value, at
            return MISSING, len(parts)
        value = value.get(parts[at], MISSING)
        at += 1
    return value, at


def elements(
    value: Any, parts: tuple[str, ...], at: int = 0, *, spread: bool = True
) -> Iterator[Any]:
    """Yield the values that a condition on a path is tested on: the value itself, and for an array
    its elements before it (with ``spread``). `MISSING` when there is no such field; nothing for an
    array in the middle of the path none of whose elements is an object."""
    value, at = walk(value, parts, at)
    if not isinstance(value, list):
        yield value
        return
    if at == len(parts):
        if spread:
            yield from value
        yield value
        return
    name = parts[at]
    place = position_of(name)
    for position, inner in enumerate(value):
        if isinstance(inner, dict):
            yield from elements(inner, parts, at, spread=spread)
        if position == place:
            if at + 1 == len(parts):
                yield inner  # not its elements, if it is an array
            elif isinstance(inner, dict | list):
                yield from elements(inner, parts, at + 1, spread=spread)


@lru_cache(maxsize=4096)
def values_at(path: str) -> Values:
    """`elements` of a path, as a function of the document."""
    parts = split(path)
    if len(parts) > 1:
        return lambda document: elements(document, parts)

    def top(document: dict[str, Any]) -> Iterator[Any]:
        value = document.get(path, MISSING)
        if isinstance(value, list):
            yield from value
        yield value

    return top


def get(document: Any, parts: tuple[str, ...]) -> Any:
    """The value of ``"$a.b"`` in an aggregation: through an array, the list of the values that its
    objects have; `MISSING` when there is none."""
    for at, name in enumerate(parts):
        if isinstance(document, dict):
            document = document.get(name, MISSING)
        elif isinstance(document, list):
            found = (get(inner, parts[at:]) for inner in document if isinstance(inner, dict))
            return [inner for inner in found if inner is not MISSING]
        else:
            return MISSING
    return document
