"""Tags and projects of conversations. ``updatedAt`` stays, since marking is not an activity."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import UpdateOne

from locutory import Events, Raw, now
from locutory_contracts.conversations import ConversationSaved, ProjectSummary
from locutory_conversations.retention import LISTED_COLUMNS, visible
from locutory_conversations.saving import is_project_id
from locutory_conversations.store import READ_AT_ONCE, Store, key_of

_MARKS = frozenset(("tags", "chatProjectId"))
_BATCH = 200
_ATTEMPTS = 3


class TagsAndProjects:
    """Sets and counts the tags and projects of conversations."""

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def mark(self, user: str, conversation_id: str, fields: Mapping[str, Any]) -> Raw | None:
        """Set ``tags`` or ``chatProjectId``; `ValueError` for anything else."""
        update = _marks(fields)
        key = key_of(user, conversation_id)
        for _ in range(_ATTEMPTS):
            before = await self._store.conversations.find_one(key, LISTED_COLUMNS)
            if before is None:
                return None
            project = before.get("chatProjectId")
            # The project in the filter, so that nobody leaves one unnoticed.
            same = {**key, "chatProjectId": project} if "chatProjectId" in fields else key
            if (await self._store.conversations.update_one(same, update)).matched_count:
                break
        document = await self._store.conversations.find_one(key)
        if document is None:
            return None
        moved = (project or None) != (document.get("chatProjectId") or None)
        await self._events.publish(
            ConversationSaved(
                user,
                document,
                created=False,
                listed=moved,
                left_project=project if moved and isinstance(project, str) else None,
            )
        )
        return document

    async def replace_tag(self, user: str, tag: str, new: str | None) -> int:
        """Rename a tag everywhere, or take it away."""
        rows = await self._store.conversations.find(
            {"user": user, "tags": tag}, {"tags": 1}, batch_size=READ_AT_ONCE
        ).to_list()
        changed = 0
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            # The old tags in the filter: a tag that was added meanwhile is not lost.
            writes = [
                UpdateOne(
                    {"_id": row["_id"], "tags": row["tags"]},
                    {"$set": {"tags": _renamed(row["tags"], tag, new)}},
                )
                for row in batch
            ]
            result = await self._store.conversations.bulk_write(writes, ordered=False)
            changed += result.matched_count
            for row in batch if result.matched_count < len(batch) else ():
                changed += await self._replace_late(user, row["_id"], tag, new)
            await self._publish(user, batch)
        return changed

    async def _replace_late(self, user: str, identity: Any, tag: str, new: str | None) -> int:
        """One conversation whose tags changed while they were to be replaced."""
        for _ in range(_ATTEMPTS):
            row = await self._store.conversations.find_one({"_id": identity}, {"tags": 1})
            tags = [] if row is None else row.get("tags") or []
            if tag not in tags:
                return 0
            key = {"_id": identity, "user": user, "tags": tags}
            update = {"$set": {"tags": _renamed(tags, tag, new)}}
            if (await self._store.conversations.update_one(key, update)).matched_count:
                return 1
        return 0

    async def tag_counts(self, user: str, tags: Sequence[str]) -> Mapping[str, int]:
        """Conversations by tag."""
        wanted = list(dict.fromkeys(tags))
        if not wanted:
            return {}
        key = {"user": user, "tags": wanted[0] if len(wanted) == 1 else {"$in": wanted}}
        rows = self._store.conversations.find(key, {"tags": 1}, batch_size=READ_AT_ONCE)
        counts: Counter[str] = Counter()
        for row in await rows.to_list():
            counts.update({tag for tag in row["tags"] if isinstance(tag, str)})
        return {tag: counts[tag] for tag in wanted}

    async def project_summary(self, user: str, project_id: str) -> ProjectSummary:
        """Number of listed conversations, and the last of them."""
        pipeline: list[Mapping[str, Any]] = [
            {
                "$match": {
                    "user": user,
                    "chatProjectId": project_id,
                    "isArchived": {"$in": [False, None]},
                    "$or": visible(now()),
                }
            },
            {"$project": {"conversationId": 1, "updatedAt": 1}},
        ]
        cursor = await self._store.conversations.aggregate(pipeline, batchSize=READ_AT_ONCE)
        rows = await cursor.to_list()
        dated = [row for row in rows if row.get("updatedAt") is not None]
        last = max(dated, key=lambda row: (row["updatedAt"], row["_id"]), default=None)
        if last is None:
            return ProjectSummary(len(rows), None, None)
        return ProjectSummary(len(rows), last["updatedAt"], last["conversationId"])

    async def leave_project(self, user: str, project_id: str) -> int:
        """Remove every conversation from a project. Only the last published one names the project
        as left, so that its counts are computed once."""
        key = {"user": user, "chatProjectId": project_id}
        rows = await self._store.conversations.find(
            key, {"_id": 1}, batch_size=READ_AT_ONCE
        ).to_list()
        changed = 0
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            result = await self._store.conversations.update_many(
                {"_id": {"$in": [row["_id"] for row in batch]}, **key},
                {"$unset": {"chatProjectId": ""}},
            )
            changed += result.modified_count
            last = start + _BATCH >= len(rows)
            await self._publish(user, batch, project_id if last else None)
        return changed

    async def _publish(self, user: str, rows: Sequence[Raw], left: str | None = None) -> None:
        if not self._events.subscribers(ConversationSaved):
            return
        ids = [row["_id"] for row in rows]
        documents = await self._store.conversations.find({"_id": {"$in": ids}}).to_list()
        for number, document in enumerate(documents):
            project = left if number == len(documents) - 1 else None
            await self._events.publish(
                ConversationSaved(user, document, created=False, left_project=project)
            )


def _marks(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The update document."""
    if not fields or not fields.keys() <= _MARKS:
        raise ValueError("a conversation is marked with tags and chatProjectId")
    changes: dict[str, Any] = {}
    if "tags" in fields:
        if not all(isinstance(tag, str) for tag in fields["tags"]):
            raise ValueError("tags are text")
        changes["tags"] = list(dict.fromkeys(fields["tags"]))
    project = fields.get("chatProjectId")
    if project is not None:
        if not is_project_id(project):
            raise ValueError("chatProjectId is not the id of a project")
        changes["chatProjectId"] = project
    update: dict[str, Any] = {"$set": changes} if changes else {}
    if "chatProjectId" in fields and project is None:
        update["$unset"] = {"chatProjectId": ""}
    return update


def _renamed(tags: Sequence[Any], tag: str, new: str | None) -> list[Any]:
    if new is None:
        return [each for each in tags if each != tag]
    renamed = [new if each == tag else each for each in tags]
    return [each for number, each in enumerate(renamed) if each not in renamed[:number]]
