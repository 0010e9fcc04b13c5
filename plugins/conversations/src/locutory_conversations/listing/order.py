"""The order of a list, and the cursor that names a place in it (contract convos §2.1)."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId

from locutory import iso

SORT_FIELDS = ("title", "createdAt", "updatedAt", "archivedAt")


class BadCursor(ValueError):
    """A cursor that can be read, and names no place."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of one row: its value of the sort field and of the secondary one, its id.
    Dates are naive UTC; ``None`` where the row lacks the field."""

    primary: str | datetime | None
    secondary: datetime | None
    id: ObjectId


@dataclass(frozen=True, slots=True)
class Order:
    """``[field, secondary, _id]``, all in one direction. Missing values sort before all
    others, as in BSON."""

    field: str = "updatedAt"
    descending: bool = True

    @property
    def secondary(self) -> str | None:
        """The second sort field, unless it is the first."""
        second = "createdAt" if self.field == "archivedAt" else "updatedAt"
        return None if second == self.field else second

    def sort(self) -> dict[str, int]:
        """For ``$sort``."""
        direction = -1 if self.descending else 1
        fields = [self.field, *([self.secondary] if self.secondary else []), "_id"]
        return dict.fromkeys(fields, direction)

    def bound(self, cursor: Cursor) -> dict[str, Any]:
        """A condition on the sort field that all rows after ``cursor`` satisfy, as one range of an
        index; `after` adds the exact one."""
        return {"$not": {"$gt" if self.descending else "$lt": cursor.primary}}

    def after(self, cursor: Cursor) -> list[dict[str, Any]]:
        """The alternatives (for ``$or``) that hold for the rows after ``cursor``."""
        same: dict[str, Any] = {self.field: cursor.primary}
        found = self._beyond({}, self.field, cursor.primary)
        if self.secondary is not None:
            found += self._beyond(same, self.secondary, cursor.secondary)
            same = {**same, self.secondary: cursor.secondary}
        found.append({**same, "_id": {"$lt" if self.descending else "$gt": cursor.id}})
        return found

    def _beyond(
        self, ties: Mapping[str, Any], field: str, value: str | datetime | None
    ) -> list[dict[str, Any]]:
        """Rows that agree in ``ties`` and come strictly after ``value``."""
        if self.descending:
            if value is None:
                return []
            return [{**ties, field: {"$lt": value}}, {**ties, field: None}]
        return [{**ties, field: {"$ne": None} if value is None else {"$gt": value}}]

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The cursor of a row: base64 of ``{primary, secondary, id}``."""
        second = "createdAt" if self.field == "archivedAt" else "updatedAt"
        place = {
            "primary": _wire(row.get(self.field)),
            "secondary": _wire(row.get(second)),
            "id": str(row["_id"]),
        }
        return b64encode(orjson.dumps(place)).decode()

    def read(self, text: str) -> Cursor | None:
        """The place a cursor names; ``None`` when it does not decode.

        Raises:
            BadCursor: it decodes, and holds a wrong date or id.
        """
        # A '+' that nobody escaped arrives as a space.
        standard = text.strip().replace(" ", "+").replace("-", "+").replace("_", "/")
        try:
            place = orjson.loads(b64decode(standard + "=" * (-len(standard) % 4)))
        except (binascii.Error, ValueError):
            return None
        if not isinstance(place, dict):
            return None
        primary, identity = place.get("primary"), place.get("id")
        if not isinstance(identity, str) or not ObjectId.is_valid(identity):
            raise BadCursor("id")
        if self.field == "title":
            if primary is not None and not isinstance(primary, str):
                raise BadCursor("primary")
        else:
            primary = _date(primary)
        return Cursor(primary, _date(place.get("secondary")), ObjectId(identity))


def _wire(value: Any) -> str | None:
    if isinstance(value, datetime):
        return iso(value)
    return value if isinstance(value, str) else None


def _date(text: Any) -> datetime | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise BadCursor("a date must be text")
    return naive_date(text)


def naive_date(text: str) -> datetime:
    """An ISO 8601 date as naive UTC; `BadCursor` when it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise BadCursor("date") from None
