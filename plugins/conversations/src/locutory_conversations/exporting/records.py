"""Conversations as records of an export: ``{kind, conversation, messages}``."""

from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from locutory import iso, now
from locutory.database import Raw
from locutory_contracts.conversations import NO_PARENT
from locutory_contracts.portability import Record
from locutory_conversations.changes import LONGEST_TITLE
from locutory_conversations.importing.errors import Junk
from locutory_conversations.importing.fields import (
    conversation_fields,
    message_fields,
    moment_of,
    text_of,
)
from locutory_conversations.importing.resources import without_resources
from locutory_conversations.retention import Retention
from locutory_conversations.services.adding import LONGEST_ID, Adding, Whole
from locutory_conversations.store import READ_AT_ONCE, Store, is_uuid

KIND = "conversation"
_IDS_AT_ONCE = 1000
_EXPORTED_AT_ONCE = 100
_MESSAGES_AT_ONCE = 500
_NOT_EXPORTED = frozenset(
    (
        *("_id", "__v", "_meiliIndex", "user", "tenantId", "messages", "expiredAt"),
        *("subagentThreadLease", "subagentTranscript", "subagentTask"),
    )
)
_DATES = ("createdAt", "updatedAt", "archivedAt")


Place = tuple[str, bool]
"""(id under which a conversation is restored, the user has it already)"""


