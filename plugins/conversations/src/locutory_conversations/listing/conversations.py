"""The list of conversations (contract convos §2.1)."""

from dataclasses import dataclass, field
from typing import Any

from locutory import Raw, now
from locutory_conversations.listing.order import Cursor, Order
from locutory_conversations.retention import visible
from locutory_conversations.store import Store

UNASSIGNED = "unassigned"

_ROW = (
    *("_id", "conversationId", "endpoint", "title", "createdAt", "updatedAt", "user"),
    *("archivedAt", "model", "agent_id", "assistant_id", "spec", "iconURL", "chatProjectId"),
    "pinned",
)
_PROJECTION = dict.fromkeys(_ROW, 1)


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of rows for a page. ``project``: 24 hex digits, `UNASSIGNED`, or ``None`` for
    all. ``ids``: only these conversations, which a search found."""

    limit: int = 25
    archived: bool = False
    pinned: bool = False
    tags: tuple[str, ...] = ()
    project: str | None = None
    order: Order = field(default_factory=Order)
    cursor: Cursor | None = None
    ids: tuple[str, ...] | None = None

    def filter(self, user: str) -> dict[str, Any]:
        """The filter of the page's rows and all that follow them."""
        found: dict[str, Any] = {
            "user": user,
            "isArchived": True if self.archived else {"$in": [False, None]},
            "$and": [{"$or": visible(now())}],
        }
        if self.ids is not None:
            found["conversationId"] = {"$in": list(self.ids)}
        if self.pinned:
            found["pinned"] = True
        if self.project is not None:
            found["chatProjectId"] = None if self.project == UNASSIGNED else self.project
        if self.tags:
            found["tags"] = {"$in": list(self.tags)}
        if self.cursor is not None:
            found[self.order.field] = self.order.bound(self.cursor)
            found["$and"].append({"$or": self.order.after(self.cursor)})
        return found


class ConversationList:
    """Reads pages."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, user: str, selection: Selection) -> tuple[list[Raw], str | None]:
        """The rows (naive dates), and the cursor of the next page if there is one."""
        found = self._store.conversations_plain.find(selection.filter(user), _PROJECTION)
        order, needed = selection.order, selection.limit + 1
        rows = await found.sort(order.sort()).limit(needed).batch_size(needed + 1).to_list()
        if len(rows) < needed:
            return rows, None
        rows.pop()
        return rows, order.cursor(rows[-1])
