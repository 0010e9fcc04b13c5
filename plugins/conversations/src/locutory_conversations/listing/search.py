"""Hits of a search, read again from the database (contract search §2, messages §3.4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from locutory import Raw, Services, now
from locutory_contracts.search import SEARCH, MessageHit, Search
from locutory_conversations.listing.messages import shown
from locutory_conversations.retention import is_visible
from locutory_conversations.store import Store

MAX_HITS = 1000
LONGEST_QUERY = 512
_FLATTENED = ("text", "think", "steer")
_OF_CONVERSATION = dict.fromkeys(
    ("conversationId", "title", "model", "isTemporary", "expiredAt"), 1
)


class HistorySearch:
    """Searches with the service `SEARCH`. Its results are hints: the database decides on ownership
    and visibility. Faults are `locutory_contracts.search.SearchFailed`."""

    def __init__(self, store: Store, services: Services) -> None:
        self._store = store
        self._services = services

    @property
    def engine(self) -> Search | None:
        """The service, when there is one."""
        return self._services.find(SEARCH)

    async def conversations(self, engine: Search, user: str, text: str) -> tuple[str, ...]:
        """Ids of conversations that match."""
        found = await engine.conversations(user, text[:LONGEST_QUERY], MAX_HITS)
        return tuple(dict.fromkeys(found))

    async def messages(
        self, engine: Search, user: str, text: str, *, size: int, start: int
    ) -> tuple[list[Raw], int | None]:
        """Messages that match, best first, with ``title`` and ``model`` of their conversation
        (naive dates). ``start``: the hit to begin with; returned for the next page."""
        hits = await engine.messages(user, text[:LONGEST_QUERY], MAX_HITS)
        rows: list[Raw] = []
        while start < len(hits) and len(rows) < size:
            some = hits[start : start + size - len(rows)]
            start += len(some)
            rows += await self._visible(user, some)
        return rows, start if start < len(hits) else None

    async def _visible(self, user: str, hits: Sequence[MessageHit]) -> list[Raw]:
        messages = await self._by(
            "messageId", user, [hit.message_id for hit in hits], self._store.messages_plain, None
        )
        ids = [row.get("conversationId") for row in messages.values()]
        conversations = await self._by(
            "conversationId", user, ids, self._store.conversations, _OF_CONVERSATION
        )
        moment = now()
        rows: list[Raw] = []
        for hit in hits:
            # Taken out, so that an index with a message twice does not show it twice.
            row = messages.pop(hit.message_id, None)
            of = None if row is None else conversations.get(row.get("conversationId"))
            if row is None or of is None or not is_visible(of, moment):
                continue
            if row.get("isTemporary") is True:
                continue
            text = flattened(row)
            row = {**shown(row), "user": user, "text": text}
            row.update((name, of[name]) for name in ("title", "model") if name in of)
            rows.append(row)
        return rows

    async def _by(
        self, field: str, user: str, ids: Sequence[Any], collection: Any, columns: Any
    ) -> dict[Any, Raw]:
        wanted = list({each for each in ids if isinstance(each, str)})
        if not wanted:
            return {}
        key = {field: {"$in": wanted}, "user": user}
        rows = await collection.find(key, columns, batch_size=len(wanted) + 1).to_list()
        found: dict[Any, Raw] = {row[field]: row for row in rows}
        return found


def flattened(message: Mapping[str, Any]) -> str:
    """The text of a message, of its content when it has one (contract messages §5)."""
    content = message.get("content")
    text = ""
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        piece = part.get(kind) if kind in _FLATTENED else None
        if isinstance(piece, dict):
            piece = piece.get("value")
        if not isinstance(piece, str) or not piece:
            continue
        apart = text and not text[-1].isspace() and not piece[0].isspace()
        text += f" {piece}" if apart else piece
    found = text or message.get("text")
    return found if isinstance(found, str) else ""
