"""Pages of the list of projects (contract projects §2)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import encode, iso
from locutory.database import Collection, Raw

LAST = "lastConversationAt"
SORT_FIELDS = frozenset(("name", "createdAt", LAST))
LONGEST_SEARCH = 1000
"""Longer than any name or description: finds nothing."""

_LONGEST_CURSOR = 4000
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of the page before: the value that rows are sorted by (``None`` where it
    has no date), and its id."""

    primary: str | datetime | None
    id: ObjectId


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for. ``field``: one of `SORT_FIELDS`."""

    limit: int = 25
    field: str = LAST
    descending: bool = True
    search: str = ""
    cursor: Cursor | None = None


def read_cursor(text: str | None, field: str) -> Cursor | None:
    """The cursor of a query; ``None``, which is the first page, when it cannot be read."""
    if not text or len(text) > _LONGEST_CURSOR:
        return None
    try:
        # A plus sign that was not encoded arrives as a blank.
        found = orjson.loads(base64.b64decode(text.replace(" ", "+") + "=="))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    identity, primary = found.get("id"), found.get("primary")
    if not isinstance(identity, str) or not ObjectId.is_valid(identity):
        return None
    if primary is None:
        return Cursor(None, ObjectId(identity)) if field == LAST else None
    if not isinstance(primary, str):
        return None
    if field == "name":
        return Cursor(primary, ObjectId(identity))
    try:
        moment = datetime.fromisoformat(primary)
        return Cursor(moment.replace(tzinfo=moment.tzinfo or UTC), ObjectId(identity))
    except ValueError:
        return None


def write_cursor(row: Raw, field: str) -> str:
    """The cursor after a row: base64 of ``{"primary", "id"}``."""
    value = row.get(field)
    primary = iso(value) if isinstance(value, datetime) else value
    if field != "name" and not isinstance(value, datetime):
        primary = None
    return base64.b64encode(encode({"primary": primary, "id": row["_id"]})).decode()


async def read_page(collection: Collection, user: str, page: Page) -> tuple[list[Raw], str | None]:
    """The rows of a page, and the cursor of the next one."""
    if len(page.search) > LONGEST_SEARCH or "\0" in page.search:
        return [], None
    direction = -1 if page.descending else 1
    rows: list[Raw] = []
    for part in _parts(page):
        wanted = page.limit + 1 - len(rows)
        if wanted <= 0:
            break
        pipeline: list[Mapping[str, Any]] = [
            {"$match": {"user": user, **part}},
            *_searching(page.search),
            {"$sort": {page.field: direction, "_id": direction}},
            {"$limit": wanted},
        ]
        rows += await (await collection.aggregate(pipeline)).to_list()
    if len(rows) <= page.limit:
        return rows, None
    rows.pop()
    return rows, write_cursor(rows[-1], page.field)


def _parts(page: Page) -> list[dict[str, Any]]:
    """The filters whose rows, one after the other, follow the cursor. One filter with an
    ``$or`` would read the projects of everybody on the embedded database."""
    cursor, field = page.cursor, page.field
    if cursor is None:
        return [{}]
    beyond = "$lt" if page.descending else "$gt"
    same = {field: cursor.primary, "_id": {beyond: cursor.id}}
    if cursor.primary is None:
        # Without a date: the last ones when descending, the first ones when ascending.
        return [same] if page.descending else [same, {field: {"$gte": _EARLIEST}}]
    parts: list[dict[str, Any]] = [same, {field: {beyond: cursor.primary}}]
    if field == LAST and page.descending:
        parts.append({field: None})
    return parts


def _searching(text: str) -> list[Mapping[str, Any]]:
    """A stage of its own, so that the first one is served by an index."""
    if not text:
        return []
    pattern = {"$regex": re.escape(text), "$options": "i"}
    return [{"$match": {"$or": [{"name": pattern}, {"description": pattern}]}}]
