"""The service `CONVERSATIONS`: reads and writes history for other plugins."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError
from pymongo.results import UpdateResult

from locutory import Collection, Events, Services, now
from locutory_contracts.conversations import (
    NO_PARENT,
    ConversationSaved,
    Document,
    MessageSaved,
    ProjectSummary,
)
from locutory_conversations.lru_cache import LRUCache
from locutory_conversations.message_ids import MessageIds
from locutory_conversations.retention import LISTED_COLUMNS, Retention, is_listed
from locutory_conversations.saving import (
    Change,
    conversation_change,
    in_milliseconds,
    message_change,
)
from locutory_conversations.services.bulk_insert import BulkInsert
from locutory_conversations.services.projects import ProjectRights
from locutory_conversations.services.tags_and_projects import TagsAndProjects
from locutory_conversations.store import READ_AT_ONCE, Store, is_uuid, key_of

_DATES = 20_000
_ATTEMPTS = 3
_COUNTED = frozenset(("chatProjectId", "isArchived"))


class History:
    """Conversations and messages of one user at a time (`Conversations`).

    A save takes one round trip when it inserts and two when it updates: the document is
    read back only where the database knows more than we do.
    """

    def __init__(
        self,
        store: Store,
        services: Services,
        events: Events,
        retention: Retention,
        message_ids: MessageIds,
    ) -> None:
        self._store = store
        self._events = events
        self._retention = retention
        self._message_ids = message_ids
        self._projects = ProjectRights(services)
        self._tags_and_projects = TagsAndProjects(store, events)
        self.bulk_insert = BulkInsert(store, events, retention, self._projects)
        self._dates: LRUCache[tuple[str, str], datetime] = LRUCache(_DATES)

    async def find(self, user: str, conversation_id: str) -> Document | None:
        """The whole conversation document."""
        return await self._store.conversations.find_one(key_of(user, conversation_id))

    async def owner(self, conversation_id: str) -> str | None:
        """The owner of a conversation; one of them where several users have the id."""
        row = await self._store.conversations.find_one(
            {"conversationId": conversation_id}, {"user": 1}
        )
        return None if row is None else str(row["user"])

    async def owners(self, conversation_id: str) -> set[str]:
        """Every user who has a conversation of this id."""
        rows = self._store.conversations.find({"conversationId": conversation_id}, {"user": 1})
        return {str(row["user"]) async for row in rows}

    async def save(
        self,
        user: str,
        conversation_id: str,
        fields: Mapping[str, Any],
        *,
        temporary: bool | None = None,
        created_at: datetime | None = None,
        replace_settings: bool = False,
        create: bool = True,
    ) -> Document | None:
        """Upsert a conversation (contract convos §3)."""
        key = key_of(user, conversation_id)
        before, (ids, whole) = await asyncio.gather(
            self._before(key, fields, temporary),
            self._message_ids.next_write(user, conversation_id),
        )
        change = conversation_change(
            fields,
            self._retention.changes(temporary),
            created_at,
            replace_settings=replace_settings,
            foreign_project=await self._foreign(user, before, fields.get("chatProjectId")),
        )
        if whole:
            change.changes["messages"] = ids
        elif ids:
            change.new_message_ids = ids
        else:
            change.on_insert["messages"] = []
        try:
            document, created = await self._write(
                self._store.conversations, key, change, temporary, create
            )
        except BaseException:
            self._message_ids.forget(user, conversation_id)
            raise
        if document is None:
            self._message_ids.forget(user, conversation_id)
            return None
        self._message_ids.written(user, conversation_id, ids, whole)
        await self._events.publish(_saved(user, before, document, created))
        return document

    async def mark(
        self, user: str, conversation_id: str, fields: Mapping[str, Any]
    ) -> Document | None:
        """Set tags or project of an existing conversation."""
        return await self._tags_and_projects.mark(user, conversation_id, fields)

    async def replace_tag(self, user: str, tag: str, new: str | None) -> int:
        """Rename a tag in all conversations, or take it away."""
        return await self._tags_and_projects.replace_tag(user, tag, new)

    async def tag_counts(self, user: str, tags: Sequence[str]) -> Mapping[str, int]:
        """Number of conversations by tag."""
        return await self._tags_and_projects.tag_counts(user, tags)

    async def project_summary(self, user: str, project_id: str) -> ProjectSummary:
        """The numbers that lists show of a project."""
        return await self._tags_and_projects.project_summary(user, project_id)

    async def leave_project(self, user: str, project_id: str) -> int:
        """Unset the project of all its conversations."""
        return await self._tags_and_projects.leave_project(user, project_id)

    async def add(
        self, user: str, conversation: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
    ) -> Document:
        """Write a whole new conversation."""
        return await self.bulk_insert.add(user, conversation, messages)

    async def message(self, user: str, message_id: str) -> Document | None:
        """One message document."""
        return await self._store.messages.find_one({"messageId": message_id, "user": user})

    async def messages(self, user: str, conversation_id: str) -> list[Document]:
        """All messages of a conversation, ``createdAt`` ascending."""
        key = key_of(user, conversation_id)
        rows = self._store.messages.find(key, batch_size=READ_AT_ONCE).sort("createdAt")
        return await rows.to_list()

    async def branch(self, user: str, conversation_id: str, message_id: str) -> list[Document]:
        """The messages from the root down to ``message_id``; empty when it is not there.
        A parent that is missing ends the branch, and so does one that was met before."""
        rows = {row["messageId"]: row for row in await self.messages(user, conversation_id)}
        path: list[Document] = []
        at: Any = message_id
        while isinstance(at, str) and (row := rows.pop(at, None)) is not None:
            path.append(row)
            at = row.get("parentMessageId")
        path.reverse()
        return path

    async def save_message(
        self, user: str, message: Mapping[str, Any], *, temporary: bool | None = None
    ) -> Document:
        """Upsert a message; `ValueError` unless ``conversationId`` is a UUID and
        ``messageId`` text. On insert ``createdAt`` is later than the parent's."""
        message_id, conversation_id = message.get("messageId"), message.get("conversationId")
        if not isinstance(message_id, str) or not message_id:
            raise ValueError("a message needs a messageId")
        if not is_uuid(conversation_id):
            raise ValueError("conversationId is not a UUID")
        change = message_change(message, self._retention.changes(temporary))
        known = self._dates.get((user, message_id))
        change.on_insert["createdAt"] = (
            await self._creation(user, message) if known is None else known
        )
        key = {"messageId": message_id, "user": user}
        for _ in range(_ATTEMPTS):
            document, created = await self._write(
                self._store.messages, key, change, temporary, True
            )
            if document is not None:
                break
        else:  # deleted each time between our write and our read
            document, created = change.inserted(key, ObjectId()), False
        if created:
            self._message_ids.inserted(user, document["conversationId"], document["_id"])
        if isinstance(document.get("createdAt"), datetime):
            self._dates.put((user, message_id), document["createdAt"])
        await self._events.publish(MessageSaved(user, document))
        return document

    async def retain(self, user: str, temporary: bool | None) -> Mapping[str, Any]:
        """The retention fields for a new document."""
        fields = self._retention.changes(temporary)
        if self._retention.everything:
            fields.setdefault("isTemporary", False)
        return fields

    async def _before(
        self, key: Mapping[str, str], fields: Mapping[str, Any], temporary: bool | None
    ) -> Document | None:
        """The fields that others count, as they were before a save; read only where it may change
        them."""
        if not (
            temporary is not None or self._retention.everything or not _COUNTED.isdisjoint(fields)
        ):
            return None
        return await self._store.conversations.find_one(key, LISTED_COLUMNS)

    async def _foreign(self, user: str, before: Document | None, project: Any) -> bool:
        """``True`` when this is not a project of the user. The current project of the conversation
        counts as one."""
        if not project or (before is not None and before.get("chatProjectId") == project):
            return False
        return not await self._projects.may_use(user, project)

    async def _creation(self, user: str, message: Mapping[str, Any]) -> datetime:
        given = message.get("createdAt")
        moment = in_milliseconds(given) if isinstance(given, datetime) else now()
        parent = message.get("parentMessageId")
        if not isinstance(parent, str) or parent in ("", NO_PARENT):
            return moment
        before = self._dates.get((user, parent))
        if before is None:
            row = await self._store.messages.find_one(
                {"messageId": parent, "user": user}, {"createdAt": 1}
            )
            before = None if row is None else row.get("createdAt")
            if isinstance(before, datetime):
                self._dates.put((user, parent), before)
        if isinstance(before, datetime) and moment <= before:
            return before + timedelta(milliseconds=1)
        return moment

    async def _write(
        self,
        collection: Collection,
        key: Mapping[str, str],
        change: Change,
        temporary: bool | None,
        create: bool,
    ) -> tuple[Document | None, bool]:
        """(document, inserted). No document: it does not exist and may not be created."""
        result = await _upsert(collection, key, change.update(), create)
        if result.upserted_id is not None:
            return change.inserted(key, result.upserted_id), True
        if result.matched_count == 0:
            return None, False
        document = await collection.find_one(key)
        if (
            document is not None
            and self._retention.everything
            and temporary is None
            and document.get("isTemporary") is None
        ):
            await collection.update_one({"_id": document["_id"]}, {"$set": {"isTemporary": False}})
            document["isTemporary"] = False
        return document, False


def _saved(
    user: str, before: Document | None, document: Document, created: bool
) -> ConversationSaved:
    """The fact of a save. ``before``: the stored document before, where the save may have changed
    it."""
    if created or before is None:
        return ConversationSaved(user, document, created, listed=created)
    moment, project = now(), before.get("chatProjectId") or None
    moved = project != (document.get("chatProjectId") or None)
    listed = moved or is_listed(before, moment) != is_listed(document, moment)
    left = project if moved and isinstance(project, str) else None
    return ConversationSaved(user, document, created, listed, left)


async def _upsert(
    collection: Collection, key: Mapping[str, str], update: Mapping[str, Any], create: bool
) -> UpdateResult:
    """Two inserts at once: the one that loses updates what the other inserted."""
    try:
        return await collection.update_one(key, update, upsert=create)
    except DuplicateKeyError:
        return await collection.update_one(key, update, upsert=create)
