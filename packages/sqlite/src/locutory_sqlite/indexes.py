"""Indexes: their definition, and the keys that a document has in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_sqlite.errors import (
    OPTIONS_CONFLICT,
    PARALLEL_ARRAYS,
    invalid,
    not_supported,
    write_error,
)
from locutory_sqlite.filters import Test, compile_filter
from locutory_sqlite.ordering import COMPLEMENT, EMPTY_ARRAY, MISSING, encode
from locutory_sqlite.paths import split, walk

_EMPTY: Any = object()
_KNOWN = frozenset(
    {"key", "name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds"}
)
# What MongoDB takes as well and what changes nothing here.
_IGNORED = frozenset({"background", "v", "ns", "hidden"})


@dataclass(slots=True)
class Index:
    """An index of a collection. ``number`` names its table; ``multikey``: did a document ever
    have more than one key in it, so that two ranges on a path must not be intersected? ``filled``:
    the last row whose keys it has, ``None`` once it has them all. ``fields``: the top-level fields
    on which the keys of a document depend."""

    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    sparse: bool = False
    partial: Mapping[str, Any] | None = None
    expire_after_seconds: float | None = None
    number: int = 0
    multikey: bool = False
    filled: int | None = None
    fields: frozenset[str] = frozenset()
    _parts: tuple[tuple[str, ...], ...] = ()
    _covers: Test | None = field(default=None, repr=False)
    _single: str = ""

    def __post_init__(self) -> None:
        self._parts = tuple(split(path) for path, _ in self.keys)
        self._covers = compile_filter(self.partial).test if self.partial else None
        if len(self.keys) == 1 and len(self._parts[0]) == 1:
            self._single = self.keys[0][0]
        names = {path for path, _ in self.keys} | set(_paths(self.partial or {}))
        self.fields = frozenset(split(path)[0] for path in names)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Index":
        """From what ``createIndexes`` takes; ``OperationFailure`` for kinds that are not here."""
        unknown = {name for name, value in document.items() if value} - _KNOWN - _IGNORED
        if unknown:
            raise not_supported(f"the index option {sorted(unknown)[0]}")
        keys = []
        for path, direction in document["key"].items():
            if direction not in (1, -1):
                raise not_supported(f"indexes of the kind {direction!r}")
            keys.append((path, int(direction)))
        if not keys:
            raise invalid("an index needs at least one key")
        name = document.get("name") or "_".join(f"{path}_{way}" for path, way in keys)
        if document.get("sparse") and document.get("partialFilterExpression"):
            raise invalid("cannot mix partialFilterExpression and sparse options", 67)
        _check_partial(document.get("partialFilterExpression") or {})
        return cls(
            name,
            tuple(keys),
            bool(document.get("unique")),
            bool(document.get("sparse")),
            document.get("partialFilterExpression"),
            document.get("expireAfterSeconds"),
        )

    def to_document(self) -> dict[str, Any]:
        """As ``listIndexes`` shows it."""
        document: dict[str, Any] = {"v": 2, "key": dict(self.keys), "name": self.name}
        if self.unique:
            document["unique"] = True
        if self.sparse:
            document["sparse"] = True
        if self.partial is not None:
            document["partialFilterExpression"] = dict(self.partial)
        if self.expire_after_seconds is not None:
            document["expireAfterSeconds"] = self.expire_after_seconds
        return document

    def check_same(self, other: "Index") -> bool:
        """Is ``other`` this index? ``OperationFailure`` where it only has its name or keys."""
        mine, theirs = self.to_document(), other.to_document()
        if mine == theirs:
            return True
        if self.name == other.name or self.keys == other.keys:
            text = (
                "An existing index has the same name as the requested index, or the same keys with"
                f" other options. Requested index: {theirs}, existing index: {mine}"
            )
            raise invalid(text, OPTIONS_CONFLICT if self.keys == other.keys else 86)
        return False

    def entries(self, document: dict[str, Any]) -> list[bytes]:
        """The keys of a document, without doubles; none where the index leaves it out.
        ``WriteError`` for two arrays side by side."""
        if self._covers is not None and not self._covers(document):
            return []
        if self._single:
            value = document.get(self._single, MISSING)
            if not isinstance(value, list):
                if value is MISSING and self.sparse:
                    return []
                encoded = encode(value)
                return [encoded if self.keys[0][1] == 1 else encoded.translate(COMPLEMENT)]
        rows = _rows(document, self._parts)
        if self.sparse and all(value is MISSING for row in rows for value in row):
            return []
        if len(rows) == 1:
            return [self._key(rows[0])]
        return list(dict.fromkeys(self._key(row) for row in rows))

    def _key(self, row: tuple[Any, ...]) -> bytes:
        components = []
        for value, (_, direction) in zip(row, self.keys, strict=True):
            encoded = EMPTY_ARRAY if value is _EMPTY else encode(value)
            components.append(encoded if direction == 1 else encoded.translate(COMPLEMENT))
        return b"".join(components)

    def has_array(self, document: dict[str, Any]) -> bool:
        """Is an array on one of its paths? Even with a single key it is no single value then."""
        if self._single:
            return isinstance(document.get(self._single), list)
        return any(isinstance(walk(document, parts, 0)[0], list) for parts in self._parts)

    def values(self, document: dict[str, Any], key: bytes) -> dict[str, Any]:
        """The values that make a key of a document, for the error of a duplicate."""
        for row in _rows(document, self._parts):
            if self._key(row) == key:
                plain = (None if value is MISSING or value is _EMPTY else value for value in row)
                return dict(zip((path for path, _ in self.keys), plain, strict=True))
        return {}


def _paths(query: Mapping[str, Any]) -> Iterator[str]:
    """The paths of a condition."""
    for key, value in query.items():
        if not key.startswith("$"):
            yield key
        for clause in value if key in ("$and", "$or") else ():
            yield from _paths(clause)


def _check_partial(query: Mapping[str, Any]) -> None:
    """The planner could not tell whether a filter implies these; MongoDB refuses them too."""
    for key, value in query.items():
        if key in ("$nor", "$expr"):
            raise invalid(f"Expression not supported in partial index: {key}", 67)
        for clause in value if key in ("$and", "$or") else ():
            _check_partial(clause)


def _rows(document: Any, paths: tuple[tuple[str, ...], ...]) -> list[tuple[Any, ...]]:
    """The values under the paths, a row for each element of the one array among them."""
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
    for position, element in enumerate(array or [_EMPTY]):
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
        elif rest[0].isdecimal() and int(rest[0]) == position and element is not _EMPTY:
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
    for values in _rows(inner, tuple(deeper.values())):
        for number, value in zip(numbers, values, strict=True):
            row[number] = value
        found.append(tuple(row))
    return found
