"""Tools that plugins name for the builder (contract agents §6)."""

from collections.abc import Sequence
from typing import Any

from locutory import Plugin, Principal, Provide, hook
from locutory_contracts.offers import AGENT_TOOLS, AgentTool

TOOLS = "/api/agents/tools"


class Named(Plugin):
    """Names tools; a failing source beside it."""

    name = "named"
    summary = "Tools for tests"
    provides = (AGENT_TOOLS,)

    def __init__(self, *tools: AgentTool) -> None:
        self.tools = tools

    @hook
    def services(self) -> list[Provide]:
        return [Provide(AGENT_TOOLS, self, "named"), Provide(AGENT_TOOLS, Broken(), "broken")]

    async def listed(self, principal: Principal) -> Sequence[AgentTool]:
        return self.tools if principal.id.startswith("a") else ()


class Broken:
    async def listed(self, principal: Principal) -> Sequence[AgentTool]:
        raise RuntimeError("broken")


async def test_tools_are_listed(stage: Any) -> None:
    icon = "https://example.com/dice.png"
    tools = (
        AgentTool("roll_dice", "Dice", "Rolls dice", icon),
        AgentTool("ask", "ask", "Asks"),
        AgentTool("roll_dice", "Again", "Same key"),
        AgentTool("", "Nameless", "No key"),
    )
    async with stage(others=[Named(*tools)]) as s:
        answer = await s.ann.get(TOOLS)
        assert answer.status_code == 200
        assert answer.json() == [
            {"name": "ask", "pluginKey": "ask", "description": "Asks", "authConfig": []},
            {
                "name": "Dice",
                "pluginKey": "roll_dice",
                "description": "Rolls dice",
                "authConfig": [],
                "icon": icon,
            },
        ]
        assert (await s.ben.get(TOOLS)).json() == []
        assert (await s.server.client.get(TOOLS)).status_code == 401
        made = await s.make(tools=["roll_dice"])
        assert made["tools"] == ["roll_dice"]


async def test_without_any_source(stage: Any) -> None:
    async with stage() as s:
        assert (await s.ann.get(TOOLS)).json() == []
