"""Deleting conversations with everything of ours that hangs on them (contract convos §2.7)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from locutory import Events, Raw
from locutory_contracts.conversations import ConversationsDeleted, MessagesDeleted
from locutory_conversations.message_ids import MessageIds
from locutory_conversations.store import READ_AT_ONCE, Store, key_of

_BATCH = 1000
_EVENT_BATCH = 20_000
_COLUMNS = {"conversationId": 1, "chatProjectId": 1}


@dataclass(slots=True)
class Deleted:
    """The result of a deletion."""

    conversation_ids: list[str] = field(default_factory=list)
    conversations: int = 0
    messages: int = 0

    def body(self) -> dict[str, Any]:
        """The body of the DELETE routes."""
        return {
            "acknowledged": True,
            "deletedCount": self.conversations,
            "messages": {"acknowledged": True, "deletedCount": self.messages},
            "conversationIds": self.conversation_ids,
        }


class Deletion:
    """Deletes conversations and messages of a user. Rows of a conversation are deleted last: a
    crash leaves it in the list, and the next attempt deletes the rest. Other plugins subscribe to
    `ConversationsDeleted`."""

    def __init__(self, store: Store, events: Events, message_ids: MessageIds) -> None:
        self._store = store
        self._events = events
        self._message_ids = message_ids

    async def one(self, user: str, conversation_id: str) -> Deleted:
        """One conversation and its child threads; nothing when the user has none such."""
        rows = await self._rows({"conversationId": conversation_id, "user": user})
        if not rows:
            return Deleted()
        return await self._delete(user, await self._with_children(user, rows), everything=False)

    async def all(self, user: str) -> Deleted:
        """Every conversation of a user, and every tool result."""
        rows = await self._rows({"user": user})
        deleted = await self._delete(user, rows, everything=True)
        await self._delete_tool_calls({}, user)
        return deleted

    async def account(self, user: str) -> None:
        """Everything of a user, also messages without a conversation."""
        await self._store.messages.delete_many({"user": user})
        await self._delete_tool_calls({}, user)
        await self._store.conversations.delete_many({"user": user})

    async def message(self, user: str, conversation_id: str, message_id: str) -> None:
        """One message, if it is there; its children stay."""
        key = key_of(user, conversation_id)
        row = await self._store.messages.find_one({"messageId": message_id, **key}, {"_id": 1})
        if row is None:
            return
        await self._store.messages.delete_one({"_id": row["_id"]})
        self._message_ids.forget(user, conversation_id)
        # At once, since other processes only add to the array.
        await self._store.conversations.update_one(key, {"$pull": {"messages": row["_id"]}})
        await self._events.publish(MessagesDeleted(user, conversation_id, [message_id]))

    async def _rows(self, key: dict[str, Any]) -> list[Raw]:
        found = self._store.conversations.find(key, _COLUMNS, batch_size=READ_AT_ONCE)
        return await found.to_list()

    async def _with_children(self, user: str, rows: list[Raw]) -> list[Raw]:
        """``rows`` and the threads under them, wave by wave."""
        found = {row["conversationId"]: row for row in rows}
        wave = list(found)
        while wave:
            parents = {"user": user, "subagentThread.parentConversationId": {"$in": wave}}
            children = await self._rows(parents)
            wave = []
            for child in children:
                if child["conversationId"] not in found:
                    found[child["conversationId"]] = child
                    wave.append(child["conversationId"])
        return list(found.values())

    async def _delete(self, user: str, rows: Sequence[Raw], *, everything: bool) -> Deleted:
        deleted = Deleted([row["conversationId"] for row in rows])
        for start in range(0, len(rows), _BATCH):
            batch = {"$in": deleted.conversation_ids[start : start + _BATCH]}
            key = {"conversationId": batch, "user": user}
            deleted.messages += (await self._store.messages.delete_many(key)).deleted_count
            await self._delete_tool_calls({"conversationId": batch}, user)
            result = await self._store.conversations.delete_many(key)
            deleted.conversations += result.deleted_count
        for conversation_id in deleted.conversation_ids:
            self._message_ids.forget(user, conversation_id)
        await self._publish(user, rows, everything)
        return deleted

    async def _publish(self, user: str, rows: Sequence[Raw], everything: bool) -> None:
        """Publish the deletion, in pieces that fit into a document of the outbox. The last one has
        ``all``, if everything was deleted."""
        ends = range(_EVENT_BATCH, len(rows) + _EVENT_BATCH, _EVENT_BATCH)
        for end in ends if rows or not everything else (_EVENT_BATCH,):
            piece = rows[end - _EVENT_BATCH : end]
            await self._events.publish(
                ConversationsDeleted(
                    user,
                    [row["conversationId"] for row in piece],
                    everything and end >= len(rows),
                    distinct(row.get("chatProjectId") for row in piece),
                )
            )

    async def _delete_tool_calls(self, key: dict[str, Any], user: str) -> None:
        if ObjectId.is_valid(user):
            await self._store.tool_calls.delete_many({**key, "user": ObjectId(user)})


def distinct(values: Iterable[Any]) -> list[str]:
    """Each text once, in order; empty ones and other values are left out."""
    return list(dict.fromkeys(value for value in values if value and isinstance(value, str)))
