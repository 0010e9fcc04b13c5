"""The stored memories (contract memories §2).

Writes of one user happen one after another in a process. Between processes the ``_id``, made
of owner, scope and key, keeps keys single, and a write that took a scope over its limit
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

from locutory import Collection, Database, now
from locutory_contracts.chat import Turn
from locutory_memories.documents import MemoryEntry

AT_ONCE = 1000
"""Memories of one network round trip; a driver's own 101 would take several before each turn."""

Memory = dict[str, Any]


class KeyTaken(Exception):
    """There is a memory with this key in the scope."""


class MemoryMissing(Exception):
    """There is no memory with this key in the scope."""


class TooMany(Exception):
    """The user has as many memories as anybody may have."""


class AccountGone(Exception):
    """The account was deleted, so nothing is written for it."""


class LimitReached(Exception):
    """The scope has no room. ``used``: its tokens without the memory that was to be written,
    which takes ``needed``."""

    def __init__(self, used: int, needed: int) -> None:
        super().__init__(f"{used} + {needed}")
        self.used = used
        self.needed = needed


@dataclass(frozen=True, slots=True)
class MemoryScope:
    """A set of memories: shared by all chats of a user, or an agent's own."""

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


def scope_of(turn: Turn) -> MemoryScope:
    """The scope that a turn reads and writes (contract memories §4): the agent's own when it keeps
    its memories to itself, else the one that all chats of the user share."""
    principal, agent = turn.principal, turn.agent
    own = agent is not None and agent.get("memory_scope") == "agent"
    name = agent.get("id") if agent is not None and own else None
    return MemoryScope(ObjectId(principal.id), str(name) if name else None, principal.tenant)


def tokens_of(memories: Iterable[Mapping[str, Any]]) -> int:
    """Tokens of memories as they were counted when they were written."""
    return int(sum(memory.get("tokenCount") or 0 for memory in memories))


class Memories:
    """Reads and writes memories. ``limit``: tokens that a scope may have, ``None`` for any
    number; ``max_memories``: how many memories a user may have in all."""

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

    async def in_scope(self, scope: MemoryScope) -> list[Memory]:
        """The memories of a scope, those changed last at the end."""
        found = await self._rows.find(scope.filter, batch_size=AT_ONCE).to_list()
        return sorted(found, key=_moment)

    async def create(
        self,
        scope: MemoryScope,
        key: str,
        value: str,
        tokens: int,
        *,
        limit: int | None,
        max_memories: int,
    ) -> Memory:
        """A new memory; `LimitReached`, `KeyTaken`, `TooMany`."""
        async with self._alone(scope.user):
            stored = await self._sizes(scope)
            used = tokens_of(stored)
            if limit and used + tokens > limit:
                raise LimitReached(used, tokens)
            if any(memory["key"] == key for memory in stored):
                raise KeyTaken(key)
            memory = await self._insert(scope, key, value, tokens, max_memories)
            await self._hold(scope, memory, None, limit)
            return memory

    async def put(
        self,
        scope: MemoryScope,
        key: str,
        value: str,
        tokens: int,
        *,
        limit: int | None,
        max_memories: int,
    ) -> Memory:
        """Write a memory, new or not; `LimitReached`, `TooMany`."""
        async with self._alone(scope.user):
            stored = await self._sizes(scope)
            used = tokens_of(memory for memory in stored if memory["key"] != key)
            if limit and used + tokens > limit:
                raise LimitReached(used, tokens)
            before = await self._rows.find_one({**scope.filter, "key": key})
            if before is None:
                try:
                    memory = await self._insert(scope, key, value, tokens, max_memories)
                except KeyTaken:  # written by another process at the same moment
                    memory = await self._replace({"_id": scope.id_of(key)}, value, tokens)
            else:
                memory = await self._replace(before, value, tokens)
            await self._hold(scope, memory, before, limit)
            return memory

    async def change(self, scope: MemoryScope, key: str, value: str, tokens: int) -> Memory:
        """Give a memory another value; `MemoryMissing`."""
        async with self._alone(scope.user):
            before = await self._rows.find_one({**scope.filter, "key": key})
            if before is None:
                raise MemoryMissing(key)
            return await self._replace(before, value, tokens)

    async def has(self, scope: MemoryScope, key: str) -> bool:
        """``True`` when there is a memory of this key."""
        return await self._rows.find_one({**scope.filter, "key": key}, {"_id": 1}) is not None

    async def rename(
        self, scope: MemoryScope, key: str, new: str, value: str, tokens: int
    ) -> Memory:
        """Give a memory another key and value; `MemoryMissing`, `KeyTaken`. The new one is
        written first: a crash in between loses nothing."""
        async with self._alone(scope.user):
            if not await self.has(scope, key):
                raise MemoryMissing(key)
            if await self.has(scope, new):
                raise KeyTaken(new)
            memory = await self._insert(scope, new, value, tokens, None)
            await self._rows.delete_many({**scope.filter, "key": key})
            return memory

    async def delete(self, scope: MemoryScope, key: str) -> bool:
        """Delete a memory; ``False`` when there was none."""
        async with self._alone(scope.user):
            removed = await self._rows.delete_many({**scope.filter, "key": key})
            return removed.deleted_count > 0

    async def restore(
        self, scope: MemoryScope, memory: Memory, *, limit: int | None, max_memories: int
    ) -> None:
        """`create` with a date of its own."""
        made = await self.create(
            scope,
            memory["key"],
            memory["value"],
            memory["tokenCount"],
            limit=limit,
            max_memories=max_memories,
        )
        if (moment := memory.get("updated_at")) is not None:
            await self._rows.update_one({"_id": made["_id"]}, {"$set": {"updated_at": moment}})

    async def forget(self, user: ObjectId) -> None:
        """Delete the memories of a deleted account, and write no more of them."""
        async with self._alone(user):
            self._gone.add(user)
            await self._rows.delete_many({"userId": user})

    async def _sizes(self, scope: MemoryScope) -> list[Memory]:
        columns = {"key": 1, "tokenCount": 1}
        return await self._rows.find(scope.filter, columns, batch_size=AT_ONCE).to_list()

    async def _insert(
        self, scope: MemoryScope, key: str, value: str, tokens: int, max_memories: int | None
    ) -> Memory:
        if scope.user in self._gone:
            raise AccountGone
        if (
            max_memories is not None
            and await self._rows.count_documents({"userId": scope.user}) >= max_memories
        ):
            raise TooMany
        memory: Memory = {
            "_id": scope.id_of(key),
            "userId": scope.user,
            "key": key,
            "value": value,
            **({"agentId": scope.agent} if scope.agent else {}),
            "tokenCount": tokens,
            "updated_at": now(),
            **({"tenantId": scope.tenant} if scope.tenant else {}),
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
        self, scope: MemoryScope, memory: Memory, before: Memory | None, limit: int | None
    ) -> None:
        """Take a write back that was one too many, because another process wrote too."""
        if not limit:
            return
        stored = await self._sizes(scope)
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
