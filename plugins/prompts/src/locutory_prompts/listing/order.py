"""The order of lists, and the cursors between pages (contract prompts §4)."""

import binascii
import math
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import Raw, iso

SORT = {"numberOfGenerations": -1, "updatedAt": -1, "_id": 1}
"""Most used first. Old documents without a member of it come last."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one group; ``None`` where it lacks the member."""

    uses: float | None
    updated: datetime | None
    id: ObjectId

    def bound(self) -> dict[str, Any]:
        """The condition on ``numberOfGenerations`` of every group behind, as one range of an
        index; `after` has the rest."""
        return {"$not": {"$gt": self.uses}}

    def after(self) -> list[dict[str, Any]]:
        """The alternatives (for ``$or``) that hold for the groups behind."""
        uses, updated = {"numberOfGenerations": self.uses}, {"updatedAt": self.updated}
        return [
            *_below("numberOfGenerations", self.uses),
            *({**uses, **later} for later in _below("updatedAt", self.updated)),
            {**uses, **updated, "_id": {"$gt": self.id}},
        ]


def _below(field: str, value: float | datetime | None) -> list[dict[str, Any]]:
    return [] if value is None else [{field: {"$lt": value}}, {field: None}]


def cursor_after(group: Raw) -> str:
    """The cursor that continues a list behind a stored group."""
    uses, updated = group.get("numberOfGenerations"), group.get("updatedAt")
    place = {
        "numberOfGenerations": uses if _is_number(uses) else None,
        "updatedAt": iso(updated) if isinstance(updated, datetime) else None,
        "_id": str(group["_id"]),
    }
    return b64encode(orjson.dumps(place)).decode()


def position_of(cursor: str | None) -> Position | None:
    """The position that a cursor names; ``None`` for none, and for one that makes no sense."""
    if not cursor or cursor in ("undefined", "null"):
        return None
    # A '+' that nobody escaped arrives as a space.
    text = cursor.replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        found: Any = orjson.loads(b64decode(text + "=" * (-len(text) % 4)))
        uses, updated, key = found.get("numberOfGenerations", 0), found["updatedAt"], found["_id"]
        if not isinstance(key, str) or not ObjectId.is_valid(key):
            return None
        return Position(_number(uses), _moment(updated), ObjectId(key))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if not _is_number(value):
        raise TypeError("not a number")
    return float(value)  # the database has no integers of more than 64 bits


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
