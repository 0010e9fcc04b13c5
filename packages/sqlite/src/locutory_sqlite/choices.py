"""The restrictions that a filter puts on the keys of an index."""

from collections.abc import Sequence
from dataclasses import dataclass

from locutory_sqlite.bounds import (
    Range,
    admits_null,
    bounds_of,
    choose,
    is_point,
    says_exactly,
    successor,
    turned,
)
from locutory_sqlite.filters import Filter
from locutory_sqlite.indexes import Index


@dataclass(slots=True)
class Chosen:
    """The spans of a path in an index: are they points, do they admit null, and as ranges."""

    points: bool
    nulls: bool
    ranges: Sequence[Range]


class Choices:
    """The restrictions of a filter by path, computed once for all indexes."""

    def __init__(self, query: Filter) -> None:
        self.bounds = bounds_of(query)
        self._known: dict[tuple[str, int, bool], Chosen] = {}

    def of(self, path: str, direction: int, *, multikey: bool) -> Chosen | None:
        """The choices for a path; ``None`` when the filter does not restrict it."""
        options = self.bounds.get(path)
        if not options:
            return None
        key = (path, direction, multikey)
        found = self._known.get(key)
        if found is None:
            spans = choose(options, multikey=multikey)
            found = self._known[key] = Chosen(
                all(map(is_point, spans)), admits_null(spans), turned(spans, direction)
            )
        return found


def says_all(query: Filter, index: Index) -> bool:
    """``True`` when the ranges of a filter in an index contain the keys of the matches and nothing
    else, so that counting needs no documents."""
    if not query.plain or not query.conditions:
        return False
    choices = Choices(query)
    bound: set[str] = set()
    for path, direction in index.keys:
        chosen = choices.of(path, direction, multikey=index.multikey)
        if chosen is None:
            break
        bound.add(path)
        if index.multikey and ("." in path or chosen.nulls or len(query.conditions) > 1):
            return False
        if not chosen.points:
            break
    return all(one.path in bound and says_exactly(one) for one in query.conditions)


def covered_ranges(
    query: Filter, path: str, index: Index
) -> tuple[bytes, int, Sequence[Range]] | None:
    """The place where an index contains exactly the values that a path has in the matches: the
    prefix of the keys, the direction of the path in them, and the ranges; ``None`` when there is
    none."""
    if index.multikey or index.sparse or index.condition is not None or not query.plain:
        return None
    if not all(map(says_exactly, query.conditions)):
        return None
    choices = Choices(query)
    begin = b""
    left = choices.bounds.keys() - {path}
    for known, direction in index.keys:
        chosen = choices.of(known, direction, multikey=False)
        if known == path:
            if left:
                return None
            if chosen is None:
                return begin, direction, [(begin, successor(begin))]
            return begin, direction, [(begin + low, begin + high) for low, high in chosen.ranges]
        if chosen is None or not chosen.points or len(chosen.ranges) != 1:
            return None
        begin += chosen.ranges[0][0]
        left = left - {known}
    return None
