"""The account data of this plugin: the memories of a user."""

from collections.abc import AsyncIterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from locutory import ConfigRef, iso, now
from locutory_contracts.account_data import AccountData, Record
from locutory_memories.keys import Counter, is_refused, length
from locutory_memories.memory_config import MAX_KEY_LENGTH, MemoryConfig
from locutory_memories.routes import MAX_AGENT_ID_LENGTH
from locutory_memories.service import KeyTaken, LimitReached, Memories, MemoryScope, TooMany


class MemoryData(AccountData):
    """The memories of a user as records ``{kind, key, value, agentId?, updated_at?}``."""

    kind = "memory"
    rank = 80

    def __init__(
        self, config: ConfigRef[MemoryConfig], memories: Memories, counter: Counter
    ) -> None:
        self._config = config
        self._memories = memories
        self._counter = counter

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Oldest first."""
        for memory in reversed(await self._memories.everything(ObjectId(user))):
            record: dict[str, Any] = {
                "kind": self.kind,
                "key": memory["key"],
                "value": memory["value"],
            }
            if memory.get("agentId"):
                record["agentId"] = memory["agentId"]
            if memory.get("updated_at") is not None:
                record["updated_at"] = iso(memory["updated_at"])
            yield record

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Restore one memory; one whose key exists is not changed. Raises `ValueError` for an
        invalid one."""
        config = self._config.current
        key, value, agent = record.get("key"), record.get("value"), record.get("agentId")
        if (
            not isinstance(key, str)
            or not key.strip()
            or length(key) > MAX_KEY_LENGTH
            or is_refused(key)
        ):
            raise ValueError("A memory has no usable key.")
        if not isinstance(value, str) or not value.strip() or length(value) > config.characters:
            raise ValueError(
                f"The memory {key[:50]!r} must have 1 to {config.characters} characters."
            )
        if agent is not None and (
            not isinstance(agent, str) or length(agent) > MAX_AGENT_ID_LENGTH
        ):
            raise ValueError(f"The memory {key[:50]!r} belongs to an unusable agent.")
        scope = MemoryScope(ObjectId(user), (ids.get(agent, agent) or None) if agent else None)
        if await self._memories.has(scope, key):
            return False
        memory = {
            "key": key,
            "value": value,
            "tokenCount": self._counter.count(value),
            "updated_at": _moment(record.get("updated_at")),
        }
        try:
            await self._memories.restore(
                scope, memory, limit=config.token_limit, max_memories=config.max_memories
            )
        except KeyTaken:
            return False
        except LimitReached:
            raise ValueError(
                f"The memory {key[:50]!r} would exceed the limit of {config.token_limit} tokens."
            ) from None
        except TooMany:
            raise ValueError(f"There can be no more than {config.max_memories} memories.") from None
        return True

    async def erase(self, user: str) -> None:
        """Delete the memories of the user, and write no more."""
        await self._memories.forget(ObjectId(user))


def _moment(value: Any) -> datetime | None:
    """A date, at most the present one; ``None`` for an invalid one."""
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
