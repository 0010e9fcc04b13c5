"""Pages of the list of projects (contract projects §2)."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import Collection, Raw, encode, iso

LAST = "lastConversationAt"
SORT_FIELDS = frozenset(("name", "createdAt", LAST))
LONGEST_SEARCH = 1000
"""Longer than any name or description: finds nothing."""

_LONGEST_CURSOR = 4000


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of the page before: the value that rows are sorted by (``None`` where it
    has no date), and its id."""

    primary: str | datetime | None
    id: ObjectId


@dataclass(frozen=True, slots=True)
class Page:
    """A requested page. ``field``: one of `SORT_FIELDS`."""

    limit: int = 25
    field: str = LAST
    descending: bool = True
    search: str = ""
    cursor: Cursor | None = None

    def filter(self, user: str) -> dict[str, Any]:
        """The filter of the page's rows and all that follow them."""
        found: dict[str, Any] = {"user": user}
        either: list[dict[str, Any]] = []
        if self.search:
            pattern = {"$regex": re.escape(self.search), "$options": "i"}
            either.append({"$or": [{"name": pattern}, {"description": pattern}]})
        if self.cursor is not None:
            # One range of the index that is in this order; the alternatives say the rest.
            found[self.field] = {"$not": {"$gt" if self.descending else "$lt": self.cursor.primary}}
            either.append({"$or": self._after(self.cursor)})
        return {**found, "$and": either} if either else found

    def _after(self, cursor: Cursor) -> list[dict[str, Any]]:
        """The alternatives that hold for the rows after a cursor. Those without a value come
        before all others, so last when descending."""
        beyond = "$lt" if self.descending else "$gt"
        same: dict[str, Any] = {self.field: cursor.primary, "_id": {beyond: cursor.id}}
        if cursor.primary is None:
            return [same] if self.descending else [same, {self.field: {"$ne": None}}]
        further = [same, {self.field: {beyond: cursor.primary}}]
        return [*further, {self.field: None}] if self.descending else further


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
    found = collection.find(page.filter(user)).sort({page.field: direction, "_id": direction})
    rows = await found.limit(page.limit + 1).batch_size(page.limit + 2).to_list()
    if len(rows) <= page.limit:
        return rows, None
    rows.pop()
    return rows, write_cursor(rows[-1], page.field)
