"""Plans: which index serves a filter and a sort, and between which keys it is read."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from locutory_sqlite.bounds import Range, behind, ids_of
from locutory_sqlite.choices import Choices
from locutory_sqlite.filters import Filter
from locutory_sqlite.implied import implies
from locutory_sqlite.indexes import Index
from locutory_sqlite.sorting import Order

MAX_RANGES = 5000
"""Points of ``$in`` multiply; above this the rest of them is left to the test."""

_MERGED = 400
"""Ranges that are read at the same time to merge them."""

_FEW = 64
"""Rows that are read and sorted as quickly as the first ones are found in order."""

_SAMPLE = 300
"""Up to this many rows are read and sorted rather than looked for in another order."""

_COUNTED = 30_000
_WANTED = 30
"""The rows that a query with a limit is taken to want."""

_SHAPES = 1000


@dataclass(slots=True)
class Plan:
    """The way in which the candidates of a query are read; the filter's test is applied to each.

    ``index`` is ``None`` for the order of insertion (a whole scan), or with ``ids`` for a look-up
    by ``_id``. ``ranges`` are disjoint and ascending. ``sorted`` is the number of fields of the
    sort in whose order the rows come; with ``merge`` the ranges, or the ``parts``, are each in that
    order. ``parts`` are plans whose rows are united.
    """

    index: Index | None = None
    ranges: Sequence[Range] = ()
    reverse: bool = False
    sorted: int = 0
    merge: bool = False
    ids: Sequence[bytes] | None = None
    parts: "Sequence[Plan]" = ()

    def describe(self) -> dict[str, Any]:
        """For ``explain``: the stage, as the server calls it, and its index."""
        if self.parts:
            return {
                "stage": "SORT_MERGE" if self.merge else "OR",
                "inputStages": [part.describe() for part in self.parts],
                "sortedFields": self.sorted,
            }
        if self.ids is not None:
            return {"stage": "IDHACK", "keys": len(self.ids)}
        if self.index is None:
            return {"stage": "COLLSCAN"}
        return {
            "stage": "IXSCAN",
            "indexName": self.index.name,
            "keyPattern": dict(self.index.keys),
            "isMultiKey": self.index.multikey,
            "direction": "backward" if self.reverse else "forward",
            "ranges": len(self.ranges),
            "sortedFields": self.sorted,
        }


Counter = Callable[[Index, Sequence[Range], int], int]
"""Counts the keys in the ranges of an index, up to a limit."""


class Preferences:
    """The indexes that come into question for queries of one shape: at most the one that binds
    most of a filter, and the one in the order of the sort."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Order, list[_Candidate]]] = {}

    def recall(self, shape: Hashable, query: Filter, choices: Choices) -> "list[_Candidate] | None":
        """The candidates for a query, if it can use the indexes as the previous one did; else
        ``None``."""
        order, before = self._known.get(shape, ([], []))
        found = []
        for known in before:
            candidate = _candidate(known.index, query, choices, order)
            if candidate is None or candidate.use != known.use:
                return None
            found.append(candidate)
        return found or None

    def keep(self, shape: Hashable, order: Order, found: "list[_Candidate]") -> None:
        """Store the candidates for the next query of that shape."""
        if len(self._known) >= _SHAPES:
            self._known.clear()
        self._known[shape] = order, found


