"""Stored links of one database."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from locutory import Collection, Database, Raw, now
from locutory_share.documents import OrphanedLink, SharedLink

WITHOUT_FILES = {"messages": 0, "fileSnapshots": 0}
WITHOUT_MESSAGES = {"messages": 0}


def random_id() -> str:
    """21 URL-safe characters, 126 random bits."""
    return secrets.token_urlsafe(16)[:21]


def is_over(document: Mapping[str, Any], moment: datetime) -> bool:
    """``True`` when a document is past its date. The database may take a minute to remove it."""
    end = document.get("expiredAt")
    return isinstance(end, datetime) and end <= moment


def made_at(link: Mapping[str, Any]) -> datetime:
    """The date at which a link was made."""
    moment: datetime = link.get("createdAt") or link["_id"].generation_time
    return moment


def revision_of(link: Mapping[str, Any]) -> datetime:
    """The date at which a link was last published."""
    return link.get("updatedAt") or made_at(link)


def next_revision(link: Mapping[str, Any]) -> datetime:
    """The revision that follows now: later than the present one, also within a millisecond."""
    return max(now(), revision_of(link) + timedelta(milliseconds=1))


def living(moment: datetime) -> dict[str, Any]:
    """The condition on ``expiredAt`` of documents that are not over; one field, so that no
    ``$or`` is needed."""
    return {"$not": {"$lte": moment}}


class LinkStore:
    """Reads and writes links. Expired ones count as deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def collection(self) -> Collection:
        return self._database[SharedLink]

    async def live(self, share_id: str, projection: Mapping[str, int] | None = None) -> Raw | None:
        """The link with a public id, of any owner."""
        return await self._one({"shareId": share_id}, projection)

    async def by_id(
        self, link_id: ObjectId, projection: Mapping[str, int] | None = None
    ) -> Raw | None:
        """The link with an ``_id``."""
        return await self._one({"_id": link_id}, projection)

    async def own(self, user: str, share_id: str) -> Raw | None:
        """A user's link by its public id."""
        return await self._one({"shareId": share_id, "user": user}, WITHOUT_FILES)

    async def _one(
        self, key: Mapping[str, Any], projection: Mapping[str, int] | None
    ) -> Raw | None:
        found = await self.collection.find_one(key, projection)
        return None if found is None or is_over(found, now()) else found

    async def of_conversation(
        self, user: str, conversation_id: str, target: str | None = None
    ) -> list[Raw]:
        """A user's links to a conversation; with ``target`` only those that end there."""
        key: dict[str, Any] = {"conversationId": conversation_id, "user": user}
        if target is not None:
            key["targetMessageId"] = target
        moment = now()
        found = await self.collection.find(key, WITHOUT_FILES).to_list()
        return [link for link in found if not is_over(link, moment)]

    async def shared(self, user: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the conversations that a user has a link to."""
        if not conversation_ids:
            return set()
        moment = now()
        found = self.collection.find(
            {"conversationId": {"$in": list(conversation_ids)}, "user": user},
            {"_id": 0, "conversationId": 1, "expiredAt": 1},
        )
        return {link["conversationId"] async for link in found if not is_over(link, moment)}

    async def of_user(self, user: str) -> list[Raw]:
        """``_id``, ``conversationId`` and ``isPublic`` of every link of a user, also of those
        that are over."""
        fields = {"conversationId": 1, "isPublic": 1}
        return await self.collection.find({"user": user}, fields).to_list()

    async def insert(self, link: Raw) -> None:
        """Store a new link."""
        await self.collection.insert_one(link)

    async def change(
        self, key: Mapping[str, Any], fields: Mapping[str, Any], without: Iterable[str] = ()
    ) -> bool:
        """Set and unset fields of one link; ``False`` when none fits ``key``. ``updatedAt`` moves
        only when it is among the fields."""
        update: dict[str, Any] = {"$set": dict(fields)} if fields else {}
        if gone := dict.fromkeys(without, ""):
            update["$unset"] = gone
        return (await self.collection.update_one(key, update)).matched_count > 0

    async def note_orphans(self, ids: Sequence[ObjectId]) -> None:
        """Note links whose access entries are still to be removed."""
        if ids:
            note = {"$setOnInsert": {"deletedAt": now()}}
            writes = [UpdateOne({"_id": link_id}, note, upsert=True) for link_id in ids]
            await self._database[OrphanedLink].bulk_write(writes, ordered=False)

    async def orphans(self, limit: int) -> list[ObjectId]:
        """At most ``limit`` of the links that were noted."""
        found = self._database[OrphanedLink].find({}, {"_id": 1}).limit(limit)
        return [note["_id"] async for note in found]

    async def forget_orphans(self, ids: Sequence[ObjectId]) -> None:
        """Forget notes of links."""
        await self._database[OrphanedLink].delete_many({"_id": {"$in": list(ids)}})

    async def remove(self, ids: Sequence[ObjectId]) -> int:
        """Delete links by ``_id``; return their number."""
        if not ids:
            return 0
        return (await self.collection.delete_many({"_id": {"$in": list(ids)}})).deleted_count

    async def exists(self, link_id: ObjectId) -> bool:
        """``True`` when there is such a link."""
        return await self.by_id(link_id, {"expiredAt": 1}) is not None
