"""The list of conversations (contract convos §2.1)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from locutory.database import Raw
from locutory_conversations.listing.order import Cursor, Order
from locutory_conversations.listing.titles import LONGEST_PREFIX, title_edges
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
_LATEST = datetime(9000, 1, 1)
_USERS = 20_000
_IDS = 100
_SLOW = 0.1  # seconds


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

    def fixed(self) -> dict[str, Any]:
        """The equalities beside a window of the sort field, which must be the only operator:
        with a second one, the embedded database would no longer see the index."""
        return {name: value for name, value in self.equal.items() if value != _NOT_ARCHIVED}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a user's last page taught: where the first page ended (``None``: the whole list
    fits one page), and how long one row lasts."""

    edge: datetime | None
    row: timedelta


@dataclass(frozen=True, slots=True)
class _Spelt:
    """What slow pages by title taught: where the first page ended, and how many characters
    the titles of a page share."""

    edge: str | None
    prefix: int


class ConversationList:
    """Reads pages.

    Each read has two ``$match`` stages: the first holds only what an index serves, the
    second everything else. A database with an optimiser joins them; the embedded one uses
    an index for the first and tests the few documents left against the second, where one
    filter with ``$or`` would be a scan of everybody's conversations.

    It also reads every match before it sorts. So the next rows are looked for in a window
    of the sort field first, as wide as this user's last pages suggest (dates mostly move
    forward, so the window of the last first page still holds a page); only a window that
    begins where the page begins and holds a full page counts, so the answer is the same.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Recent[tuple[str, Order, str], _Seen] = Recent(_USERS)
        self._spelt: Recent[tuple[str, Order, str], _Spelt] = Recent(_USERS)

    async def page(self, user: str, selection: Selection) -> tuple[list[Raw], str | None]:
        """The rows (naive dates), and the cursor of the next page if there is one."""
        needed = selection.limit + 1
        access = _access(selection)
        rows = await self._nearest(user, selection, access, needed)
        if rows is None and selection.ids is not None:
            rows = await self._chosen(user, selection, selection.ids, access, needed)
        if rows is None:
            started = time.monotonic()
            rows = await self._read(selection, {"user": user, **access.equal}, access, needed)
            self._learn(user, selection, access, rows, needed)
            if selection.order.field == "title" and time.monotonic() - started > _SLOW:
                self._learn_titles(user, selection, access, rows, needed)
        if len(rows) < needed:
            return rows, None
        del rows[selection.limit :]
        return rows, selection.order.cursor(rows[-1])

    async def _nearest(
        self, user: str, selection: Selection, access: _Access, needed: int
    ) -> list[Raw] | None:
        """A full page out of a window of the sort field; ``None`` when none was found."""
        order, cursor = selection.order, selection.cursor
        if not access.ranged:
            return None
        if order.field == "title":
            return await self._titled(user, selection, access, needed)
        seen = self._seen.get((user, order, access.kind))
        if cursor is not None:
            start = cursor.primary
        elif seen is not None and seen.edge is None:
            return None
        else:
            start = _utc_now() if order.descending else await self._oldest(user, order, access)
        if not (isinstance(start, datetime) and _EARLIEST <= start <= _LATEST):
            return None
        if cursor is None and seen is not None and seen.edge is not None:
            edge = seen.edge
        else:
            edge = order.onward(start, _FIRST_WINDOW if seen is None else seen.row * needed)
        for _ in range(_WINDOWS):
            rows = await self._window(user, selection, access, edge, needed)
            if len(rows) >= needed:
                self._learn(user, selection, access, rows, needed)
                return rows
            growth = 16.0 if not rows else max(4.0, 3 * needed / len(rows))
            span = min(max(abs(start - edge), _FIRST_WINDOW), _WIDEST_WINDOW)
            edge = order.onward(start, min(span * growth, _WIDEST_WINDOW))
        return None

    async def _titled(
        self, user: str, selection: Selection, access: _Access, needed: int
    ) -> list[Raw] | None:
        """The same in a list by title, once it was seen to be slow without."""
        order, cursor = selection.order, selection.cursor
        key = (user, order, access.kind)
        spelt = self._spelt.get(key)
        if spelt is None:
            return None
        if cursor is None:
            lacking = not order.descending and await self._lacking(user, order, access)
            edges = [] if lacking or spelt.edge is None else [(spelt.edge, spelt.prefix)]
        elif isinstance(cursor.primary, str):
            edges = list(
                title_edges(cursor.primary, descending=order.descending, prefix=spelt.prefix)
            )
        else:
            return None
        for edge, size in edges:
            rows = await self._window(user, selection, access, edge, needed)
            if len(rows) >= needed:
                if cursor is not None and size:  # the next page tries a little narrower first
                    self._spelt.put(key, replace(spelt, prefix=size + 2))
                return rows
        return None

    async def _window(
        self, user: str, selection: Selection, access: _Access, edge: Any, needed: int
    ) -> list[Raw]:
        """The first rows between the page's begin and ``edge``."""
        order, cursor = selection.order, selection.cursor
        near, far = ("$lte", "$gte") if order.descending else ("$gte", "$lte")
        window: dict[str, Any] = {far: edge}
        if cursor is not None:
            window[near] = cursor.primary
        first = {"user": user, **access.fixed(), order.field: window}
        return await self._read(selection, first, access, needed)

    async def _lacking(self, user: str, order: Order, access: _Access) -> bool:
        """Are there rows without the sort field? A list that ascends begins with them."""
        key = {"user": user, **access.fixed(), order.field: None}
        return await self._store.conversations_plain.find_one(key, {"_id": 1}) is not None

    async def _oldest(self, user: str, order: Order, access: _Access) -> datetime | None:
        """Where a list that ascends begins: when the account was made. (Imported conversations
        may be older; the first window has no lower end.)"""
        if not ObjectId.is_valid(user) or await self._lacking(user, order, access):
            return None
        return ObjectId(user).generation_time.replace(tzinfo=None)

    async def _chosen(
        self, user: str, selection: Selection, ids: Sequence[str], access: _Access, needed: int
    ) -> list[Raw]:
        """The page out of given conversations, some at a time: the embedded database compares
        every document with every id it is asked for."""
        rows: list[Raw] = []
        for start in range(0, len(ids), _IDS):
            first = {"conversationId": {"$in": list(ids[start : start + _IDS])}, "user": user}
            rows += await self._read(selection, first, access, needed)
        return selection.order.sorted(rows)[:needed]

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
        if not access.ranged or order.field == "title":
            return
        key = (user, order, access.kind)
        if len(rows) < needed:
            if first_page:
                self._seen.put(key, _Seen(None, _FIRST_WINDOW))
            return
        begin, end = rows[0].get(order.field), rows[-1].get(order.field)
        if not isinstance(begin, datetime) or not isinstance(end, datetime):
            return
        if not _EARLIEST <= end <= _LATEST:
            return
        row = min(max(abs(end - begin) / needed * _MARGIN, _SHORTEST_ROW), _LONGEST_ROW)
        edge: datetime | None = order.onward(end, row * _MARGIN)
        before = self._seen.get(key)
        if not first_page and before is not None:
            edge = before.edge
        self._seen.put(key, _Seen(edge, row))

    def _learn_titles(
        self, user: str, selection: Selection, access: _Access, rows: list[Raw], needed: int
    ) -> None:
        """Remember that this list is long, and where its first page ends."""
        key = (user, selection.order, access.kind)
        spelt = self._spelt.get(key) or _Spelt(None, LONGEST_PREFIX)
        last = rows[-1].get("title") if len(rows) == needed else None
        if selection.cursor is None and isinstance(last, str):
            spelt = replace(spelt, edge=last)
        self._spelt.put(key, spelt)


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
        return _Access({}, rest, False, kind)
    if tags:
        return _Access({"tags": wanted}, rest, False, kind)
    if selection.project is not None:
        project = {"chatProjectId": rest.pop("chatProjectId")}
        return _Access(project, rest, by in ("updatedAt", "createdAt"), kind)
    if selection.pinned:
        return _Access({"pinned": True}, rest, by == "updatedAt", kind)
    if selection.archived:
        return _Access({"isArchived": True}, rest, by == "archivedAt", kind)
    return _Access({"isArchived": _NOT_ARCHIVED}, rest, by != "archivedAt", kind)


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