def plan(
    query: Filter,
    order: Order,
    indexes: Sequence[Index],
    count: Counter,
    preferences: Preferences,
    *,
    limited: bool,
) -> Plan:
    """The plan with the fewest rows to read, according to cheap counts. ``limited``: only the first
    rows in the order are wanted, so that an index in that order may be better than one that finds
    fewer rows. ``preferences`` are those of the indexes."""
    ids = ids_of(query)
    if ids is not None:
        by_id = bool(order) and order[0][0] == "_id"
        ids = ids[::-1] if by_id and order[0][1] == -1 else ids
        return Plan(ids=ids, sorted=len(order) if by_id else 0)
    choices = Choices(query)
    shape = (query.shape, tuple(order), limited)
    useful = preferences.recall(shape, query, choices)
    if useful is None:
        useful, by = _useful(query, choices, order, indexes)
        preferences.keep(shape, by, useful)
    best = useful[0] if useful else None
    if best is not None:
        if best.unique_match:
            return best.plan
        if limited and len(useful) > 1:
            best = _in_order(useful[1], best, count)
        if limited and order and best.bound and best.plan.sorted == len(order):
            return best.plan
        if not query.branches:
            return best.plan
        if best.bound and count(best.index, best.plan.ranges, _SAMPLE) < _SAMPLE:
            return best.plan
    united = _united(query, order, indexes, count, preferences, limited=limited)
    if united is None or best is None:
        return united or (best.plan if best is not None else Plan())
    return united if _better(united, best, order, count, limited=limited) else best.plan


def _useful(
    query: Filter, choices: Choices, order: Order, indexes: Sequence[Index]
) -> "tuple[list[_Candidate], Order]":
    """The index that binds most of a filter and, where another one is nearer to the order of the
    sort, that; and the sort with which they were found. A unique index whose one key is named is
    all that is needed, whatever the sort."""
    for index in indexes:
        if index.unique and all(path in choices.bounds for path, _ in index.keys):
            found = _candidate(index, query, choices, [])
            if found is not None and found.unique_match and len(found.plan.ranges) == 1:
                return [found], []
    each = [_candidate(index, query, choices, order) for index in indexes]
    useful = [one for one in each if one is not None and (one.bound or one.plan.sorted)]
    if not useful:
        return [], order
    best = max(useful, key=lambda found: found.rank)
    ordered = max(useful, key=lambda found: (found.plan.sorted, found.rank))
    return [best, ordered] if ordered.plan.sorted > best.plan.sorted else [best], order


