"""The service `HISTORY_FEED`: changed documents, for indexes outside of the database.

The first pass begins with the documents that have no date, and includes those with a date in the
future. Every later one begins a few seconds before the moment at which the previous one began, so
that documents that became visible late are not lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from bson.errors import InvalidId

from locutory import Raw, now
from locutory_contracts.conversations import FeedPage
from locutory_conversations.store import Store

_ORDER = {"updatedAt": 1, "_id": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)

_OVERLAP = timedelta(seconds=5)
_CLOCKS_DIFFER = timedelta(seconds=60)

Kind = Literal["conversations", "messages"]


@dataclass(frozen=True, slots=True)
class _FeedPosition:
    """The position of a reader. ``began``: the beginning of its pass, ``None`` between two; ``at``
    and ``after``: date and id of the last document, without a date while those without one are
    read."""

    first: bool
    began: datetime | None
    at: datetime | None
    after: ObjectId | None = None

    def text(self) -> str:
        """For the reader to keep."""
        parts = ("all" if self.first else "new", _number(self.began), _number(self.at))
        return ".".join((*parts, "" if self.after is None else str(self.after)))

    def behind(self, row: Mapping[str, Any]) -> "_FeedPosition":
        """The place after a document."""
        return replace(self, at=row.get("updatedAt"), after=row["_id"])


class Feed:
    """Pages of everybody's history in the order of change (`HistoryFeed`)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def changes(self, kind: Kind, position: str | None, limit: int) -> FeedPage:
        """The next documents; an invalid position starts from the beginning."""
        place = _read(position) or _FeedPosition(True, None, None)
        place = place if place.began is not None else replace(place, began=now())
        rows: list[Raw] = []
        if place.at is None:
            rows = await self._rows(kind, _undated(place), {"_id": 1}, limit)
            if len(rows) == limit:
                return FeedPage(rows, place.behind(rows[-1]).text(), True)
            place = replace(place, at=_EARLIEST, after=None)
        moment, room = now(), limit - len(rows)
        dated = await self._rows(kind, _dated(place, moment), _ORDER, room)
        rows += dated
        if len(dated) == room:
            return FeedPage(rows, place.behind(rows[-1]).text(), True)
        return _ended(rows, place, moment)

    async def _rows(
        self, kind: Kind, key: Mapping[str, Any], order: Mapping[str, int], limit: int
    ) -> list[Raw]:
        collection = self._store.messages if kind == "messages" else self._store.conversations
        found = collection.find(key).sort(order).limit(limit).batch_size(limit + 1)
        return await found.to_list()


def _ended(found: list[Raw], place: _FeedPosition, moment: datetime) -> FeedPage:
    """The end of a pass; the next one may start at once when this one took long."""
    began = place.began or moment
    following = _FeedPosition(False, None, began - _OVERLAP)
    return FeedPage(found, following.text(), now() - began > _OVERLAP)


def _undated(place: _FeedPosition) -> dict[str, Any]:
    key: dict[str, Any] = {"updatedAt": None}
    return key if place.after is None else {**key, "_id": {"$gt": place.after}}


def _dated(place: _FeedPosition, moment: datetime) -> dict[str, Any]:
    key: dict[str, Any] = {"updatedAt": {"$gte": place.at}}
    if not place.first:
        key["updatedAt"]["$lt"] = moment + _CLOCKS_DIFFER
    if place.after is not None:
        key["$or"] = [{"updatedAt": {"$gt": place.at}}, {"_id": {"$gt": place.after}}]
    return key


def _number(moment: datetime | None) -> str:
    return "" if moment is None else str((moment - _EPOCH) // timedelta(milliseconds=1))


def _moment(text: str) -> datetime | None:
    return None if not text else _EPOCH + timedelta(milliseconds=int(text))


def _read(position: str | None) -> _FeedPosition | None:
    """The place that a position names; ``None`` when it names none."""
    if position is None:
        return None
    try:
        kind, began, at, after = position.split(".")
        if kind not in ("all", "new"):
            return None
        return _FeedPosition(
            kind == "all", _moment(began), _moment(at), ObjectId(after) if after else None
        )
    except (ValueError, OverflowError, InvalidId):
        return None
