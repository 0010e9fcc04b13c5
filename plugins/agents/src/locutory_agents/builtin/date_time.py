"""The user's date and time, as a tool and as context."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from locutory import Principal
from locutory_agents.config import AgentsConfig
from locutory_agents.loop.instructions import local_time, zone_of
from locutory_contracts.chat import Tool, ToolOutcome, Turn
from locutory_contracts.models import ToolSchema
from locutory_contracts.offers import AgentTool, has_tool

NAME = "current_datetime"
GUIDE = "Guide"
"""The endpoint that demonstrates the server; the tool is always offered to it."""

_SCHEMA = ToolSchema(
    name=NAME,
    description="The current date, time, weekday and UTC offset where the user is, or in another time zone.",
    parameters={
        "type": "object",
        "properties": {
            "timezone": {
                "type": "string",
                "description": "IANA name such as Europe/Berlin; leave it out for the user's own",
            }
        },
    },
)


def _spoken(body: Mapping[str, Any]) -> str:
    moment = local_time(body)
    zone = f" UTC{moment:%z}" if moment.tzinfo is not None else ""
    return f"{moment:%A, %Y-%m-%d %H:%M:%S}{zone}"


class DateTimeTool:
    """A tool that returns the current date and time."""

    def __init__(self, config: AgentsConfig) -> None:
        self._offered = NAME in config.tools
        self._in_prompt = config.date_in_prompt

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        """`ToolSource.tools`."""
        if self._offered or turn.endpoint == GUIDE or has_tool(turn, NAME):
            return [Tool(_SCHEMA, self._tell, timeout=5.0)]
        return []

    async def listed(self, principal: Principal) -> Sequence[AgentTool]:
        """`AgentTools.listed`."""
        return [AgentTool(NAME, "Date and time", _SCHEMA.description)]

    async def _tell(self, arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
        zone = arguments.get("timezone")
        if zone and zone_of(zone) is UTC and str(zone).upper() not in ("UTC", "GMT"):
            return ToolOutcome(f"Error: {zone!r} is not an IANA time zone.", error=True)
        return ToolOutcome(_spoken({"timezone": zone} if zone else turn.body))

    async def context(self, turn: Turn) -> str | None:
        """`ContextSource.context`."""
        if not self._in_prompt:
            return None
        zone = turn.body.get("timezone")
        where = f" (time zone {zone})" if isinstance(zone, str) and zone else ""
        return f"The user's date and time: {_spoken(turn.body)}{where}."