class PortableConversations:
    """The entry ``conversation`` of `PORTABLE`.

    A conversation keeps its ids where nobody on this server has them. Else they are derived
    from the old ones and the user, so that restoring again finds what is there already.
    """

    rank = 50

    def __init__(self, store: Store, adding: Adding, retention: Retention) -> None:
        self._store = store
        self._adding = adding
        self._retention = retention

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every conversation, the oldest first, but some at a time in the order of their ids. All
        ids are read first, which are small. What has ended, and only waits for its removal, would
        live on where it is restored."""
        found = self._store.conversations.find(
            {"user": user}, {"conversationId": 1}, batch_size=READ_AT_ONCE
        )
        ids = sorted([(row["_id"], row["conversationId"]) async for row in found])
        for start in range(0, len(ids), _EXPORTED_AT_ONCE):
            some = [
                conversation_id for _, conversation_id in ids[start : start + _EXPORTED_AT_ONCE]
            ]
            async for record in self._exported(user, some):
                yield record

    async def _exported(self, user: str, ids: Sequence[str]) -> AsyncIterator[Record]:
        """Some conversations, each with its messages, which are read along with them."""
        key = {"conversationId": {"$in": list(ids)}, "user": user}
        order = [("conversationId", 1)]
        found = await self._store.conversations_plain.find(key).sort(order).to_list()
        order.append(("createdAt", 1))
        rows = self._store.messages_plain.find(key, batch_size=_MESSAGES_AT_ONCE).sort(order)
        async with aclosing(_by_conversation(rows)) as groups:
            group = await anext(groups, None)
            for conversation in found:
                conversation_id = conversation["conversationId"]
                while group is not None and group[0] < conversation_id:
                    group = await anext(groups, None)
                messages = group[1] if group is not None and group[0] == conversation_id else []
                if not _has_ended(conversation):
                    yield {
                        "kind": KIND,
                        "conversation": _exported(conversation),
                        "messages": [_exported(row) for row in messages],
                    }

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one conversation; false when the user has it."""
        whole = await self.parsed(user, record, ids)
        if whole is None:
            return False
        await self._adding.add_all(user, [whole])
        return True

    async def parsed(
        self,
        user: str,
        record: Record,
        ids: MutableMapping[str, str],
        places: Mapping[str, Place] | None = None,
    ) -> Whole | None:
        """The conversation of a record, ready to be written; ``None`` when the user has it.
        ``places``: what `places` found, where several records are looked at together.

        Raises:
            ValueError: the record makes no sense.
        """
        given, messages = record.get("conversation"), record.get("messages")
        if not isinstance(given, dict) or not isinstance(messages, list):
            raise Junk("a conversation is not complete")
        old = given.get("conversationId")
        if not is_uuid(old):
            raise Junk("a conversation has no id")
        new, known = (places or await self.places(user, [record]))[str(old)]
        ids[str(old)] = new
        if known:
            return None
        conversation = {
            "title": text_of(given.get("title"), "New Chat")[:LONGEST_TITLE],
            **conversation_fields(given, own=True),
            **_dates(given),
            **self._retained(given),
            "conversationId": new,
        }
        project = conversation.pop("chatProjectId", None)
        if project in ids:
            conversation["chatProjectId"] = ids[project]
        keep = new == old
        return Whole(conversation, [self._message(user, row, keep) for row in messages])

    def _message(self, user: str, given: Any, keep: bool) -> dict[str, Any]:
        fields = without_resources(message_fields(given))
        known, parent = given.get("messageId"), given.get("parentMessageId")
        if not isinstance(known, str) or not 0 < len(known) <= LONGEST_ID:
            raise Junk("a message has no id")
        parent = parent if isinstance(parent, str) and parent else NO_PARENT
        if not keep:
            known = derived(user, known)
            parent = parent if parent == NO_PARENT else derived(user, parent)
        dates = _dates(given)
        return {
            **fields,
            "createdAt": now(),
            **dates,
            **self._retained(given),
            "messageId": known,
            "parentMessageId": parent,
        }

    async def places(self, user: str, records: Sequence[Any]) -> Mapping[str, Place]:
        """For every id of a conversation in records: where it goes."""
        olds = [old for record in records if is_uuid(old := _old_id(record))]
        moved = {old: derived(user, old) for old in olds}
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for start in range(0, len(olds), _IDS_AT_ONCE):
            some = olds[start : start + _IDS_AT_ONCE]
            key = {"conversationId": {"$in": [*some, *(moved[old] for old in some)]}}
            columns = {"conversationId": 1, "user": 1}
            rows = self._store.conversations.find(key, columns, batch_size=READ_AT_ONCE)
            async for row in rows:
                owners[row["conversationId"]].add(str(row["user"]))
        found: dict[str, Place] = {}
        for old in olds:
            stays = not owners[old] or user in owners[old]
            new = old if stays else moved[old]
            found[old] = (new, user in owners[new])
        return found

    def _retained(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A temporary conversation lives as long as one that begins now."""
        return self._retention.changes(given.get("isTemporary") is True)


async def _by_conversation(rows: AsyncIterable[Raw]) -> AsyncGenerator[tuple[str, list[Raw]], None]:
    """Messages in the order of their conversations: the id and the messages of each."""
    messages: list[Raw] = []
    async for row in rows:
        if messages and row["conversationId"] != messages[0]["conversationId"]:
            yield messages[0]["conversationId"], messages
            messages = []
        messages.append(row)
    if messages:
        yield messages[0]["conversationId"], messages


def derived(user: str, old: str) -> str:
    """The same new id for the same user and old id."""
    return str(uuid5(NAMESPACE_URL, f"locutory:{user}:{old}"))


def _has_ended(conversation: Mapping[str, Any]) -> bool:
    expires = conversation.get("expiredAt")
    return isinstance(expires, datetime) and expires.replace(tzinfo=UTC) <= now()


def _old_id(record: Any) -> Any:
    given = record.get("conversation") if isinstance(record, dict) else None
    return given.get("conversationId") if isinstance(given, dict) else None


def _exported(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_EXPORTED}


def _dates(given: Mapping[str, Any]) -> dict[str, Any]:
    dates = {name: moment_of(given.get(name)) for name in _DATES}
    return {name: moment for name, moment in dates.items() if moment is not None}


def header() -> Record:
    """The first line of an export."""
    return {"kind": "export", "version": 1, "product": "Locutory", "createdAt": iso(now())}
