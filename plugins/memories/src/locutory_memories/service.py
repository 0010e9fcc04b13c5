"""The stored memories (contract memories §2).

Writes of one user happen one after another in a process. Between processes the ``_id``, made
of owner, pool and key, keeps keys single, and a write that took a pool over its limit
together with another one is taken back.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from weakref import WeakValueDictionary

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from locutory import Database, now
from locutory.database import Collection
from locutory_memories.documents import MemoryEntry

AT_ONCE = 1000
"""Memories of one network round trip; a driver's own 101 would take several before each turn."""

Memory = dict[str, Any]


class KeyTaken(Exception):
    """There is a memory with this key in the pool."""


class MemoryMissing(Exception):
    """There is no memory with this key in the pool."""


class TooMany(Exception):
    """The user has as many memories as anybody may have."""


class AccountGone(Exception):
    """Nothing is written for an account that was deleted."""


class LimitReached(Exception):
    """The pool has no room. ``used``: its tokens without the memory that was to be written,
    which has ``wanted``."""

    def __init__(self, used: int, wanted: int) -> None:
        super().__init__(f"{used} + {wanted}")
        self.used = used
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Pool:
    """Where memories live: shared by all chats of a user, or an agent's own."""

    user: ObjectId
    agent: str | None = None
    tenant: str | None = None

    @property
    def filter(self) -> dict[str, Any]:
        """``agentId: None`` finds null and missing alike."""
        return {"userId": self.user, "agentId": self.agent}

    def id_of(self, key: str) -> ObjectId:
        """The ``_id`` of a new memory."""
        name = f"{self.user}\0{self.agent or ''}\0{key}"
        return ObjectId(sha256(name.encode("utf-8", "surrogatepass")).digest()[:12])


def tokens_of(memories: Iterable[Mapping[str, Any]]) -> int:
    """Tokens of memories as they were counted when they were written."""
    return int(sum(memory.get("tokenCount") or 0 for memory in memories))


