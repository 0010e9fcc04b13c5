"""Places in a document that an update changes, and copies."""

from collections.abc import Callable
from typing import Any

from locutory_sqlite.errors import PATH_NOT_VIABLE, write_error
from locutory_sqlite.ordering import MISSING

Document = dict[str, Any]
Change = Callable[[Document, bool], None]
"""Applies one operator on one path to a document; the flag is ``True`` while it is being
inserted."""


def deepcopy_document(value: Any) -> Any:
    """A copy of the containers; values are never changed in place."""
    if isinstance(value, dict):
        return {name: deepcopy_document(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [deepcopy_document(inner) for inner in value]
    return value


def holder(document: Any, parts: tuple[str, ...], *, create: bool) -> Any:
    """The object or array that holds the last name of a path; ``None`` where it is not there
    and ``create`` is off."""
    value = document
    for number, part in enumerate(parts[:-1]):
        if isinstance(value, dict):
            inner = value.get(part, MISSING)
            if inner is MISSING:
                if not create:
                    return None
                inner = value[part] = {}
        elif isinstance(value, list) and part.isdecimal():
            position = int(part)
            if position >= len(value):
                if not create:
                    return None
                _fill(value, position)
                value.append({})
            inner = value[position]
        elif create:
            raise _not_viable(parts, number, value)
        else:
            return None
        value = inner
    if isinstance(value, dict) or (isinstance(value, list) and parts[-1].isdecimal()):
        return value
    if create:
        raise _not_viable(parts, len(parts) - 1, value)
    return None


def source_of(document: Any, parts: tuple[str, ...]) -> Any:
    """The object or array with the last name of a path in it; ``None`` where that is not there.
    ``WriteError`` for a path through something that is neither."""
    value = document
    for number, part in enumerate(parts):
        if isinstance(value, dict):
            inner = value.get(part, MISSING)
        elif isinstance(value, list) and part.isdecimal():
            inner = value[int(part)] if int(part) < len(value) else MISSING
        else:
            raise _not_viable(parts, number, value)
        if inner is MISSING:
            return None
        holds, value = value, inner
    return holds


def _fill(values: list[Any], length: int) -> None:
    if length > len(values) + 1_500_000:
        raise write_error("can't backfill more than 1500000 elements", 2)
    values.extend([None] * (length - len(values)))


def _not_viable(parts: tuple[str, ...], number: int, value: Any) -> Exception:
    where = f"{parts[number - 1]}: {value!r}"[:200] if number else repr(value)[:200]
    text = f"Cannot create field '{parts[number]}' in element {{{where}}}"
    return write_error(text, PATH_NOT_VIABLE)


def read(holder: Any, name: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(name, MISSING)
    if isinstance(holder, list) and int(name) < len(holder):
        return holder[int(name)]
    return MISSING


def write(holder: Any, name: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[name] = value
        return
    position = int(name)
    if position < len(holder):
        holder[position] = value
    else:
        _fill(holder, position)
        holder.append(value)


def changing(parts: tuple[str, ...], work: Callable[[Any], Any], *, create: bool = True) -> Change:
    """Replaces the value of a path by the result of ``work``; the result `MISSING` changes nothing.
    Without ``create`` a missing value is not added."""

    def change(document: Document, _inserting: bool) -> None:
        place = holder(document, parts, create=create)
        if place is None:
            return
        before = read(place, parts[-1])
        if before is MISSING and not create:
            return
        after = work(before)
        if after is not MISSING:
            write(place, parts[-1], after)

    return change
