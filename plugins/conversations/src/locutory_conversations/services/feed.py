"""The service `HISTORY_FEED`: what changed, for indexes beside the database.

A pass goes through ``updatedAt`` in windows, because the embedded database reads every match
of a filter before it sorts. The first pass begins with the documents that have no date, and
takes those of the future too. Every later one begins a few seconds before the moment at which
the one before it began, so that what became visible late is not lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from bson.errors import InvalidId

from locutory import now
from locutory.database import Collection, Raw
from locutory_contracts.conversations import FeedPage
from locutory_conversations.recent import Recent
from locutory_conversations.store import READ_AT_ONCE, Store

_ORDER = {"updatedAt": 1, "_id": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_SPARSE_UNTIL = datetime(2020, 1, 1, tzinfo=UTC)

_OVERLAP = timedelta(seconds=5)
_CLOCKS_DIFFER = timedelta(seconds=60)
_NARROWEST = timedelta(milliseconds=1)
_WIDEST = timedelta(days=7)
_WINDOWS = 400
_KEYS = 100_000
_CONSUMERS = 8

Kind = Literal["conversations", "messages"]
Key = tuple[datetime, ObjectId]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a reader is. ``began``: when its pass began, ``None`` between two; ``at`` and
    ``after``: date and id of the last document, no date while those without one are read."""

    first: bool
    began: datetime | None
    at: datetime | None
    after: ObjectId | None = None

    def text(self) -> str:
        """For the reader to keep."""
        parts = ("all" if self.first else "new", _number(self.began), _number(self.at))
        return ".".join((*parts, "" if self.after is None else str(self.after)))

    def behind(self, row: Mapping[str, Any]) -> "_Place":
        """The place after a document."""
        return replace(self, at=row.get("updatedAt"), after=row["_id"])


