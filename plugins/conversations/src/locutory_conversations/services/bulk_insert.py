"""Whole new conversations, written in bulk: copies, imports, restored exports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure

from locutory import Collection, Events, Raw, now
from locutory_contracts.conversations import ConversationsAdded
from locutory_conversations.deletion import distinct
from locutory_conversations.retention import Retention
from locutory_conversations.saving import in_milliseconds, new_conversation, new_message
from locutory_conversations.services.projects import ProjectRights
from locutory_conversations.store import READ_AT_ONCE, Store, is_uuid

LONGEST_ID = 256
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_REFUSALS = {11000: "an id is taken already", 10334: "a document is larger than 16 MB"}
_SETTLED = frozenset(("_id", "__v", "user", "tenantId", "subagentThread"))


@dataclass(frozen=True, slots=True)
class ConversationBundle:
    """A conversation with all its messages. ``origin`` identifies an unchanged conversation of
    another program; ``None`` where that is unknown."""

    conversation: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    origin: str | None = None


class BulkInsert:
    """Writes conversations that did not exist. Messages go first: a crash in between leaves
    nothing that a list shows."""

    def __init__(
        self, store: Store, events: Events, retention: Retention, projects: ProjectRights
    ) -> None:
        self._store = store
        self._events = events
        self._retention = retention
        self._projects = projects

    async def add(
        self, user: str, conversation: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
    ) -> Raw:
        """One conversation; `ValueError` when an id is wrong or not new."""
        return (await self.add_all(user, [ConversationBundle(conversation, messages)]))[0]

    async def add_all(self, user: str, bundles: Sequence[ConversationBundle]) -> list[Raw]:
        """Several at once: all of them, or none and `ValueError`."""
        moment = now()
        conversations: list[Raw] = []
        messages: list[Raw] = []
        usable: dict[str, bool] = {}
        for bundle in bundles:
            project = bundle.conversation.get("chatProjectId")
            if isinstance(project, str) and project not in usable:
                usable[project] = await self._projects.may_use(user, project)
            conversation = self._conversation(user, bundle.conversation, moment, usable)
            rows = self._messages(user, conversation["conversationId"], bundle.messages, moment)
            conversation["messages"] = [row["_id"] for row in sorted(rows, key=_created)]
            conversations.append(conversation)
            messages += rows
        await _insert(self._store.messages, messages)
        try:
            await _insert(self._store.conversations, conversations)
        except BaseException:
            await _take_back(self._store.messages, messages)
            raise
        if conversations:
            await self._events.publish(
                ConversationsAdded(
                    user,
                    [row["conversationId"] for row in conversations],
                    distinct(row.get("chatProjectId") for row in conversations),
                )
            )
        return conversations

    async def known(self, user: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the ids with which the user has a conversation."""
        if not conversation_ids:
            return set()
        key = {"conversationId": {"$in": list(conversation_ids)}, "user": user}
        rows = self._store.conversations.find(key, {"conversationId": 1}, batch_size=READ_AT_ONCE)
        return {str(row["conversationId"]) async for row in rows}

    def _conversation(
        self,
        user: str,
        raw: Mapping[str, Any],
        moment: datetime,
        usable_projects: Mapping[str, bool],
    ) -> Raw:
        conversation_id = raw.get("conversationId")
        if not is_uuid(conversation_id):
            raise ValueError("conversationId is not a UUID")
        fields = {name: value for name, value in raw.items() if name not in _SETTLED}
        project = fields.get("chatProjectId")
        if project and not (isinstance(project, str) and usable_projects.get(project)):
            fields["chatProjectId"] = None
        created = _date(raw.get("createdAt")) or moment
        return {
            "_id": ObjectId(),
            "conversationId": conversation_id,
            "user": user,
            **new_conversation(fields),
            **self._retained(raw),
            "createdAt": created,
            "updatedAt": _date(raw.get("updatedAt")) or created,
        }

    def _messages(
        self, user: str, conversation_id: str, raw: Sequence[Mapping[str, Any]], moment: datetime
    ) -> list[Raw]:
        rows: list[Raw] = []
        for message in raw:
            message_id, created = message.get("messageId"), _date(message.get("createdAt"))
            if not isinstance(message_id, str) or not 0 < len(message_id) <= LONGEST_ID:
                raise ValueError("a message needs a messageId")
            if "parentMessageId" not in message or created is None:
                raise ValueError("a message needs parentMessageId and createdAt")
            rows.append(
                {
                    "_id": ObjectId(),
                    "messageId": message_id,
                    "user": user,
                    **new_message(message),
                    "conversationId": conversation_id,
                    **self._retained(message),
                    "createdAt": created,
                    "updatedAt": _date(message.get("updatedAt")) or created,
                }
            )
        return rows

    def _retained(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Expiry as it was, or the deployment's."""
        temporary = raw.get("isTemporary")
        if self._retention.everything:
            return self._retention.changes(temporary is True)
        expires = _date(raw.get("expiredAt"))
        if not isinstance(temporary, bool):
            temporary = expires is not None
        return {"isTemporary": temporary, "expiredAt": expires}


def _date(value: Any) -> datetime | None:
    return in_milliseconds(value) if isinstance(value, datetime) else None


async def _insert(collection: Collection, rows: list[Raw]) -> None:
    """All rows, or none and `ValueError`."""
    if not rows:
        return
    try:
        await collection.insert_many(rows, ordered=False)
    except BulkWriteError as error:
        await _take_back(collection, rows)
        details: Any = error.details or {}
        codes = {failure.get("code") for failure in details.get("writeErrors", ())}
        # Not the error itself, which holds the messages.
        if codes <= _REFUSALS.keys() and codes:
            raise ValueError(_REFUSALS[codes.pop()]) from None
        raise OperationFailure(f"bulk write failed: {sorted(codes, key=str)}") from None
    except (InvalidDocument, DocumentTooLarge, OverflowError) as error:
        await _take_back(collection, rows)
        raise ValueError("the database cannot keep this") from error
    except BaseException:
        await _take_back(collection, rows)
        raise


async def _take_back(collection: Collection, rows: Sequence[Raw]) -> None:
    ids = [row["_id"] for row in rows]
    for start in range(0, len(ids), 1000):
        await collection.delete_many({"_id": {"$in": ids[start : start + 1000]}})


def _created(row: Mapping[str, Any]) -> datetime:
    """The creation date of a message, for sorting; one without a date comes first, as in BSON."""
    found = row.get("createdAt")
    if not isinstance(found, datetime):
        return _EARLIEST
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
