"""The order of bookmarks (contract tags, ``PUT /api/tags/:tag``)."""

from collections.abc import Mapping, Sequence

from bson import ObjectId

from locutory import Raw

Positions = Mapping[ObjectId, float]
"""``_id`` of a tag → its position."""


def position_of(row: Raw) -> float:
    """The position of a tag; 0 when it has none."""
    value = row.get("position")
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return value if usable else 0  # type: ignore[return-value]


def in_order(rows: Sequence[Raw]) -> list[Raw]:
    """Tags by position; of equal ones the older first."""
    return sorted(rows, key=lambda row: (position_of(row), row["_id"]))


def positions_of(rows: Sequence[Raw]) -> dict[ObjectId, float]:
    """Positions as stored."""
    return {row["_id"]: position_of(row) for row in rows}


def reorder(found: Positions, which: ObjectId, to: float) -> dict[ObjectId, float]:
    """Positions after one tag went to ``to``: those it passes make room."""
    start = found[which]
    shifted = {}
    for key, at in found.items():
        if start < at <= to:
            shifted[key] = at - 1
        elif to <= at < start:
            shifted[key] = at + 1
        else:
            shifted[key] = at
    shifted[which] = to
    return compact(shifted, which)


def compact(found: Positions, first: ObjectId | None = None) -> dict[ObjectId, float]:
    """Positions without gaps and doubles: 1, 2, 3 … in the same order. 0 stays 0. Of equal
    ones ``first`` comes first, then the older."""
    lasting = sorted(
        (key for key, at in found.items() if at > 0),
        key=lambda key: (found[key], key != first, key),
    )
    return {**found, **{key: number for number, key in enumerate(lasting, 1)}}
