"""The order of lists, and the cursors between pages (contract agents §2)."""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import Raw, iso

SORT = {"updatedAt": -1, "_id": 1}
"""Last changed first. Old agents without a date come last."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one agent; ``None`` where it has no date."""

    updated: datetime | None
    id: ObjectId

    def bound(self) -> dict[str, Any]:
        """The condition on ``updatedAt`` of every agent behind, as one range of an index; `after`
        has the rest."""
        return {"$not": {"$gt": self.updated}}

    def after(self) -> list[dict[str, Any]]:
        """The alternatives (for ``$or``) that hold for the agents behind."""
        same = {"updatedAt": self.updated, "_id": {"$gt": self.id}}
        if self.updated is None:
            return [same]
        return [{"updatedAt": {"$lt": self.updated}}, {"updatedAt": None}, same]


def cursor_after(agent: Raw) -> str:
    """The cursor that continues a list behind a stored agent."""
    updated = agent.get("updatedAt")
    moment = iso(updated) if isinstance(updated, datetime) else None
    return b64encode(orjson.dumps({"updatedAt": moment, "_id": str(agent["_id"])})).decode()


def position_of(cursor: str | None) -> Position | None:
    """The position that a cursor names; ``None`` for none, and for one that makes no sense."""
    if not cursor or cursor in ("undefined", "null"):
        return None
    # A '+' that nobody escaped arrives as a space.
    text = cursor.replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        found: Any = orjson.loads(b64decode(text + "=" * (-len(text) % 4)))
        updated, key = found["updatedAt"], found["_id"]
        if not isinstance(key, str) or not ObjectId.is_valid(key):
            return None
        return Position(None if updated is None else _moment(updated), ObjectId(key))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
