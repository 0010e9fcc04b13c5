"""Messages as clients see them, and pages of them (contract messages §3.1, §3.4)."""

import re
from datetime import UTC, datetime
from typing import Any

from locutory import Raw, iso
from locutory_conversations.listing.order import BadCursor, naive_date
from locutory_conversations.store import READ_AT_ONCE, Store, key_of

_PRIVATE = frozenset(("_meiliIndex", "subagentTranscript", "subagentTask"))
_UNSHOWN = _PRIVATE | frozenset(
    (
        *("_id", "__v", "user", "clientId", "invocationId", "conversationSignature", "summary"),
        *("summaryTokenCount", "contextMeta", "langfuseSampled", "langfuseDestinationIds"),
    )
)
_UNSHOWN_RESULTS = (
    *("knowledgeGraph", "peopleAlsoAsk", "relatedSearches", "shopping", "places", "news"),
)
_PRINTED = re.compile(r"\w{3} (\w{3} \d{1,2} \d{4} \d\d:\d\d:\d\d) GMT[+ ](\d{4})")

PAGE_FIELDS = ("endpoint", "createdAt", "updatedAt")


def shown(row: Raw) -> Raw:
    """Remove the members of ``row`` that `GET /api/messages/:conversationId` does not show. Done
    here and not by a projection, since most rows have none of them."""
    for name in row.keys() & _UNSHOWN:
        del row[name]
    metadata = row.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("thoughtSignatures", None)
    attachments = row.get("attachments")
    if isinstance(attachments, list):
        for attachment in attachments:
            results = attachment.get("web_search") if isinstance(attachment, dict) else None
            if isinstance(results, dict):
                _trim_results(results)
    return row


def full(row: Raw) -> Raw:
    """Remove the members of ``row`` that no response shows."""
    for name in row.keys() & _PRIVATE:
        del row[name]
    return row


def _trim_results(results: Raw) -> None:
    for name in _UNSHOWN_RESULTS:
        results.pop(name, None)
    for name, inner in (("organic", ("sitelinks", "highlights")), ("topStories", ("highlights",))):
        items = results.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                for key in inner:
                    item.pop(key, None)


class MessagePages:
    """Reads messages for answers; dates are naive UTC."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def whole(self, user: str, conversation_id: str) -> list[Raw]:
        """Every message of a conversation, oldest first."""
        key = key_of(user, conversation_id)
        rows = self._store.messages_plain.find(key, batch_size=READ_AT_ONCE).sort("createdAt")
        return [shown(row) for row in await rows.to_list()]

    async def one(self, user: str, conversation_id: str, message_id: str) -> Raw | None:
        """One message of a conversation, as stored."""
        return await self._store.messages_plain.find_one(
            {"messageId": message_id, "user": user, "conversationId": conversation_id}
        )

    async def page(
        self,
        user: str,
        conversation_id: str,
        *,
        field: str,
        descending: bool,
        size: int,
        cursor: str | None,
    ) -> tuple[list[Raw], str | None]:
        """A page of full documents and the value of ``field`` to go on from.

        Raises:
            BadCursor: ``cursor`` is no date, where ``field`` is one.
        """
        key: dict[str, Any] = key_of(user, conversation_id)
        if cursor:
            bound = cursor if field == "endpoint" else _moment(cursor)
            key[field] = {"$lt" if descending else "$gt": bound}
        direction = -1 if descending else 1
        found = self._store.messages_plain.find(
            key, sort=[(field, direction), ("_id", direction)], limit=size + 1
        )
        rows = await found.to_list()
        following: str | None = None
        if len(rows) > size:
            rows.pop()
            value = rows[-1].get(field)
            following = iso(value) if isinstance(value, datetime) else value
        return [full(row) for row in rows], following


def _moment(text: str) -> datetime:
    """An ISO date, or one as JavaScript prints it (old cursors), as naive UTC."""
    printed = _PRINTED.match(text)
    if printed is None:
        return naive_date(text.replace(" ", "+"))
    try:
        moment = datetime.strptime(f"{printed[1]} +{printed[2]}", "%b %d %Y %H:%M:%S %z")
    except ValueError:
        raise BadCursor("date") from None
    return moment.astimezone(UTC).replace(tzinfo=None)