class Memories:
    """Reads and writes memories. ``limit``: tokens that a pool may have, ``None`` for any
    number; ``most``: how many memories a user may have in all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks: WeakValueDictionary[ObjectId, asyncio.Lock] = WeakValueDictionary()
        self._gone: set[ObjectId] = set()

    @property
    def _rows(self) -> Collection:
        return self._database[MemoryEntry]

    def _alone(self, user: ObjectId) -> asyncio.Lock:
        lock = self._locks.get(user)
        if lock is None:
            lock = self._locks[user] = asyncio.Lock()
        return lock

    async def everything(self, user: ObjectId) -> list[Memory]:
        """All memories of a user, those changed last first."""
        found = await self._rows.find({"userId": user}, batch_size=AT_ONCE).to_list()
        return sorted(found, key=_moment, reverse=True)

    async def pool(self, pool: Pool) -> list[Memory]:
        """The memories of a pool, those changed last at the end."""
        found = await self._rows.find(pool.filter, batch_size=AT_ONCE).to_list()
        return sorted(found, key=_moment)

    async def create(
        self, pool: Pool, key: str, value: str, tokens: int, *, limit: int | None, most: int
    ) -> Memory:
        """A new memory; `LimitReached`, `KeyTaken`, `TooMany`."""
        async with self._alone(pool.user):
            stored = await self._sizes(pool)
            used = tokens_of(stored)
            if limit and used + tokens > limit:
                raise LimitReached(used, tokens)
            if any(memory["key"] == key for memory in stored):
                raise KeyTaken(key)
            memory = await self._insert(pool, key, value, tokens, most)
            await self._hold(pool, memory, None, limit)
            return memory

    async def put(
        self, pool: Pool, key: str, value: str, tokens: int, *, limit: int | None, most: int
    ) -> Memory:
        """Write a memory, new or not; `LimitReached`, `TooMany`."""
        async with self._alone(pool.user):
            stored = await self._sizes(pool)
            used = tokens_of(memory for memory in stored if memory["key"] != key)
            if limit and used + tokens > limit:
                raise LimitReached(used, tokens)
            before = await self._rows.find_one({**pool.filter, "key": key})
            if before is None:
                try:
                    memory = await self._insert(pool, key, value, tokens, most)
                except KeyTaken:  # written by another process at the same moment
                    memory = await self._replace({"_id": pool.id_of(key)}, value, tokens)
            else:
                memory = await self._replace(before, value, tokens)
            await self._hold(pool, memory, before, limit)
            return memory

    async def change(self, pool: Pool, key: str, value: str, tokens: int) -> Memory:
        """Give a memory another value; `MemoryMissing`."""
        async with self._alone(pool.user):
            before = await self._rows.find_one({**pool.filter, "key": key})
            if before is None:
                raise MemoryMissing(key)
            return await self._replace(before, value, tokens)

    async def has(self, pool: Pool, key: str) -> bool:
        """Is there a memory of this key?"""
        return await self._rows.find_one({**pool.filter, "key": key}, {"_id": 1}) is not None

    async def rename(self, pool: Pool, key: str, new: str, value: str, tokens: int) -> Memory:
        """Give a memory another key and value; `MemoryMissing`, `KeyTaken`. The new one is
        written first: a crash in between loses nothing."""
        async with self._alone(pool.user):
            if not await self.has(pool, key):
                raise MemoryMissing(key)
            if await self.has(pool, new):
                raise KeyTaken(new)
            memory = await self._insert(pool, new, value, tokens, None)
            await self._rows.delete_many({**pool.filter, "key": key})
            return memory

    async def delete(self, pool: Pool, key: str) -> bool:
        """Delete a memory for good; false when there was none."""
        async with self._alone(pool.user):
            removed = await self._rows.delete_many({**pool.filter, "key": key})
            return removed.deleted_count > 0

    async def restore(self, pool: Pool, memory: Memory, *, limit: int | None, most: int) -> None:
        """`create` with a date of its own."""
        made = await self.create(
            pool, memory["key"], memory["value"], memory["tokenCount"], limit=limit, most=most
        )
        if (moment := memory.get("updated_at")) is not None:
            await self._rows.update_one({"_id": made["_id"]}, {"$set": {"updated_at": moment}})

    async def forget(self, user: ObjectId) -> None:
        """An account is gone: delete its memories, and write no more."""
        async with self._alone(user):
            self._gone.add(user)
            await self._rows.delete_many({"userId": user})

    async def _sizes(self, pool: Pool) -> list[Memory]:
        columns = {"key": 1, "tokenCount": 1}
        return await self._rows.find(pool.filter, columns, batch_size=AT_ONCE).to_list()

    async def _insert(
        self, pool: Pool, key: str, value: str, tokens: int, most: int | None
    ) -> Memory:
        if pool.user in self._gone:
            raise AccountGone
        if most is not None and await self._rows.count_documents({"userId": pool.user}) >= most:
            raise TooMany
        memory: Memory = {
            "_id": pool.id_of(key),
            "userId": pool.user,
            "key": key,
            "value": value,
            **({"agentId": pool.agent} if pool.agent else {}),
            "tokenCount": tokens,
            "updated_at": now(),
            **({"tenantId": pool.tenant} if pool.tenant else {}),
            "__v": 0,
        }
        try:
            await self._rows.insert_one(memory)
        except DuplicateKeyError:
            raise KeyTaken(key) from None
        return memory

    async def _replace(self, before: Mapping[str, Any], value: str, tokens: int) -> Memory:
        change = {"value": value, "tokenCount": tokens, "updated_at": now()}
        found = await self._rows.find_one_and_update(
            {"_id": before["_id"]}, {"$set": change}, return_document=ReturnDocument.AFTER
        )
        if found is None:
            raise MemoryMissing(before.get("key"))
        return found

    async def _hold(
        self, pool: Pool, memory: Memory, before: Memory | None, limit: int | None
    ) -> None:
        """Take a write back that was one too many, because another process wrote too."""
        if not limit:
            return
        stored = await self._sizes(pool)
        if tokens_of(stored) <= limit:
            return
        ours = {"_id": memory["_id"], "updated_at": memory["updated_at"]}
        if before is None:
            await self._rows.delete_one(ours)
        else:
            fields = ("value", "tokenCount", "updated_at")
            old = {name: before[name] for name in fields if name in before}
            await self._rows.update_one(ours, {"$set": old})
        used = tokens_of(other for other in stored if other["_id"] != memory["_id"])
        raise LimitReached(used, int(memory["tokenCount"]))


def _moment(memory: Mapping[str, Any]) -> float:
    moment = memory.get("updated_at")
    return 0.0 if moment is None else float(moment.timestamp())