def _in_order(ordered: "_Candidate", best: "_Candidate", count: Counter) -> "_Candidate":
    """The index in the order of the sort, where that lets fewer rows be read."""
    rows = count(best.index, best.plan.ranges, _SAMPLE)
    if rows < _FEW:
        return best
    if ordered.exact >= best.exact and (ordered.bound >= best.bound or rows == _SAMPLE):
        return ordered
    rows = count(best.index, best.plan.ranges, _SAMPLE * 10)
    # If the matches lie evenly in the order, so many rows are read until enough are found.
    most = min(rows * rows // _WANTED, _COUNTED)
    return ordered if count(ordered.index, ordered.plan.ranges, most) < most else best


def _better(
    united: Plan, best: "_Candidate", order: Order, count: Counter, *, limited: bool
) -> bool:
    """``True`` when the union has fewer rows to read than the best single index."""
    sorts = bool(limited and order)
    if sorts and united.sorted < best.plan.sorted == len(order):
        return not best.bound and _rows(united, count, _SAMPLE) < _SAMPLE
    if not best.bound:
        return True
    most = _SAMPLE if sorts else _SAMPLE * 10
    rows = count(best.index, best.plan.ranges, most)
    if sorts and united.sorted == len(order) > best.plan.sorted:
        return rows >= _SAMPLE
    return rows >= _SAMPLE and _rows(united, count, rows) < rows // 2


def _rows(found: Plan, count: Counter, most: int) -> int:
    if found.parts:
        return sum(_rows(part, count, most) for part in found.parts)
    if found.ids is not None or found.index is None:
        return len(found.ids or ())
    return count(found.index, found.ranges, most)


@dataclass(slots=True)
class _Candidate:
    index: Index
    plan: Plan
    exact: int
    bound: int

    @property
    def unique_match(self) -> bool:
        return self.index.unique and self.exact == len(self.index.keys)

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        sorted_first = self.plan.sorted * 8 - len(self.index.keys)
        return (self.unique_match, self.exact, self.bound, sorted_first)

    @property
    def use(self) -> tuple[object, ...]:
        """The way in which the index is used: equal for two queries whose plans differ in values
        only."""
        return self.rank, self.plan.merge, len(self.plan.ranges) == 1


def _candidate(index: Index, query: Filter, choices: Choices, order: Order) -> _Candidate | None:
    if index.keys[0][0] not in choices.bounds and (not order or index.multikey or index.sparse):
        return None
    if index.condition is not None and not implies(query, index.condition):
        return None
    prefixes = [b""]
    exact = bound = singles = 0
    ranges: list[Range] | None = None
    nulls = True
    for path, direction in index.keys:
        chosen = choices.of(path, direction, multikey=index.multikey)
        if chosen is None:
            break
        if index.multikey and any(_in_one_array(path, known) for known, _ in index.keys[:bound]):
            break  # different elements may fulfil the conditions on the two paths
        if len(prefixes) * len(chosen.ranges) > MAX_RANGES:
            break
        nulls = nulls and chosen.nulls
        bound += 1
        if not chosen.points:
            ranges = [
                (prefix + low, prefix + high) for prefix in prefixes for low, high in chosen.ranges
            ]
            break
        prefixes = [prefix + low for prefix in prefixes for low, _ in chosen.ranges]
        exact += 1
        if len(chosen.ranges) == 1 and singles == exact - 1:
            singles += 1
    if index.sparse and nulls:  # documents without any of its fields are not in it
        return None
    if ranges is None:
        ranges = [(prefix, behind(prefix)) for prefix in prefixes]
    found = Plan(index, ranges)
    _order(found, index, order, exact, singles)
    return _Candidate(index, found, exact, bound)


def _in_one_array(path: str, other: str) -> bool:
    return path.partition(".")[0] == other.partition(".")[0]


def _order(found: Plan, index: Index, order: Order, exact: int, singles: int) -> None:
    """Set the number of sort fields that the index already has in order, after the fields that are
    compared for equality. A multikey index orders keys, not documents."""
    if not order or index.multikey:
        return
    fixed = {path for path, _ in index.keys[:singles]}
    # Points of an $in are in order themselves, and merged where the sort does not name them.
    ways = [(singles, False)]
    if exact > singles and len(found.ranges) <= _MERGED:
        ways.append((exact, True))
    for begin, merge in ways:
        number, reverse = _agreement(order, index.keys[begin:], fixed)
        if number > found.sorted:
            found.sorted, found.reverse = number, reverse
            found.merge = merge and len(found.ranges) > 1


def _agreement(order: Order, keys: Sequence[tuple[str, int]], fixed: set[str]) -> tuple[int, bool]:
    """The fields of a sort that keys are in the order of, and whether backwards."""
    given = iter(keys)
    ways: set[bool] = set()
    number = 0
    for path, way in order:
        if path not in fixed:
            known, direction = next(given, ("", 0))
            if path != known or len(ways | {way != direction}) > 1:
                break
            ways.add(way != direction)
        number += 1
    return (number, True in ways) if ways or number == len(order) else (0, False)


def _united(
    query: Filter,
    order: Order,
    indexes: Sequence[Index],
    count: Counter,
    preferences: Preferences,
    *,
    limited: bool,
) -> Plan | None:
    """The union of one plan for each alternative of an ``$or``, if each has an index; the other
    conditions hold in all of them."""
    for clauses in query.branches:
        parts: list[Plan] = []
        for clause in clauses:
            conditions = query.conditions + clause.conditions
            # Nested alternatives are looked at in turn, and not those beside them once more.
            shape = ("alternative", query.shape, clause.shape)
            whole = Filter(query.test, conditions, clause.branches, plain=False, shape=shape)
            wanted = order if limited else []
            part = plan(whole, wanted, indexes, count, preferences, limited=limited)
            if part.index is None and part.ids is None and not part.parts:
                break
            parts.append(part)
        else:
            done = min(part.sorted for part in parts) if order and limited else 0
            merge = done == len(order) > 0 and _runs(parts) <= _MERGED
            return Plan(parts=parts, sorted=done if merge else 0, merge=merge)
    return None


def _runs(parts: Sequence[Plan]) -> int:
    return sum(len(part.ranges) if part.merge else 1 for part in parts)
