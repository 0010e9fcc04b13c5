"""The list of conversations (contract convos §2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from locutory.database import Raw
from locutory_conversations.listing.order import Cursor, Order
from locutory_conversations.recent import Recent
from locutory_conversations.retention import visible
from locutory_conversations.store import Store

UNASSIGNED = "unassigned"

_ROW = (
    *("_id", "conversationId", "endpoint", "title", "createdAt", "updatedAt", "user"),
    *("archivedAt", "model", "agent_id", "assistant_id", "spec", "iconURL", "chatProjectId"),
    "pinned",
)
_PROJECTION = dict.fromkeys(_ROW, 1)
_NOT_ARCHIVED: Mapping[str, Any] = {"$in": [False, None]}

_FIRST_WINDOW = timedelta(days=7)
_WIDEST_WINDOW = timedelta(days=3650)
_WINDOWS = 2
_MARGIN = 1.5
_SHORTEST_ROW = timedelta(seconds=10)
_LONGEST_ROW = timedelta(days=365)
_EARLIEST = datetime(1971, 1, 1)
_USERS = 20_000


@dataclass(frozen=True, slots=True)
class Selection:
    """What a page shows. ``project``: 24 hex digits, `UNASSIGNED`, or ``None`` for all.
    ``ids``: only these conversations, which a search found."""

    limit: int = 25
    archived: bool = False
    pinned: bool = False
    tags: tuple[str, ...] = ()
    project: str | None = None
    order: Order = field(default_factory=Order)
    cursor: Cursor | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Access:
    """How rows are reached: equalities that an index begins with, and whether the same
    index goes on with the sort field."""

    equal: dict[str, Any]
    rest: dict[str, Any]
    ranged: bool
    kind: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a user's last page taught: where the first page ended (``None``: the whole list
    fits one page), and how long one row lasts."""

    floor: datetime | None
    row: timedelta


class ConversationList:
    """Reads pages.

    Each read has two ``$match`` stages: the first holds only what an index serves, the
    second everything else. A database with an optimiser joins them; the embedded one uses
    an index for the first and tests the few documents left against the second, where one
    filter with ``$or`` would be a scan of everybody's conversations.

    It also reads every match before it sorts. So the newest rows are looked for in a
    window of the sort field first, as wide as this user's last pages suggest (dates mostly
    move forward, so the window of the last first page still holds a page); only a window
    that holds a full page counts, so the answer is the same.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Recent[tuple[str, str, str], _Seen] = Recent(_USERS)

    async def page(self, user: str, selection: Selection) -> tuple[list[Raw], str | None]:
        """The rows (naive dates), and the cursor of the next page if there is one."""
        needed = selection.limit + 1
        access = _access(selection)
        rows = await self._newest(user, selection, access, needed)
        if rows is None:
            rows = await self._read(selection, {"user": user, **access.equal}, access, needed)
            self._learn(user, selection, access, rows, needed)
        if len(rows) < needed:
            return rows, None
        del rows[selection.limit :]
        return rows, selection.order.cursor(rows[-1])

    async def _newest(
        self, user: str, selection: Selection, access: _Access, needed: int
    ) -> list[Raw] | None:
        """A full page out of a window of the sort field; ``None`` when none was found."""
        order, cursor = selection.order, selection.cursor
        if not (access.ranged and order.descending):
            return None
        seen = self._seen.get((user, order.field, access.kind))
        start = _utc_now() if cursor is None else cursor.primary
        if not isinstance(start, datetime) or start < _EARLIEST:
            return None
        if cursor is None and seen is not None:
            if seen.floor is None:
                return None
            floor = seen.floor
        else:
            floor = start - (_FIRST_WINDOW if seen is None else seen.row * needed)
        # The window is the only operator of this filter: with a second one, the embedded
        # database would no longer see the index.
        equal = {name: value for name, value in access.equal.items() if value != _NOT_ARCHIVED}
        for _ in range(_WINDOWS):
            window: dict[str, Any] = {"$gte": floor}
            if cursor is not None:
                window["$lte"] = start
            first = {"user": user, **equal, order.field: window}
            rows = await self._read(selection, first, access, needed)
            if len(rows) >= needed:
                self._learn(user, selection, access, rows, needed)
                return rows
            growth = 16.0 if not rows else max(4.0, 3 * needed / len(rows))
            span = min(max(start - floor, _FIRST_WINDOW), _WIDEST_WINDOW)
            floor = start - min(span * growth, _WIDEST_WINDOW)
        return None

    async def _read(
        self, selection: Selection, first: Mapping[str, Any], access: _Access, needed: int
    ) -> list[Raw]:
        alternatives = [{"$or": visible(_utc_now())}]
        if selection.cursor is not None:
            alternatives.append({"$or": selection.order.after(selection.cursor)})
        pipeline: list[Mapping[str, Any]] = [
            {"$match": first},
            {"$match": {**access.rest, "$and": alternatives}},
            {"$sort": selection.order.sort()},
            {"$limit": needed},
            {"$project": _PROJECTION},
        ]
        collection = self._store.conversations_plain
        return await (await collection.aggregate(pipeline, batchSize=needed + 1)).to_list()

    def _learn(
        self, user: str, selection: Selection, access: _Access, rows: list[Raw], needed: int
    ) -> None:
        """Remember how far back a page reaches."""
        order, first_page = selection.order, selection.cursor is None
        if not (access.ranged and order.descending):
            return
        key = (user, order.field, access.kind)
        if len(rows) < needed:
            if first_page:
                self._seen.put(key, _Seen(None, _FIRST_WINDOW))
            return
        newest, oldest = rows[0].get(order.field), rows[-1].get(order.field)
        if not isinstance(newest, datetime) or not isinstance(oldest, datetime):
            return
        if oldest < _EARLIEST:
            return
        row = min(max((newest - oldest) / needed * _MARGIN, _SHORTEST_ROW), _LONGEST_ROW)
        floor: datetime | None = oldest - row * _MARGIN
        before = self._seen.get(key)
        if not first_page and before is not None:
            floor = before.floor
        self._seen.put(key, _Seen(floor, row))


def _access(selection: Selection) -> _Access:
    by = selection.order.field
    archived: Any = True if selection.archived else _NOT_ARCHIVED
    rest: dict[str, Any] = {"isArchived": archived}
    if selection.pinned:
        rest["pinned"] = True
    if selection.project is not None:
        rest["chatProjectId"] = None if selection.project == UNASSIGNED else selection.project
    tags = list(selection.tags)
    wanted: Any = tags[0] if len(tags) == 1 else {"$in": tags}
    kind = f"{selection.archived}{selection.pinned}{selection.project}{bool(tags)}"
    if selection.ids is not None:
        if tags:
            rest["tags"] = wanted
        return _Access({"conversationId": {"$in": list(selection.ids)}}, rest, False, kind)
    if tags:
        return _Access({"tags": wanted}, rest, False, kind)
    if selection.project is not None:
        project = {"chatProjectId": rest.pop("chatProjectId")}
        return _Access(project, rest, by in ("updatedAt", "createdAt"), kind)
    if selection.pinned:
        return _Access({"pinned": True}, rest, by == "updatedAt", kind)
    if selection.archived:
        return _Access({"isArchived": True}, rest, by == "archivedAt", kind)
    return _Access({"isArchived": _NOT_ARCHIVED}, rest, by == "updatedAt", kind)


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
