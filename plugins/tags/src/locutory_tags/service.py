"""Bookmarks of users, and which conversations carry them (contract tags)."""

import asyncio
from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import structlog
from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from locutory import Collection, Database, Raw, Services, now
from locutory_contracts.conversations import CONVERSATIONS
from locutory_tags.config import TagsConfig
from locutory_tags.documents import ConversationTag
from locutory_tags.positions import Positions, compact, in_order, position_of, positions_of, reorder

_ATTEMPTS = 8
_DUPLICATE = 11000
_COLUMNS = {"tag": 1, "position": 1, "count": 1}


class Taken(Exception):
    """Another bookmark has this name."""


class TooMany(Exception):
    """The user has the maximum number of bookmarks; the text names it."""


class Unknown(Exception):
    """There is no such bookmark, or no such conversation."""


class Tags:
    """The collection ``conversationtags``. ``user`` is the owner's id; the bookmarks of
    others are never found.

    Changes for one user wait for each other. Between servers positions and counts are
    written only over the values that they were worked out from, and worked out again when
    those have changed, so that the last of several writers leaves them right. A count is
    always the number of conversations that carry the tag, never one more or one less.
    """

    def __init__(
        self,
        database: Database,
        services: Services,
        config: TagsConfig,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._config = config
        self._services = services
        self._log = log
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def _tags(self) -> Collection:
        return self._database[ConversationTag]

    def _alone(self, user: str) -> asyncio.Lock:
        lock = self._locks.get(user)
        if lock is None:
            lock = self._locks[user] = asyncio.Lock()
        return lock

    async def of(self, user: str) -> list[Raw]:
        """Every bookmark of a user, whole, by position."""
        return in_order(await self._tags.find({"user": user}, batch_size=1000).to_list())

    async def create(
        self,
        user: str,
        tag: str,
        description: str | None,
        conversation_id: str | None = None,
        tenant: str | None = None,
    ) -> Raw:
        """A new bookmark, the last one, and the conversation marked with it. One that is
        there already is returned as it is, and the conversation left alone. `TooMany`."""
        async with self._alone(user):
            found = await self._tags.find_one({"tag": tag, "user": user})
            if found is not None:
                return found
            rows = await self._with_room(user, 1)
            if conversation_id is not None:
                # First, so that a crash in between is repaired by trying again.
                await self._add_to_conversation(user, tag, conversation_id)
            made = await self._insert(user, rows, tag, description, tenant)
            await self._compact(user)
            return await self._tags.find_one({"_id": made["_id"]}) or made

    async def update(
        self,
        user: str,
        tag: str,
        *,
        new_tag: str | None = None,
        description: str | None = None,
        position: float | None = None,
    ) -> Raw:
        """Rename, describe or move; ``None`` leaves as it is. `Unknown`, `Taken`."""
        async with self._alone(user):
            row = await self._one(user, tag)
            changes: dict[str, Any] = {"updatedAt": now()}
            if description is not None:
                changes["description"] = description
            renamed = new_tag is not None and new_tag != tag
            if renamed:
                changes["tag"] = new_tag
                taken = await self._tags.find_one({"tag": new_tag, "user": user}, {"_id": 1})
                if taken is not None:
                    raise Taken
                # First the conversations: after a crash in between the bookmark still has
                # its old name, and trying again repairs the rest.
                await self._services.get(CONVERSATIONS).replace_tag(user, tag, new_tag)
            try:
                await self._tags.update_one({"_id": row["_id"]}, {"$set": changes})
            except DuplicateKeyError:  # another server was faster
                await self._compact(user, counted={tag, str(new_tag)})
                raise Taken from None
            if position is not None:
                await self._move(user, row["_id"], position)
            if renamed:
                await self._compact(user, counted={tag, str(new_tag)})
            return await self._tags.find_one({"_id": row["_id"]}) or {**row, **changes}

    async def delete(self, user: str, tag: str) -> Raw:
        """Delete a bookmark and take it from all conversations. `Unknown`."""
        async with self._alone(user):
            row = await self._one(user, tag)
            await self._services.get(CONVERSATIONS).replace_tag(user, tag, None)
            await self._tags.delete_one({"_id": row["_id"]})
            await self._compact(user)
            return row

    async def set_of_conversation(
        self, user: str, conversation_id: str, tags: Sequence[str], tenant: str | None = None
    ) -> list[str]:
        """Replace the tags of a conversation; unknown ones become bookmarks at position 0. Return
        its tags. Raises `Unknown` when the user has no such conversation; `TooMany`."""
        conversations = self._services.get(CONVERSATIONS)
        async with self._alone(user):
            before = await conversations.find(user, conversation_id)
            if before is None:
                raise Unknown
            wanted = list(dict.fromkeys(tags))
            have = {row.get("tag") for row in await self._rows(user)}
            missing = [tag for tag in wanted if tag not in have]
            if missing:
                await self._with_room(user, len(missing))
            after = await conversations.mark(user, conversation_id, {"tags": wanted})
            if after is None:
                raise Unknown
            await self._make(user, missing, tenant)
            await self._compact(user, counted={*_texts(before.get("tags")), *wanted})
            return _texts(after.get("tags"))

    async def carried_by(self, user: str, conversation_id: str) -> list[str]:
        """The tags of a conversation; none when there is no such."""
        document = await self._services.get(CONVERSATIONS).find(user, conversation_id)
        return [] if document is None else _texts(document.get("tags"))

    async def recount(self, user: str) -> None:
        """Compute every count of a user again."""
        async with self._alone(user):
            await self._compact(user, counted=None)

    async def restore(self, user: str, tag: str, description: str | None) -> bool:
        """Bring back a bookmark, as the last one; false when it is there. `TooMany`."""
        async with self._alone(user):
            if await self._tags.find_one({"tag": tag, "user": user}, {"_id": 1}) is not None:
                return False
            rows = await self._with_room(user, 1)
            await self._insert(user, rows, tag, description, None)
            await self._compact(user)
            return True

    async def erase(self, user: str) -> None:
        """Delete every bookmark of a user."""
        async with self._alone(user):
            await self._tags.delete_many({"user": user})

    async def _one(self, user: str, tag: str) -> Raw:
        row = await self._tags.find_one({"tag": tag, "user": user})
        if row is None:
            raise Unknown
        return row

    async def _rows(self, user: str) -> list[Raw]:
        return await self._tags.find({"user": user}, _COLUMNS, batch_size=1000).to_list()

    async def _with_room(self, user: str, more: int) -> list[Raw]:
        """The bookmarks of a user; `TooMany` when there may not be so many more."""
        rows = await self._rows(user)
        if len(rows) + more > self._config.most:
            raise TooMany(f"There may be {self._config.most} bookmarks at most")
        return rows

    async def _add_to_conversation(self, user: str, tag: str, conversation_id: str) -> None:
        conversations = self._services.get(CONVERSATIONS)
        document = await conversations.find(user, conversation_id)
        if document is not None:
            tags = [*_texts(document.get("tags")), tag]
            await conversations.mark(user, conversation_id, {"tags": tags})

    async def _insert(
        self,
        user: str,
        rows: Sequence[Raw],
        tag: str,
        description: str | None,
        tenant: str | None,
    ) -> Raw:
        last = max(map(position_of, rows), default=0)
        counts = await self._counts(user, [tag])
        row = _new(user, tag, tenant, position=max(0, last) + 1, count=counts.get(tag, 0))
        if description is not None:
            row["description"] = description
        try:
            await self._tags.insert_one(row)
        except DuplicateKeyError:  # another server was faster
            return await self._one(user, tag)
        return row

    async def _make(self, user: str, tags: Sequence[str], tenant: str | None) -> None:
        writes = [
            UpdateOne(
                {"tag": tag, "user": user},
                {"$setOnInsert": _new(user, tag, tenant, position=0, count=0)},
                upsert=True,
            )
            for tag in tags
        ]
        if not writes:
            return
        try:
            await self._tags.bulk_write(writes, ordered=False)
        except BulkWriteError as error:  # another server was faster with some
            failures = (error.details or {}).get("writeErrors", ())
            if any(failure.get("code") != _DUPLICATE for failure in failures):
                raise

    async def _counts(self, user: str, tags: Sequence[str]) -> Mapping[str, int]:
        """Nothing while nobody keeps conversations."""
        conversations = self._services.find(CONVERSATIONS)
        return {} if conversations is None else await conversations.tag_counts(user, tags)

    async def _move(self, user: str, which: ObjectId, to: float) -> None:
        """Put a bookmark elsewhere; those in between make room."""
        for _ in range(_ATTEMPTS):
            rows = await self._rows(user)
            found = positions_of(rows)
            if which not in found or await self._write(rows, reorder(found, which, to), {}):
                return
        await self._compact(user)

    async def _compact(self, user: str, counted: Some[str] | None = ()) -> None:
        """Positions 1, 2, 3 …, and the counts of some tags (``None``: of all)."""
        for _ in range(_ATTEMPTS):
            rows = await self._rows(user)
            tags = [tag for tag in map(_tag, rows) if counted is None or tag in counted]
            counts = await self._counts(user, tags) if tags else {}
            if await self._write(rows, compact(positions_of(rows)), counts):
                return
        self._log.warning("tags.busy", user=user)

    async def _write(
        self, rows: Sequence[Raw], found: Positions, counts: Mapping[str, int]
    ) -> bool:
        """Store positions and counts where they differ; false when something else changed
        them meanwhile."""
        writes: list[UpdateOne] = []
        for row in rows:
            wanted = {
                "position": found[row["_id"]],
                "count": counts.get(_tag(row), row.get("count")),
            }
            changes = {name: value for name, value in wanted.items() if value != row.get(name)}
            if "position" in changes and position_of(row) == wanted["position"]:
                del changes["position"]  # none, or no number: counts as 0
            if changes:
                key = {"_id": row["_id"], **{name: row.get(name) for name in changes}}
                writes.append(UpdateOne(key, {"$set": changes}))
        if not writes:
            return True
        result = await self._tags.bulk_write(writes, ordered=False)
        return result.matched_count == len(writes)


def _new(user: str, tag: str, tenant: str | None, *, position: float, count: int) -> Raw:
    moment = now()
    row = {
        "tag": tag,
        "user": user,
        "count": count,
        "position": position,
        "createdAt": moment,
        "updatedAt": moment,
        "__v": 0,
    }
    if tenant:
        row["tenantId"] = tenant
    return row


def _tag(row: Raw) -> str:
    """The name; LibreChat may have stored none."""
    tag = row.get("tag")
    return tag if isinstance(tag, str) else ""


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
