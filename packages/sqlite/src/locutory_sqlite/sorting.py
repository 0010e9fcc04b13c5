"""Sort orders: keys of documents in memory, and their agreement with an index."""

from collections.abc import Mapping, Sequence
from typing import Any

from locutory_sqlite.errors import invalid, not_supported
from locutory_sqlite.ordering import COMPLEMENT, EMPTY_ARRAY, encode
from locutory_sqlite.paths import elements, split

Order = list[tuple[str, int]]


def order_of(sort: Any) -> Order:
    """A sort as the driver takes it (a name, pairs, a mapping), as pairs of path and 1 or -1."""
    if sort is None:
        return []
    if isinstance(sort, str):
        return [(sort, 1)]
    pairs = list(sort.items()) if isinstance(sort, Mapping) else list(sort)
    order: Order = []
    for pair in pairs:
        path, direction = (pair, 1) if isinstance(pair, str) else pair
        if isinstance(direction, Mapping):
            raise not_supported("sorting by $meta")
        if direction not in (1, -1):
            raise invalid(f"$sort key ordering must be 1 (for ascending) or -1, not {direction!r}")
        if path not in (known for known, _ in order):
            order.append((path, int(direction)))
    return order


class SortKey:
    """The bytes by which documents are sorted.

    An array counts with its smallest element, descending with its greatest; an empty one
    comes before null.
    """

    def __init__(self, order: Sequence[tuple[str, int]]) -> None:
        self._parts = [(split(path), direction) for path, direction in order]

    def __call__(self, document: dict[str, Any]) -> bytes:
        return b"".join(self._component(document, *part) for part in self._parts)

    @staticmethod
    def _component(document: dict[str, Any], parts: tuple[str, ...], direction: int) -> bytes:
        if len(parts) == 1 and not isinstance(document.get(parts[0]), list):
            encoded = encode(document.get(parts[0]))
        else:
            found = [v for v in elements(document, parts) if not isinstance(v, list)]
            whole = [v for v in elements(document, parts, spread=False) if isinstance(v, list)]
            keys = [encode(value) for value in found]
            keys += [EMPTY_ARRAY for value in whole if not value]
            keys += [encode(v) for value in whole for v in value if isinstance(v, list)]
            encoded = (min if direction == 1 else max)(keys, default=encode(None))
        return encoded if direction == 1 else encoded.translate(COMPLEMENT)
