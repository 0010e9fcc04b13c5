"""The list of one's own links, page by page (contract share §5)."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import Raw, iso, now
from locutory_share.links import LinkStore, living, made_at
from locutory_share.publisher import UNTITLED

SORT_FIELDS = ("createdAt", "title")
LONGEST_CURSOR = 8192
_ID = re.compile(r"[0-9a-fA-F]{24}")
_FIELDS = {"shareId": 1, "title": 1, "createdAt": 1, "conversationId": 1}


class BadCursor(ValueError):
    """A cursor that was not made for this order."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of the page before: its sort value and, in cursors that are not of old
    servers, its ``_id``."""

    value: datetime | str | None
    row: ObjectId | None


@dataclass(frozen=True, slots=True)
class Order:
    """Links by a field, those of one value by ``_id`` in the same direction. Links without
    a title come before all titles."""

    field: str
    descending: bool

    def read(self, cursor: str) -> Position:
        """The position that a cursor names; `BadCursor`."""
        if len(cursor) > LONGEST_CURSOR:
            raise BadCursor
        found = _decoded(cursor)
        value, row = (cursor, None) if found is None else found
        if self.field != "createdAt":
            return Position(value, row)
        if value is None:
            raise BadCursor
        return Position(_moment(value), row)

    def write(self, link: Raw) -> str:
        """The cursor of the page after a link."""
        value = link.get(self.field)
        primary = iso(value) if isinstance(value, datetime) else value
        if primary is not None and not isinstance(primary, str):
            primary = str(primary)
        return b64encode(orjson.dumps({"primary": primary, "id": str(link["_id"])})).decode()

    def after(self, position: Position) -> dict[str, Any]:
        """The filter for the rows after a position: one range of an index in this order, and the
        alternatives that make it exact."""
        operator = "$lt" if self.descending else "$gt"
        either: list[dict[str, Any]] = []
        if position.row is not None:
            either.append({self.field: position.value, "_id": {operator: position.row}})
        if position.value is not None:
            either.append({self.field: {operator: position.value}})
            if self.descending:
                either.append({self.field: None})
        elif not self.descending:
            either.append({self.field: {"$ne": None}})
        before = "$gt" if self.descending else "$lt"
        return {self.field: {"$not": {before: position.value}}, "$or": either}


class LinkList:
    """Pages of a user's links."""

    def __init__(self, store: LinkStore) -> None:
        self._store = store

    async def page(
        self,
        user: str,
        order: Order,
        position: Position | None,
        size: int,
        conversation_ids: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """``{links, nextCursor?, hasNextPage}``; with ``conversation_ids`` only links to those."""
        key: dict[str, Any] = {"user": user, "expiredAt": living(now())}
        if conversation_ids is not None:
            key["conversationId"] = {"$in": list(conversation_ids)}
        if position is not None:
            key.update(order.after(position))
        direction = -1 if order.descending else 1
        found = self._store.collection.find(key, _FIELDS).sort(
            {order.field: direction, "_id": direction}
        )
        rows = await found.limit(size + 1).batch_size(size + 2).to_list()
        page: dict[str, Any] = {"links": [_row(link) for link in rows[:size]]}
        if len(rows) > size:
            page["nextCursor"] = order.write(rows[size - 1])
        return {**page, "hasNextPage": len(rows) > size}


def _row(link: Raw) -> dict[str, Any]:
    return {
        "shareId": link.get("shareId") or "",
        "title": link.get("title") or UNTITLED,
        "createdAt": made_at(link),
        "conversationId": link["conversationId"],
    }


def _decoded(cursor: str) -> tuple[str | None, ObjectId] | None:
    """Value and id of a cursor; ``None`` for the plain values of old servers."""
    try:
        found = orjson.loads(b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (NotBase64, ValueError):
        return None
    if not isinstance(found, dict) or "primary" not in found:
        return None
    value, row = found["primary"], found.get("id")
    if not (value is None or isinstance(value, str)) or not isinstance(row, str):
        return None
    return (value, ObjectId(row)) if _ID.fullmatch(row) else None


def _moment(text: str) -> datetime:
    """A date in ISO form, or as JavaScript prints it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.strptime(text.partition(" (")[0], "%a %b %d %Y %H:%M:%S GMT%z")
        except ValueError:
            raise BadCursor from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
