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

from locutory import Raw, iso, now
from locutory_contracts.account_data import Record
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.fields import (
    conversation_fields,
    message_fields,
    moment_of,
    text_of,
)
from locutory_conversations.importing.resources import without_resources
from locutory_conversations.retention import Retention
from locutory_conversations.services.bulk_insert import LONGEST_ID, BulkInsert, ConversationBundle
from locutory_conversations.store import READ_AT_ONCE, Store, is_uuid
from locutory_conversations.updates import LONGEST_TITLE

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


RestoreTarget = tuple[str, bool]
"""(id under which a conversation is restored, the user has it already)"""


class ConversationRecords:
    """Writes and reads records of conversations.

    A conversation keeps its ids where nobody on this server has them. Else they are derived
    from the old ones and the user, so that restoring again finds what is there already.
    """

    def __init__(self, store: Store, bulk_insert: BulkInsert, retention: Retention) -> None:
        self._store = store
        self._bulk_insert = bulk_insert
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
        bundle = await self.parsed(user, record, ids)
        if bundle is None:
            return False
        await self._bulk_insert.add_all(user, [bundle])
        return True

    async def parsed(
        self,
        user: str,
        record: Record,
        ids: MutableMapping[str, str],
        restore_targets: Mapping[str, RestoreTarget] | None = None,
    ) -> ConversationBundle | None:
        """The conversation of a record, ready to be written; ``None`` when the user has it.
        ``restore_targets``: what `restore_targets` found, where several records are looked at
        together.

        Raises:
            ValueError: the record makes no sense.
        """
        raw, messages = record.get("conversation"), record.get("messages")
        if not isinstance(raw, dict) or not isinstance(messages, list):
            raise InvalidItem("a conversation is not complete")
        old = raw.get("conversationId")
        if not is_uuid(old):
            raise InvalidItem("a conversation has no id")
        new, known = (restore_targets or await self.restore_targets(user, [record]))[str(old)]
        ids[str(old)] = new
        if known:
            return None
        conversation = {
            "title": text_of(raw.get("title"), "New Chat")[:LONGEST_TITLE],
            **conversation_fields(raw, own=True),
            **_dates(raw),
            **self._retained(raw),
            "conversationId": new,
        }
        project = conversation.pop("chatProjectId", None)
        if project in ids:
            conversation["chatProjectId"] = ids[project]
        keep = new == old
        return ConversationBundle(
            conversation, [self._message(user, row, keep) for row in messages]
        )

    def _message(self, user: str, raw: Any, keep: bool) -> dict[str, Any]:
        fields = without_resources(message_fields(raw))
        known, parent = raw.get("messageId"), raw.get("parentMessageId")
        if not isinstance(known, str) or not 0 < len(known) <= LONGEST_ID:
            raise InvalidItem("a message has no id")
        parent = parent if isinstance(parent, str) and parent else NO_PARENT
        if not keep:
            known = derived(user, known)
            parent = parent if parent == NO_PARENT else derived(user, parent)
        dates = _dates(raw)
        return {
            **fields,
            "createdAt": now(),
            **dates,
            **self._retained(raw),
            "messageId": known,
            "parentMessageId": parent,
        }

    async def restore_targets(
        self, user: str, records: Sequence[Any]
    ) -> Mapping[str, RestoreTarget]:
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
        found: dict[str, RestoreTarget] = {}
        for old in olds:
            stays = not owners[old] or user in owners[old]
            new = old if stays else moved[old]
            found[old] = (new, user in owners[new])
        return found

    def _retained(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """A temporary conversation lives as long as one that begins now."""
        return self._retention.changes(raw.get("isTemporary") is True)


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
    raw = record.get("conversation") if isinstance(record, dict) else None
    return raw.get("conversationId") if isinstance(raw, dict) else None


def _exported(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_EXPORTED}


def _dates(raw: Mapping[str, Any]) -> dict[str, Any]:
    dates = {name: moment_of(raw.get(name)) for name in _DATES}
    return {name: moment for name, moment in dates.items() if moment is not None}


def header() -> Record:
    """The first line of an export."""
    return {"kind": "export", "version": 1, "product": "Locutory", "createdAt": iso(now())}
