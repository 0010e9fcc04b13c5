"""Rows of a list before their text is known, and their order (contract prompts §4)."""

import binascii
import math
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import iso
from locutory.database import Raw

Place = tuple[float, float, ObjectId]
"""Uses and time of the last change, both negative, and the id: ascending is the order of the
lists, most used first."""

_EMPTY = {"numberOfGenerations": 0, "oneliner": "", "category": ""}


@dataclass(frozen=True, slots=True)
class Entry:
    """A group as lists show it. ``row`` is its stored part."""

    id: ObjectId
    place: Place
    author: ObjectId | None
    production: ObjectId | None
    name: str
    category: str
    row: Raw


def entry_of(document: Raw) -> Entry:
    """The entry of a stored group; members that old documents lack are filled in."""
    row = {**_EMPTY, **document}
    if row.get("command") is None:
        row.pop("command", None)
    name = row.get("name")
    uses, updated = row["numberOfGenerations"], row.get("updatedAt")
    if not isinstance(uses, int | float) or not math.isfinite(uses):
        uses = row["numberOfGenerations"] = 0
    changed = updated.timestamp() if isinstance(updated, datetime) else 0.0
    return Entry(
        document["_id"],
        (-uses, -changed, document["_id"]),
        row.get("author"),
        row.get("productionId"),
        name.lower() if isinstance(name, str) else "",
        row["category"] if isinstance(row["category"], str) else "",
        row,
    )


def cursor_after(entry: Entry) -> str:
    """The cursor that continues a list behind an entry."""
    updated = entry.row.get("updatedAt")
    place = {
        "numberOfGenerations": entry.row["numberOfGenerations"],
        "updatedAt": iso(updated if isinstance(updated, datetime) else _EPOCH),
        "_id": str(entry.id),
    }
    return b64encode(orjson.dumps(place)).decode()


def place_of(cursor: str | None) -> Place | None:
    """The place that a cursor names; ``None`` for none, and for one that makes no sense."""
    if not cursor or cursor in ("undefined", "null"):
        return None
    # A '+' that nobody escaped arrives as a space.
    text = cursor.replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        found: Any = orjson.loads(b64decode(text + "=" * (-len(text) % 4)))
        uses, updated, key = found.get("numberOfGenerations", 0), found["updatedAt"], found["_id"]
        if isinstance(uses, bool) or not isinstance(uses, int | float) or not math.isfinite(uses):
            return None
        if not isinstance(key, str) or not ObjectId.is_valid(key):
            return None
        moment = datetime.fromisoformat(updated)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return -uses, -moment.timestamp(), ObjectId(key)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
