"""Sort orders, and the keys of documents in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import WriteError

from locutory_sqlite.arithmetic import whole
from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.ordering import COMPLEMENT, EMPTY_ARRAY, encode
from locutory_sqlite.paths import split
from locutory_sqlite.rows import EMPTY, rows_of

Order = list[tuple[str, int]]


def order_of(sort: Any) -> Order:
    """A sort as the driver takes it (a name, pairs, a mapping), as pairs of path and 1 or -1."""
    if sort is None:
        return []
    if isinstance(sort, str):
        sort = [(sort, 1)]
    pairs = list(sort.items()) if isinstance(sort, Mapping) else list(sort)
    order: Order = []
    for pair in pairs:
        path, direction = (pair, 1) if isinstance(pair, str) else pair
        if isinstance(direction, Mapping):
            raise not_supported("sorting by $meta")
        way = whole(direction)
        if way not in (1, -1):
            raise invalid(f"$sort key ordering must be 1 (for ascending) or -1, not {direction!r}")
        if path.startswith("$"):
            raise not_supported(f"sorting by {path}")
        if "" in split(path):
            raise invalid("FieldPath must not have empty names", 15998)
        if path not in (known for known, _ in order):
            order.append((path, way))
    return order


class SortKey:
    """The bytes by which documents are sorted.

    A document with an array counts with its first key in the order, as an index has them: the
    smallest element or, descending, the greatest. An empty array comes before null.
    """

    def __init__(self, order: Sequence[tuple[str, int]]) -> None:
        self._paths = tuple(split(path) for path, _ in order)
        self._descending = tuple(direction == -1 for _, direction in order)
        self._simple = [(path, direction == -1) for path, direction in order if "." not in path]
        if len(self._simple) != len(self._paths):
            self._simple = []

    def __call__(self, document: dict[str, Any]) -> bytes:
        parts = []
        for path, descending in self._simple:
            value = document.get(path)
            if isinstance(value, list):
                break
            encoded = encode(value)
            parts.append(encoded.translate(COMPLEMENT) if descending else encoded)
        else:
            if parts:
                return b"".join(parts)
        try:
            return min(map(self._key, rows_of(document, self._paths)))
        except WriteError as error:
            raise invalid("cannot sort with keys that are parallel arrays") from error

    def _key(self, row: tuple[Any, ...]) -> bytes:
        encoded = (EMPTY_ARRAY if value is EMPTY else encode(value) for value in row)
        return b"".join(
            part.translate(COMPLEMENT) if descending else part
            for part, descending in zip(encoded, self._descending, strict=True)
        )
