"""Indexes: their definition, and the keys that a document has in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_sqlite.arithmetic import is_number
from locutory_sqlite.errors import (
    INDEX_KEY_CONFLICT,
    OPTIONS_CONFLICT,
    invalid,
    not_supported,
)
from locutory_sqlite.filters import Filter, compile_filter, is_operators
from locutory_sqlite.ordering import COMPLEMENT, EMPTY_ARRAY, MISSING, encode
from locutory_sqlite.paths import split, walk
from locutory_sqlite.rows import EMPTY, rows_of

_KNOWN = frozenset(
    {"key", "name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds"}
)
_IN_PARTIAL = frozenset({"$eq", "$in", "$gt", "$gte", "$lt", "$lte", "$exists", "$type"})
CANNOT_CREATE = 67
# What MongoDB takes as well and what changes nothing here.
_IGNORED = frozenset({"background", "v", "ns", "hidden"})


class Components(dict[tuple[str, int], bytes | None]):
    """The components of the keys of one document, in all indexes: by path and direction, the bytes
    of the value there; ``None`` where an array is on the path. ``arrays``: ``True`` when there was
    such a path among those that were read."""

    __slots__ = ("arrays", "document")

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__()
        self.document = document
        self.arrays = False

    def __missing__(self, component: tuple[str, int]) -> bytes | None:
        path, direction = component
        if "." in path:
            value, _ = walk(self.document, split(path), 0)
        else:
            value = self.document.get(path, MISSING)
        if isinstance(value, list):
            self.arrays = True
            self[component] = None
            return None
        encoded = encode(value)
        if direction == -1:
            encoded = encoded.translate(COMPLEMENT)
        self[component] = encoded
        return encoded


@dataclass(slots=True)
class Index:
    """An index of a collection. ``number`` names its table; ``multikey``: ``True`` when a document
    ever had more than one key in it, so that two ranges on a path must not be intersected.
    ``filled``: the last row whose keys it has, ``None`` once it has them all. ``fields``: the
    top-level fields on which the keys of a document depend."""

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
    condition: Filter | None = field(default=None, repr=False, compare=False)
    """The compiled filter of a partial index."""

    def __post_init__(self) -> None:
        self._parts = tuple(split(path) for path, _ in self.keys)
        self.condition = compile_filter(self.partial) if self.partial else None
        names = {path for path, _ in self.keys} | set(_paths(self.partial or {}))
        self.fields = frozenset(split(path)[0] for path in names)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Index":
        """An index from a definition of ``createIndexes``; ``OperationFailure`` for kinds that are
        not supported."""
        unknown = {name for name, value in document.items() if value} - _KNOWN - _IGNORED
        if unknown:
            raise not_supported(f"the index option {sorted(unknown)[0]}")
        keys = []
        for path, direction in document["key"].items():
            if direction not in (1, -1):
                raise not_supported(f"indexes of the kind {direction!r}")
            if "$**" in split(path):
                raise not_supported("wildcard indexes ($**)")
            if any(not part or part.startswith("$") for part in split(path)):
                raise invalid(f"Index keys cannot be named '{path}'", CANNOT_CREATE)
            keys.append((path, int(direction)))
        if not keys:
            raise invalid("an index needs at least one key")
        name = document.get("name") or "_".join(f"{path}_{way}" for path, way in keys)
        if document.get("sparse") and document.get("partialFilterExpression"):
            raise invalid("cannot mix partialFilterExpression and sparse options", CANNOT_CREATE)
        partial = document.get("partialFilterExpression")
        if partial is not None:
            if not isinstance(partial, Mapping):
                raise invalid("partialFilterExpression must be an object", CANNOT_CREATE)
            compile_filter(partial)  # tells what is malformed
            _check_partial(partial)
        seconds = document.get("expireAfterSeconds")
        if seconds is not None and (len(keys) > 1 or not is_number(seconds)):
            raise invalid("TTL indexes are single-field indexes with a number", CANNOT_CREATE)
        return cls(
            name,
            tuple(keys),
            bool(document.get("unique")),
            bool(document.get("sparse")),
            partial,
            document.get("expireAfterSeconds"),
        )

    def to_document(self) -> dict[str, Any]:
        """The definition as ``listIndexes`` shows it."""
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
        """``True`` when ``other`` is this index. ``OperationFailure`` when only its name or keys
        are the same."""
        mine, theirs = self.to_document(), other.to_document()
        if mine == theirs:
            return True
        if self.name == other.name or self.keys == other.keys:
            text = (
                "An existing index has the same name as the requested index, or the same keys with"
                f" other options. Requested index: {theirs}, existing index: {mine}"
            )
            raise invalid(text, OPTIONS_CONFLICT if self.keys == other.keys else INDEX_KEY_CONFLICT)
        return False

    def entries(self, components: Components) -> list[bytes]:
        """The keys of a document, without doubles; none where the index leaves it out.
        ``WriteError`` for two arrays side by side."""
        document = components.document
        if self.condition is not None and not self.condition.test(document):
            return []
        parts = [components[key] for key in self.keys]
        if None not in parts:
            if self.sparse and not self._is_there(document):
                return []
            return [b"".join(parts)]  # type: ignore[arg-type]
        rows = rows_of(document, self._parts)
        if self.sparse and all(value is MISSING for row in rows for value in row):
            return []
        return list(dict.fromkeys(self._key(row) for row in rows))

    def _is_there(self, document: dict[str, Any]) -> bool:
        """``True`` when a document without arrays on its paths has one of the fields."""
        return any(walk(document, parts, 0)[0] is not MISSING for parts in self._parts)

    def _key(self, row: tuple[Any, ...]) -> bytes:
        components = []
        for value, (_, direction) in zip(row, self.keys, strict=True):
            encoded = EMPTY_ARRAY if value is EMPTY else encode(value)
            components.append(encoded if direction == 1 else encoded.translate(COMPLEMENT))
        return b"".join(components)

    def has_array(self, components: Components) -> bool:
        """``True`` when an array is on one of its paths. Even with a single key it is not a single
        value then."""
        return None in [components[key] for key in self.keys]

    def values(self, document: dict[str, Any], key: bytes) -> dict[str, Any]:
        """The values that make a key of a document, for the error of a duplicate."""
        for row in rows_of(document, self._parts):
            if self._key(row) == key:
                plain = (None if value is MISSING or value is EMPTY else value for value in row)
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
            raise invalid(f"Expression not supported in partial index: {key}", CANNOT_CREATE)
        for clause in value if key in ("$and", "$or") else ():
            _check_partial(clause)
        for operator, operand in value.items() if is_operators(value) else ():
            if operator not in _IN_PARTIAL or (operator == "$exists" and not operand):
                text = f"Expression not supported in partial index: {operator} {operand!r}"
                raise invalid(text, CANNOT_CREATE)
