"""Rows: the values of several paths that belong together, for keys of indexes and of sorts."""

from typing import Any, Final

from locutory_sqlite.errors import PARALLEL_ARRAYS, write_error
from locutory_sqlite.ordering import MISSING
from locutory_sqlite.paths import position_of, walk

EMPTY: Final[Any] = object()
"""The representation of an array without elements in a row."""


def rows_of(document: Any, paths: tuple[tuple[str, ...], ...]) -> list[tuple[Any, ...]]:
    """The values under the paths, a row for each element of the one array among them; `EMPTY` for
    an array without elements, `MISSING` where there is nothing. ``WriteError`` for two arrays
    side by side, and where a number could be a position or the name of a field."""
    fixed: list[Any] = []
    array: list[Any] | None = None
    inside: list[int] = []
    for number, parts in enumerate(paths):
        value, at = walk(document, parts, 0)
        fixed.append(value)
        if isinstance(value, list):
            if array is not None and value is not array:
                shown = " ".join(f"[{'.'.join(paths[n])}]" for n in (inside[0], number))
                raise write_error(f"cannot index parallel arrays {shown}", PARALLEL_ARRAYS)
            array = value
            inside.append(number)
            fixed[number] = parts[at:]
    if array is None:
        return [tuple(fixed)]
    rows: list[tuple[Any, ...]] = []
    for position, element in enumerate(array or [EMPTY]):
        rows += _spread(fixed, inside, element, position)
    return rows


def _spread(
    fixed: list[Any], inside: list[int], element: Any, position: int
) -> list[tuple[Any, ...]]:
    """The rows of one element of the array in which the paths ``inside`` end or go on."""
    row = list(fixed)
    deeper: dict[int, tuple[str, ...]] = {}
    for number in inside:
        rest: tuple[str, ...] = fixed[number]
        if not rest:
            row[number] = element
        elif position_of(rest[0]) == position and element is not EMPTY:
            if isinstance(element, dict) and rest[0] in element:
                text = f"Ambiguous field name found in array (do not use numeric field names): '{rest[0]}'"
                raise write_error(text, 16746)
            row[number] = element
            if len(rest) > 1:
                deeper[number] = rest[1:]
        elif isinstance(element, dict):
            deeper[number] = rest
        else:
            row[number] = MISSING
    if not deeper:
        return [tuple(row)]
    numbers = list(deeper)
    inner = element if isinstance(element, dict | list) else {}
    found = []
    for values in rows_of(inner, tuple(deeper.values())):
        for number, value in zip(numbers, values, strict=True):
            row[number] = value
        found.append(tuple(row))
    return found
