"""The tools that change memories, whoever calls them (contract memories §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from locutory import Services
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.models import ToolSchema
from locutory_memories.keys import Counter, is_refused, length
from locutory_memories.rules import MOST_KEY, Current, Rules
from locutory_memories.service import AccountGone, LimitReached, Memories, Pool, TooMany

SET = "set_memory"
DELETE = "delete_memory"

_ON_REQUEST = (
    "Call it only when the user asks for it ('remember that …', 'forget …'), never because "
    "something was merely mentioned."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a call came to. ``text`` is for the model, ``artifact`` for the user, ``None``
    when there is nothing to show."""

    text: str
    artifact: Mapping[str, Any] | None = None
    failed: bool = False

    @property
    def attachment(self) -> dict[str, Any] | None:
        """The artifact as it stands beside an answer (chat-stream §6.4)."""
        return None if self.artifact is None else {"type": "memory", "memory": self.artifact}


def schemas(rules: Rules) -> dict[str, ToolSchema]:
    """The tools as models see them, by name."""
    valid = list(rules.valid_keys)
    key: dict[str, Any] = {"type": "string", "description": "Short name of the memory"}
    if valid:
        key |= {"description": f"One of: {', '.join(valid)}", "enum": valid}
    value = {
        "type": "string",
        "description": "A whole sentence that says what is to be remembered about the user",
    }
    return {
        SET: ToolSchema(
            SET,
            f"Stores something about the user for later conversations, or replaces what is "
            f"stored under the same key. {_ON_REQUEST}",
            {
                "type": "object",
                "properties": {"key": key, "value": value},
                "required": ["key", "value"],
            },
        ),
        DELETE: ToolSchema(
            DELETE,
            f"Deletes what is stored about the user under a key. To change it, call {SET} "
            f"instead. {_ON_REQUEST}",
            {"type": "object", "properties": {"key": key}, "required": ["key"]},
        ),
    }


_UNREACHABLE = (".", "..")
"""As the end of a path no browser sends these: the user could never delete them."""


class Notebook:
    """Runs the tools. Their writes keep to the token limit, side by side or not."""

    def __init__(
        self, current: Current, memories: Memories, counter: Counter, services: Services
    ) -> None:
        self._current = current
        self._memories = memories
        self._counter = counter
        self._services = services

    async def call(self, name: str, arguments: Mapping[str, Any], pool: Pool) -> Entry:
        """Run a tool by name; what is wrong with the arguments is said to the model."""
        key, value = arguments.get("key"), arguments.get("value")
        if not isinstance(key, str) or not key.strip():
            return Entry("The key is missing.", failed=True)
        key = key.strip()
        valid = self._current.rules.valid_keys
        if valid and key not in valid:
            return Entry(
                f"The key {key[:100]!r} is not valid. Valid keys: {', '.join(valid)}", failed=True
            )
        if name == DELETE:
            return await self._delete(pool, key)
        if name != SET:
            return Entry(f"There is no tool named {name[:100]!r}.", failed=True)
        if not isinstance(value, str) or not value.strip():
            return Entry("The value is missing.", failed=True)
        return await self._set(pool, key, value)

    async def _set(self, pool: Pool, key: str, value: str) -> Entry:
        rules = self._current.rules
        if is_refused(key) or key in _UNREACHABLE:
            return Entry(f"Nothing was stored: the key {key!r} is not allowed.", failed=True)
        if length(key) > MOST_KEY:
            return Entry(f"The key is longer than {MOST_KEY} characters.", failed=True)
        if length(value) > rules.characters:
            return Entry(f"The value is longer than {rules.characters} characters.", failed=True)
        if not await self._is_there(pool):
            return Entry("Nothing was stored: the account does not exist.", failed=True)
        tokens, limit = self._counter.count(value), rules.token_limit
        try:
            await self._memories.put(pool, key, value, tokens, limit=limit, most=rules.most)
        except LimitReached as reached:
            return _over(reached, limit or 0)
        except TooMany:
            return Entry(f"Nothing was stored: there are {rules.most} memories.", failed=True)
        except AccountGone:
            return Entry("Nothing was stored: the account does not exist.", failed=True)
        shown = {"key": key, "value": value, "tokenCount": tokens, "type": "update"}
        return Entry(f"The memory {key!r} was set ({tokens} tokens).", shown | _of(pool))

    async def _delete(self, pool: Pool, key: str) -> Entry:
        if not await self._memories.delete(pool, key):
            return Entry(f"There is no memory {key[:100]!r}.", failed=True)
        return Entry(f"The memory {key!r} was deleted.", {"key": key, "type": "delete"} | _of(pool))

    async def _is_there(self, pool: Pool) -> bool:
        """Work beside an answer may outlive the account."""
        accounts = self._services.find(ACCOUNTS)
        return accounts is None or await accounts.find(str(pool.user)) is not None


def _of(pool: Pool) -> dict[str, Any]:
    return {"agentId": pool.agent} if pool.agent else {}


def _over(reached: LimitReached, limit: int) -> Entry:
    """The limit is a fault that the user is shown too."""
    left = limit - reached.used
    if left <= 0:
        kind, over, total = "already_exceeded", -left, reached.used
        text = "Nothing was stored: the memory is full."
    else:
        kind, over = "would_exceed", reached.wanted - left
        total = reached.used + reached.wanted
        text = f"Nothing was stored: it needs {reached.wanted} tokens, and {left} are left."
    value = {"errorType": kind, "tokenCount": over, "totalTokens": total, "tokenLimit": limit}
    artifact = {
        "key": "system",
        "type": "error",
        "value": orjson.dumps(value).decode(),
        "tokenCount": reached.used,
    }
    return Entry(text, artifact, failed=True)
