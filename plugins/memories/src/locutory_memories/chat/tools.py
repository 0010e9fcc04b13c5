"""The memory tools of a turn's own model (contract memories §4)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from locutory_contracts.chat import Tool, ToolOutcome, Turn
from locutory_memories.chat.notebook import DELETE, SET, Notebook, schemas
from locutory_memories.chat.pools import pool_of
from locutory_memories.gate import Gate
from locutory_memories.rules import Current

_NEEDS = {SET: ("CREATE", "UPDATE"), DELETE: ("UPDATE",)}

Run = Callable[[Mapping[str, Any], Turn], Awaitable[ToolOutcome]]


class InlineTools:
    """Offers the tools to turns that ask for the capability ``memory``."""

    def __init__(self, current: Current, gate: Gate, notebook: Notebook) -> None:
        self._current = current
        self._gate = gate
        self._notebook = notebook

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        """`ToolSource.tools`."""
        rules = self._current.rules
        return [
            Tool(schema, self._run(name), timeout=15.0)
            for name, schema in (schemas(rules).items() if rules.inline else ())
            if await self._gate.inline(turn, *_NEEDS[name])
        ]

    def _run(self, name: str) -> Run:
        async def run(arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
            entry = await self._notebook.call(name, arguments, pool_of(turn))
            shown = [entry.attachment] if entry.attachment is not None else []
            return ToolOutcome(entry.text, shown, entry.failed)

        return run
