"""Memories in an export of a user's data."""

from collections.abc import AsyncIterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from locutory import iso, now
from locutory_contracts.portability import Record
from locutory_memories.keys import Counter, is_refused, length
from locutory_memories.routes import MOST_AGENT
from locutory_memories.rules import MOST_KEY, Current
from locutory_memories.service import KeyTaken, LimitReached, Memories, Pool, TooMany

KIND = "memory"


class PortableMemories:
    """`locutory_contracts.portability.Portable`."""

    rank = 80

    def __init__(self, current: Current, memories: Memories, counter: Counter) -> None:
        self._current = current
        self._memories = memories
        self._counter = counter

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Oldest first."""
        for memory in reversed(await self._memories.everything(ObjectId(user))):
            record: dict[str, Any] = {
                "kind": KIND,
                "key": memory["key"],
                "value": memory["value"],
            }
            if memory.get("agentId"):
                record["agentId"] = memory["agentId"]
            if memory.get("updated_at") is not None:
                record["updated_at"] = iso(memory["updated_at"])
            yield record

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """See the contract. A memory whose key exists stays as it is."""
        rules = self._current.rules
        key, value, agent = record.get("key"), record.get("value"), record.get("agentId")
        if not isinstance(key, str) or not key.strip() or length(key) > MOST_KEY or is_refused(key):
            raise ValueError("A memory has no usable key.")
        if not isinstance(value, str) or not value.strip() or length(value) > rules.characters:
            raise ValueError(
                f"The memory {key[:50]!r} must have 1 to {rules.characters} characters."
            )
        if agent is not None and (not isinstance(agent, str) or length(agent) > MOST_AGENT):
            raise ValueError(f"The memory {key[:50]!r} belongs to an unusable agent.")
        pool = Pool(ObjectId(user), (ids.get(agent, agent) or None) if agent else None)
        if await self._memories.has(pool, key):
            return False
        memory = {
            "key": key,
            "value": value,
            "tokenCount": self._counter.count(value),
            "updated_at": _moment(record.get("updated_at")),
        }
        try:
            await self._memories.restore(pool, memory, limit=rules.token_limit, most=rules.most)
        except KeyTaken:
            return False
        except LimitReached:
            raise ValueError(
                f"The memory {key[:50]!r} would exceed the limit of {rules.token_limit} tokens."
            ) from None
        except TooMany:
            raise ValueError(f"There can be no more than {rules.most} memories.") from None
        return True


def _moment(value: Any) -> datetime | None:
    """A date, which is not in the future; ``None`` for what is none."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return min(value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC), now())
    except OverflowError:  # no calendar holds it in UTC
        return None
