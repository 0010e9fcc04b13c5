"""A plugin whose tool every agent has: what the server runs, and programs must not."""

from collections.abc import Mapping, Sequence
from typing import Any

from locutory import Plugin, Provide, hook
from locutory_contracts.chat import TOOLS, Tool, ToolOutcome, Turn
from locutory_contracts.models import ToolSchema


class LabTools(Plugin):
    """Offers ``server_weather``."""

    name = "labtools"
    summary = "A tool for the tests of client packages"
    provides = (TOOLS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(TOOLS, self, "lab")]

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        async def weather(arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
            return ToolOutcome(f"sunny in {arguments.get('city')}")

        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
        return [Tool(ToolSchema("server_weather", "Weather of a city", parameters), weather)]
