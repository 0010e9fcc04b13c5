"""Plans: which index serves a filter and a sort, and between which keys it is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from locutory_sqlite.bounds import (
    Bounds,
    Range,
    admits_null,
    bounds_of,
    choose,
    ids_of,
    is_point,
    successor,
    turned,
)
from locutory_sqlite.filters import Condition, Filter, compile_filter, value_test
from locutory_sqlite.indexes import Index
from locutory_sqlite.sorting import Order

MAX_RANGES = 400
"""Points of ``$in`` multiply; above this the rest of them is left to the test."""

_SAMPLE = 300


@dataclass(slots=True)
class Plan:
    """How the candidates of a query are read; the filter's test is applied to each.

    ``index`` is ``None`` for the order of insertion (a whole scan), or with ``ids`` for a look-up
    by ``_id``. ``ranges`` are disjoint and ascending. ``sorted`` is the number of fields of
    the sort in whose order the rows come; with several ``ranges`` and a sort they are merged.
    ``parts`` are plans whose rows are united.
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
            return {"stage": "OR", "inputStages": [part.describe() for part in self.parts]}
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
"""How many keys lie in the ranges of an index, counted up to a limit."""


def plan(
    query: Filter, order: Order, indexes: Sequence[Index], count: Counter, *, limited: bool
) -> Plan:
    """The plan with the fewest rows to read, as far as cheap counts tell.

    ``limited``: only the first rows in the order are wanted, so that an index in that order
    may be better than one that finds fewer rows.
    """
    bounds = bounds_of(query)
    ids = ids_of(query)
    if ids is not None:
        return Plan(ids=ids)
    candidates = [
        found for index in indexes if (found := _candidate(index, query, bounds, order)) is not None
    ]
    useful = [found for found in candidates if found.bound or found.plan.sorted]
    united = _united(query, indexes, count)
    if not useful:
        return united or Plan()
    useful.sort(key=lambda found: found.rank, reverse=True)
    best = useful[0]
    if best.bound and best.index.unique and best.exact == len(best.index.keys):
        return best.plan
    if limited and order and best.plan.sorted < len(order):
        ordered = next((f for f in useful if f.plan.sorted == len(order)), None) or next(
            (f for f in useful if f.plan.sorted > best.plan.sorted), None
        )
        if ordered is not None:
            rows = _SAMPLE if not best.bound else count(best.index, best.plan.ranges, _SAMPLE)
            if rows >= _SAMPLE:
                best = ordered
    if not best.bound and united is not None and not limited:
        return united
    if united is not None and best.bound:
        rows = count(best.index, best.plan.ranges, _SAMPLE)
        if rows >= _SAMPLE and not best.plan.sorted:
            return united
    return best.plan


@dataclass(slots=True)
class _Candidate:
    index: Index
    plan: Plan
    exact: int
    bound: int

    @property
    def rank(self) -> tuple[int, int, int, int]:
        full = self.index.unique and self.exact == len(self.index.keys)
        return (int(full), self.exact, self.bound, self.plan.sorted * 8 - len(self.index.keys))


def _candidate(index: Index, query: Filter, bounds: Bounds, order: Order) -> _Candidate | None:
    if index.partial is not None and not _implies(query, index.partial):
        return None
    prefixes = [b""]
    exact = bound = singles = 0
    ranges: list[Range] | None = None
    nulls = True
    for path, direction in index.keys:
        options = bounds.get(path)
        if not options:
            break
        if index.multikey and any(_in_one_array(path, known) for known, _ in index.keys[:bound]):
            break  # different elements may fulfil the conditions on the two paths
        spans = choose(options, multikey=index.multikey)
        nulls = nulls and admits_null(spans)
        chosen = turned(spans, direction)
        if len(prefixes) * len(chosen) > MAX_RANGES:
            break
        bound += 1
        if not all(map(is_point, spans)):
            ranges = [(prefix + low, prefix + high) for prefix in prefixes for low, high in chosen]
            break
        prefixes = [prefix + low for prefix in prefixes for low, _ in chosen]
        exact += 1
        if len(chosen) == 1 and singles == exact - 1:
            singles += 1
    if index.sparse and nulls:  # documents without any of its fields are not in it
        return None
    if ranges is None:
        ranges = [(prefix, successor(prefix)) for prefix in prefixes]
    plan_ = Plan(index, ranges)
    _order(plan_, index, order, exact, singles)
    return _Candidate(index, plan_, exact, bound)


def _in_one_array(path: str, other: str) -> bool:
    return path.partition(".")[0] == other.partition(".")[0]


def _order(found: Plan, index: Index, order: Order, exact: int, singles: int) -> None:
    """See how many fields of the sort the index already has in order, behind the fields that
    are compared for equality. A multikey index orders keys, not documents."""
    if not order or index.multikey:
        return
    fixed = {path for path, _ in index.keys[:singles]}
    given = iter(index.keys[exact:])
    ways: set[bool] = set()
    for path, way in order:
        if path not in fixed:
            known, direction = next(given, ("", 0))
            if path != known or len(ways | {way != direction}) > 1:
                break
            ways.add(way != direction)
        found.sorted += 1
    found.reverse = ways == {True}
    found.merge = len(found.ranges) > 1 and exact > singles


def _united(query: Filter, indexes: Sequence[Index], count: Counter) -> Plan | None:
    """The union of one plan for each alternative of an ``$or``, if each has an index."""
    for clauses in query.branches:
        parts = []
        for clause in clauses:
            part = plan(clause, [], indexes, count, limited=False)
            if part.index is None and part.ids is None and not part.parts:
                break
            parts.append(part)
        else:
            return Plan(parts=parts)
    return None


def _implies(query: Filter, partial: Any) -> bool:
    """Does every match of the filter fulfil the condition of a partial index?"""
    needed = compile_filter(partial)
    if needed.branches:
        return False
    for condition in needed.conditions:
        if not any(
            _stronger(own, condition) for own in query.conditions if own.path == condition.path
        ):
            return False
    return bool(needed.conditions)


def _stronger(own: Condition, needed: Condition) -> bool:
    if own == needed:
        return True
    if needed.operator == "$exists" and needed.value:
        if own.operator == "$eq":
            return own.value is not None
        if own.operator == "$in":
            return None not in own.value
        return own.operator in ("$gt", "$lt", "$gte", "$lte") and own.value is not None
    if needed.operator == "$type" and own.operator == "$eq":
        return value_test("$type", needed.value)(own.value)
    if own.operator == "$eq" and needed.operator in ("$eq", "$in", "$gt", "$gte", "$lt", "$lte"):
        return value_test(needed.operator, needed.value)(own.value)
    return False
