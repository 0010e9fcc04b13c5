"""Rows of a list, their order, and the cursors between pages (contract agents §2)."""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import iso
from locutory.database import Raw

Place = tuple[float, ObjectId]
"""Time of the last change, negative, and the id: ascending is the order of the lists, newest
first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An agent as lists read it. ``name`` and ``description`` are in lower case."""

    id: ObjectId
    place: Place
    name: str
    description: str
    category: str
    promoted: bool
    row: Raw


def entry_of(document: Raw) -> Entry:
    """The entry of a stored agent."""
    updated = document.get("updatedAt")
    changed = updated.timestamp() if isinstance(updated, datetime) else 0.0
    return Entry(
        document["_id"],
        (-changed, document["_id"]),
        _lower(document.get("name")),
        _lower(document.get("description")),
        str(document.get("category", "")),
        document.get("is_promoted") is True,
        document,
    )


def _lower(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def cursor_after(entry: Entry) -> str:
    """The cursor that continues a list behind an entry."""
    updated = entry.row.get("updatedAt")
    moment = updated if isinstance(updated, datetime) else _EPOCH
    return b64encode(orjson.dumps({"updatedAt": iso(moment), "_id": str(entry.id)})).decode()


def place_of(cursor: str | None) -> Place | None:
    """The place that a cursor names; ``None`` for none, and for one that makes no sense."""
    if not cursor or cursor in ("undefined", "null"):
        return None
    # A '+' that nobody escaped arrives as a space.
    text = cursor.replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        found: Any = orjson.loads(b64decode(text + "=" * (-len(text) % 4)))
        updated, key = found["updatedAt"], found["_id"]
        if not isinstance(key, str) or not ObjectId.is_valid(key):
            return None
        moment = datetime.fromisoformat(updated)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return -moment.timestamp(), ObjectId(key)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
