"""Indexes: their definition, and the keys that a document has in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_sqlite.errors import (
    OPTIONS_CONFLICT,
    invalid,
    not_supported,
)
from locutory_sqlite.filters import Filter, compile_filter
from locutory_sqlite.ordering import COMPLEMENT, EMPTY_ARRAY, MISSING, encode
from locutory_sqlite.paths import split
from locutory_sqlite.rows import EMPTY, rows_of

_KNOWN = frozenset(
    {"key", "name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds"}
)
# What MongoDB takes as well and what changes nothing here.
_IGNORED = frozenset({"background", "v", "ns", "hidden"})


@dataclass(slots=True)
class Index:
    """An index of a collection. ``number`` names its table; ``multikey``: did a document ever
    have more than one key in it, so that two ranges on a path must not be intersected?"""

    name: str
    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    sparse: bool = False
    partial: Mapping[str, Any] | None = None
    expire_after_seconds: float | None = None
    number: int = 0
    multikey: bool = False
    _parts: tuple[tuple[str, ...], ...] = ()
    condition: Filter | None = field(default=None, repr=False, compare=False)
    """The compiled filter of a partial index."""

    def __post_init__(self) -> None:
        self._parts = tuple(split(path) for path, _ in self.keys)
        self.condition = compile_filter(self.partial) if self.partial else None

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
        if self.condition is not None and not self.condition.test(document):
            return []
        if len(self.keys) == 1 and len(self._parts[0]) == 1:
            value = document.get(self.keys[0][0], MISSING)
            if not isinstance(value, list):
                if value is MISSING and self.sparse:
                    return []
                encoded = encode(value)
                return [encoded if self.keys[0][1] == 1 else encoded.translate(COMPLEMENT)]
        rows = rows_of(document, self._parts)
        if self.sparse and all(value is MISSING for row in rows for value in row):
            return []
        return list(dict.fromkeys(self._key(row) for row in rows))

    def _key(self, row: tuple[Any, ...]) -> bytes:
        return b"".join(
            [
                encoded if direction == 1 else encoded.translate(COMPLEMENT)
                for encoded, (_, direction) in zip(
                    (EMPTY_ARRAY if value is EMPTY else encode(value) for value in row),
                    self.keys,
                    strict=True,
                )
            ]
        )

    def values(self, document: dict[str, Any], key: bytes) -> dict[str, Any]:
        """The values that make a key of a document, for the error of a duplicate."""
        for row in rows_of(document, self._parts):
            if self._key(row) == key:
                plain = (None if value is MISSING or value is EMPTY else value for value in row)
                return dict(zip((path for path, _ in self.keys), plain, strict=True))
        return {}


def _check_partial(query: Mapping[str, Any]) -> None:
    """The planner could not tell whether a filter implies these; MongoDB refuses them too."""
    for key, value in query.items():
        if key in ("$nor", "$expr"):
            raise invalid(f"Expression not supported in partial index: {key}", 67)
        for clause in value if key in ("$and", "$or") else ():
            _check_partial(clause)
