"""Renaming, archiving and pinning (contract convos §2.4, §2.5)."""

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId

from locutory import Events, Raw, now
from locutory_contracts.conversations import ConversationSaved
from locutory_conversations.retention import visible
from locutory_conversations.store import Store, key_of

LONGEST_TITLE = 1024
_BATCH = 100
_ATTEMPTS = 3


class ConversationUpdates:
    """Changes single fields of existing conversations. Each returns the whole document, or
    ``None`` when the user has no such conversation. None of them moves ``updatedAt``, but
    for the title."""

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def rename(self, user: str, conversation_id: str, title: str) -> Raw | None:
        """Set the title, trimmed and cut."""
        fields = {"title": title.strip()[:LONGEST_TITLE], "updatedAt": now()}
        return await self._set(user, conversation_id, fields)

    async def pin(self, user: str, conversation_id: str, pinned: bool) -> Raw | None:
        """Pin or unpin."""
        return await self._set(user, conversation_id, {"pinned": pinned})

    async def archive(self, user: str, conversation_id: str, archived: bool) -> Raw | None:
        """Archive or bring back. Archiving again keeps the first ``archivedAt``."""
        if not archived:
            fields: dict[str, Any] = {"isArchived": False, "archivedAt": None}
            return await self._set(user, conversation_id, fields, listed=True)
        fields = {"isArchived": True, "archivedAt": now()}
        document: Raw | None = None
        listed = False
        for _ in range(_ATTEMPTS):
            # The flag in the filter makes one of two simultaneous writes set the date.
            key = {**key_of(user, conversation_id), "isArchived": {"$ne": True}}
            changed = await self._store.conversations.update_one(key, {"$set": fields})
            listed = listed or changed.matched_count > 0
            document = await self._store.conversations.find_one(key_of(user, conversation_id))
            if changed.matched_count or document is None or document.get("isArchived") is True:
                break
        return await self._publish_saved(user, document, listed=listed)

    async def archive_all(self, user: str) -> int:
        """Archive the listed conversations; return their number. Conversations that are added
        meanwhile are not changed. Only one conversation of each project is published as no longer
        listed, at the end, so that subscribers count once."""
        moment = now()
        pipeline: list[Mapping[str, Any]] = [
            {"$match": {"user": user, "isArchived": {"$in": [False, None]}}},
            {"$match": {"$or": visible(moment)}},
            {"$project": {"_id": 1}},
            {"$sort": {"_id": 1}},
        ]
        rows = await self._store.conversations.aggregate(pipeline, batchSize=10_000)
        ids = [row["_id"] for row in await rows.to_list()]
        count = 0
        of_projects: dict[str, Raw] = {}
        try:
            for start in range(0, len(ids), _BATCH):
                batch = ids[start : start + _BATCH]
                key = {"_id": {"$in": batch}, "user": user, "isArchived": {"$ne": True}}
                fields = {"isArchived": True, "archivedAt": moment}
                result = await self._store.conversations.update_many(key, {"$set": fields})
                count += result.modified_count
                await self._publish_batch(user, batch, of_projects)
        finally:
            for document in of_projects.values():
                await self._publish_saved(user, document, listed=True)
        return count

    async def _set(
        self,
        user: str,
        conversation_id: str,
        fields: Mapping[str, Any],
        *,
        listed: bool = False,
    ) -> Raw | None:
        key = key_of(user, conversation_id)
        result = await self._store.conversations.update_one(key, {"$set": fields})
        if result.matched_count == 0:
            return None
        document = await self._store.conversations.find_one(key)
        return await self._publish_saved(user, document, listed=listed)

    async def _publish_saved(
        self, user: str, document: Raw | None, *, listed: bool = False
    ) -> Raw | None:
        if document is not None:
            await self._events.publish(
                ConversationSaved(user, document, created=False, listed=listed)
            )
        return document

    async def _publish_batch(
        self, user: str, ids: Sequence[ObjectId], of_projects: dict[str, Raw]
    ) -> None:
        """Publish all but the last one of each project, which is added to ``of_projects``."""
        if not self._events.subscribers(ConversationSaved):
            return
        async for document in self._store.conversations.find({"_id": {"$in": ids}}):
            saved: Raw | None = document
            project = document.get("chatProjectId")
            if isinstance(project, str):
                saved = of_projects.get(project)
                of_projects[project] = document
            await self._publish_saved(user, saved, listed=saved is not None and not project)