class Feed:
    """Pages of everybody's history in the order of change (`HistoryFeed`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._widths: dict[str, timedelta] = {}
        # Of a window that holds more than a page: what comes next, by (kind, position).
        self._ahead: Recent[tuple[str, str], Sequence[Key]] = Recent(_CONSUMERS)

    async def changes(self, kind: Kind, position: str | None, limit: int) -> FeedPage:
        """The next documents; a position that is not ours begins anew."""
        place = _read(position) or _Place(True, None, None)
        place = place if place.began is not None else replace(place, began=now())
        ahead = self._ahead.pop((kind, place.text()))
        if ahead is not None:
            return await self._by_keys(kind, place, ahead, limit)
        if place.at is None:
            rows = await self._undated(kind, place, limit)
            if len(rows) == limit:
                return FeedPage(rows, replace(place, after=rows[-1]["_id"]).text(), True)
            place = replace(place, at=_EARLIEST, after=None)
            if rows:
                return FeedPage(rows, place.text(), True)
        return await self._dated(kind, place, limit)

    async def _dated(self, kind: Kind, place: _Place, limit: int) -> FeedPage:
        found: list[Raw] = []
        for _ in range(_WINDOWS):
            at, moment = place.at or _EARLIEST, now()
            width = self._widths.get(kind, _WIDEST)
            end, last = max(at + width, _SPARSE_UNTIL), moment + _CLOCKS_DIFFER
            window: dict[str, Any] = {"$gte": at, "$lt": min(end, last)}
            if end >= last and place.first:
                del window["$lt"]
            room = limit - len(found)
            rows = await self._window(kind, place, window, room + 1)
            if len(rows) > room:
                if found:
                    break
                return await self._crowded(kind, place, window, limit)
            found += rows
            if end >= last:
                return self._ended(found, place, moment)
            self._widths[kind] = min(width * 2, _WIDEST)
            place = replace(place, at=end, after=None)
            if len(rows) == room:
                break
        return FeedPage(found, place.text(), True)

    def _ended(self, found: list[Raw], place: _Place, moment: datetime) -> FeedPage:
        """The end of a pass; the next one may start at once when this one took long."""
        began = place.began or moment
        following = _Place(False, None, began - _OVERLAP)
        return FeedPage(found, following.text(), now() - began > _OVERLAP)

    async def _crowded(
        self, kind: Kind, place: _Place, window: Mapping[str, Any], limit: int
    ) -> FeedPage:
        """A window holds more than a page, which the embedded database would read again for
        each of them: so its keys are read once, and then the documents by their ids."""
        pipeline = [
            *_match(place, window),
            {"$sort": _ORDER},
            {"$limit": _KEYS},
            {"$project": {"updatedAt": 1}},
        ]
        rows = await (await self._collection(kind).aggregate(pipeline, batchSize=_KEYS)).to_list()
        keys = [(row["updatedAt"], row["_id"]) for row in rows]
        if keys:
            span: timedelta = keys[-1][0] - keys[0][0]
            self._widths[kind] = min(max(span * limit / len(keys), _NARROWEST), _WIDEST)
        return await self._by_keys(kind, place, keys, limit)

    async def _by_keys(
        self, kind: Kind, place: _Place, keys: Sequence[Key], limit: int
    ) -> FeedPage:
        count = _whole_dates(keys, limit)
        page, rest = keys[:count], keys[count:]
        order = {identity: number for number, (_, identity) in enumerate(page)}
        rows = [row for row in await self._rows(kind, page) if row["_id"] in order]
        rows.sort(key=lambda row: order[row["_id"]])
        if page:
            place = replace(place, at=page[-1][0], after=page[-1][1])
        if rest:
            self._ahead.put((kind, place.text()), rest)
        return FeedPage(rows, place.text(), True)

    async def _rows(self, kind: Kind, page: Sequence[Key]) -> list[Raw]:
        """At least the documents of ``page``. A window costs a third of as many ids."""
        ids = [identity for _, identity in page]
        if not ids:
            return []
        key: dict[str, Any] = {"_id": {"$in": ids}}
        if page[0][0] != page[-1][0]:
            key = {"updatedAt": {"$gte": page[0][0], "$lte": page[-1][0]}}
        found = self._collection(kind).find(key, batch_size=READ_AT_ONCE)
        return await found.to_list()

    async def _window(
        self, kind: Kind, place: _Place, window: Mapping[str, Any], limit: int
    ) -> list[Raw]:
        pipeline = [*_match(place, window), {"$sort": _ORDER}, {"$limit": limit}]
        cursor = await self._collection(kind).aggregate(pipeline, batchSize=limit + 1)
        return await cursor.to_list()

    async def _undated(self, kind: Kind, place: _Place, limit: int) -> list[Raw]:
        pipeline: list[Mapping[str, Any]] = [{"$match": {"updatedAt": None}}]
        if place.after is not None:
            pipeline.append({"$match": {"_id": {"$gt": place.after}}})
        pipeline += [{"$sort": {"_id": 1}}, {"$limit": limit}]
        cursor = await self._collection(kind).aggregate(pipeline, batchSize=limit + 1)
        return await cursor.to_list()

    def _collection(self, kind: Kind) -> Collection:
        return self._store.messages if kind == "messages" else self._store.conversations


def _match(place: _Place, window: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The window, which an index serves, and then what lies behind the place in it."""
    stages: list[Mapping[str, Any]] = [{"$match": {"updatedAt": window}}]
    if place.after is not None:
        behind = [{"updatedAt": {"$gt": place.at}}, {"_id": {"$gt": place.after}}]
        stages.append({"$match": {"$or": behind}})
    return stages


def _whole_dates(keys: Sequence[Key], limit: int) -> int:
    """How many of ``keys`` make the next page: it ends where the date changes, so that a
    window holds it, unless more than a page have one date."""
    if len(keys) <= limit:
        return len(keys)
    count = limit
    while count and keys[count - 1][0] == keys[count][0]:
        count -= 1
    return count or limit


def _number(moment: datetime | None) -> str:
    return "" if moment is None else str((moment - _EPOCH) // timedelta(milliseconds=1))


def _moment(text: str) -> datetime | None:
    return None if not text else _EPOCH + timedelta(milliseconds=int(text))


def _read(position: str | None) -> _Place | None:
    """The place that a position names; ``None`` when it names none."""
    if position is None:
        return None
    try:
        kind, began, at, after = position.split(".")
        if kind not in ("all", "new"):
            return None
        return _Place(
            kind == "all", _moment(began), _moment(at), ObjectId(after) if after else None
        )
    except (ValueError, OverflowError, InvalidId):
        return None
