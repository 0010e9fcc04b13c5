"""Tools for the builder: those that plugins list, in the form of LibreChat's manifest (tools
§2)."""

from typing import Any

from structlog.stdlib import BoundLogger

from locutory import Principal, Services
from locutory_agentbuilder.definition.tools import kept_tools
from locutory_contracts.offers import AGENT_TOOLS, AgentTool

SECONDS = 10.0


class ToolList:
    """Asks every source of tools that can name its tools. One that is broken or slow is left
    out."""

    def __init__(self, services: Services, log: BoundLogger) -> None:
        self._services = services
        self._log = log

    async def of(self, principal: Principal) -> list[dict[str, Any]]:
        """The tools that a caller may give to their agents; of two with one key the first."""
        gathered = await self._services.gather(
            AGENT_TOOLS, lambda source: source.listed(principal), timeout=SECONDS
        )
        for name, error in gathered.failures.items():
            self._log.warning("agentbuilder.tools_left_out", source=name, reason=str(error)[:200])
        found: dict[str, AgentTool] = {}
        for tools in gathered.results.values():
            for tool in tools:
                if kept_tools([tool.key]):
                    found.setdefault(tool.key, tool)
        return [_entry(tool) for tool in sorted(found.values(), key=lambda tool: tool.name.lower())]


def _entry(tool: AgentTool) -> dict[str, Any]:
    entry = {
        "name": tool.name,
        "pluginKey": tool.key,
        "description": tool.description,
        "authConfig": [],
    }
    return {**entry, "icon": tool.icon} if tool.icon else entry
