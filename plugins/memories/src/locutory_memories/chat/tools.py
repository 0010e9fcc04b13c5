"""The memory tools of a turn's own model (contract memories §4)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from locutory import ConfigRef
from locutory_contracts.chat import Tool, ToolOutcome, Turn
from locutory_memories.chat.memory_tools import DELETE, SET, MemoryTools, schemas
from locutory_memories.memory_config import MemoryConfig
from locutory_memories.permissions import MemoryPermissions
from locutory_memories.service import scope_of

_NEEDS = {SET: ("CREATE", "UPDATE"), DELETE: ("UPDATE",)}

Run = Callable[[Mapping[str, Any], Turn], Awaitable[ToolOutcome]]


class InlineTools:
    """Offers the tools to turns that ask for the capability ``memory``."""

    def __init__(
        self,
        config: ConfigRef[MemoryConfig],
        permissions: MemoryPermissions,
        memory_tools: MemoryTools,
    ) -> None:
        self._config = config
        self._permissions = permissions
        self._memory_tools = memory_tools

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        """`ToolSource.tools`."""
        config = self._config.current
        return [
            Tool(schema, self._run(name), timeout=15.0)
            for name, schema in (schemas(config).items() if config.inline else ())
            if await self._permissions.inline(turn, *_NEEDS[name])
        ]

    def _run(self, name: str) -> Run:
        async def run(arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
            result = await self._memory_tools.call(name, arguments, scope_of(turn))
            shown = [result.attachment] if result.attachment is not None else []
            return ToolOutcome(result.text, shown, result.failed)

        return run
