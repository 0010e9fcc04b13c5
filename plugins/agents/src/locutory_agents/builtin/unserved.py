"""Informs the model of features that the user has switched on and no plugin serves, so that it does
not pretend to use them.

Clients hide such switches, but remember them: an old choice, another client, or an agent that was
made elsewhere may still ask for them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from structlog.stdlib import BoundLogger

from locutory import Services
from locutory_contracts.chat import Turn
from locutory_contracts.offers import active_capabilities, served_permissions

_CAPABILITIES: Mapping[str, str] = {
    "web_search": "web search",
    "execute_code": "running code",
    "file_search": "searching files",
    "artifacts": "artifacts",
    "skills": "skills",
}
"""Memories are not among them: where they are off a chat only knows less of its user."""
_MCP = "MCP servers"
_CLEARED = "sys__clear__sys"
"""The value that LibreChat's client sends when no server is chosen."""


def _wanted(turn: Turn) -> Iterator[str]:
    """The capabilities that a turn asks for, and ``mcp``."""
    for name in _CAPABILITIES:
        if turn.options.get(name):
            yield name
    servers = turn.options.get("mcp")
    if isinstance(servers, list) and any(server != _CLEARED for server in servers):
        yield "mcp"
    tools: Any = (turn.agent or {}).get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if tool in _CAPABILITIES:
            yield tool
        elif isinstance(tool, str) and "_mcp_" in tool:
            yield "mcp"


class Unserved:
    """A `ContextSource`. ``declared``: the permission types of enabled plugins."""

    def __init__(self, services: Services, declared: Mapping[str, Any], log: BoundLogger) -> None:
        self._services = services
        self._declared = declared
        self._log = log
        self._told: set[str] = set()

    async def context(self, turn: Turn) -> str | None:
        """A sentence about the missing features; ``None`` when there are none."""
        wanted = dict.fromkeys(_wanted(turn))
        if not wanted:
            return None
        served = set(active_capabilities(self._services))
        if "MCP_SERVERS" in served_permissions(self._declared, self._services):
            served.add("mcp")
        missing = [name for name in wanted if name not in served]
        if not missing:
            return None
        for name in set(missing) - self._told:
            self._told.add(name)
            self._log.warning("chat.nobody_serves", wanted=name)
        words = ", ".join(_CAPABILITIES.get(name, _MCP) for name in missing)
        return (
            f"The user has asked for {words}, which this server does not have. You have no tool "
            "for that: say so where it matters, and never pretend to have used it."
        )
