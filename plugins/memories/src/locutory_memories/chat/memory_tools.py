"""The tools that change memories, for all callers (contract memories §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from locutory import ConfigRef, Services
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.models import ToolSchema
from locutory_memories.keys import Counter, is_refused, length
from locutory_memories.memory_config import MAX_KEY_LENGTH, MemoryConfig
from locutory_memories.service import AccountGone, LimitReached, Memories, MemoryScope, TooMany

SET = "set_memory"
DELETE = "delete_memory"

_ON_REQUEST = (
    "Call it only when the user asks for it ('remember that …', 'forget …'), never because "
    "something was merely mentioned."
)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call. ``text`` is for the model, ``artifact`` for the user, ``None``
    when there is nothing to show."""

    text: str
    artifact: Mapping[str, Any] | None = None
    failed: bool = False

    @property
    def attachment(self) -> dict[str, Any] | None:
        """The artifact in the form of an attachment to an answer (chat-stream §6.4)."""
        return None if self.artifact is None else {"type": "memory", "memory": self.artifact}


def schemas(config: MemoryConfig) -> dict[str, ToolSchema]:
    """The tools as models see them, by name."""
    valid = list(config.valid_keys)
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


class MemoryTools:
    """Runs the tools. Their writes keep to the token limit, side by side or not."""

    def __init__(
        self,
        config: ConfigRef[MemoryConfig],
        memories: Memories,
        counter: Counter,
        services: Services,
    ) -> None:
        self._config = config
        self._memories = memories
        self._counter = counter
        self._services = services

    async def call(self, name: str, arguments: Mapping[str, Any], scope: MemoryScope) -> ToolResult:
        """Run a tool by name; errors in the arguments are returned to the model."""
        key, value = arguments.get("key"), arguments.get("value")
        if not isinstance(key, str) or not key.strip():
            return ToolResult("The key is missing.", failed=True)
        key = key.strip()
        valid = self._config.current.valid_keys
        if valid and key not in valid:
            return ToolResult(
                f"The key {key[:100]!r} is not valid. Valid keys: {', '.join(valid)}", failed=True
            )
        if name == DELETE:
            return await self._delete(scope, key)
        if name != SET:
            return ToolResult(f"There is no tool named {name[:100]!r}.", failed=True)
        if not isinstance(value, str) or not value.strip():
            return ToolResult("The value is missing.", failed=True)
        return await self._set(scope, key, value)

    async def _set(self, scope: MemoryScope, key: str, value: str) -> ToolResult:
        config = self._config.current
        if is_refused(key) or key in _UNREACHABLE:
            return ToolResult(f"Nothing was stored: the key {key!r} is not allowed.", failed=True)
        if length(key) > MAX_KEY_LENGTH:
            return ToolResult(f"The key is longer than {MAX_KEY_LENGTH} characters.", failed=True)
        if length(value) > config.characters:
            return ToolResult(
                f"The value is longer than {config.characters} characters.", failed=True
            )
        if not await self._is_there(scope):
            return ToolResult("Nothing was stored: the account does not exist.", failed=True)
        tokens, limit = self._counter.count(value), config.token_limit
        try:
            await self._memories.put(
                scope, key, value, tokens, limit=limit, max_memories=config.max_memories
            )
        except LimitReached as reached:
            return _over(reached, limit or 0)
        except TooMany:
            return ToolResult(
                f"Nothing was stored: there are {config.max_memories} memories.", failed=True
            )
        except AccountGone:
            return ToolResult("Nothing was stored: the account does not exist.", failed=True)
        shown = {"key": key, "value": value, "tokenCount": tokens, "type": "update"}
        return ToolResult(f"The memory {key!r} was set ({tokens} tokens).", shown | _of(scope))

    async def _delete(self, scope: MemoryScope, key: str) -> ToolResult:
        if not await self._memories.delete(scope, key):
            return ToolResult(f"There is no memory {key[:100]!r}.", failed=True)
        return ToolResult(
            f"The memory {key!r} was deleted.", {"key": key, "type": "delete"} | _of(scope)
        )

    async def _is_there(self, scope: MemoryScope) -> bool:
        """Work beside an answer may outlive the account."""
        accounts = self._services.find(ACCOUNTS)
        return accounts is None or await accounts.find(str(scope.user)) is not None


def _of(scope: MemoryScope) -> dict[str, Any]:
    return {"agentId": scope.agent} if scope.agent else {}


def _over(reached: LimitReached, limit: int) -> ToolResult:
    """The limit is a fault that the user is shown too."""
    left = limit - reached.used
    if left <= 0:
        kind, over, total = "already_exceeded", -left, reached.used
        text = "Nothing was stored: the memory is full."
    else:
        kind, over = "would_exceed", reached.needed - left
        total = reached.used + reached.needed
        text = f"Nothing was stored: it needs {reached.needed} tokens, and {left} are left."
    value = {"errorType": kind, "tokenCount": over, "totalTokens": total, "tokenLimit": limit}
    artifact = {
        "key": "system",
        "type": "error",
        "value": orjson.dumps(value).decode(),
        "tokenCount": reached.used,
    }
    return ToolResult(text, artifact, failed=True)
