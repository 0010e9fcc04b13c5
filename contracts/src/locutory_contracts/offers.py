"""Capabilities, permissions and tools that are shown to clients only while a plugin serves them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from locutory import Extension, Principal, Services
from locutory_contracts.chat import Turn


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class AgentCapability:
    """A capability of agents, offered under LibreChat's name for it: ``web_search``,
    ``execute_code``, ``file_search``, ``artifacts``, … (endpoints §1.1). Clients show its switches
    only while it is offered. ``active`` returns ``True`` when it is served with the current
    configuration; it must be fast and not use the database."""

    summary: str
    active: Callable[[], bool] = _always


AGENT_CAPABILITIES: Extension[AgentCapability] = Extension(
    "client.capabilities", "Capabilities of agents that are served, by LibreChat's names"
)

PERMISSIONS_OF: Mapping[str, tuple[str, ...]] = {
    "execute_code": ("RUN_CODE",),
    "file_search": ("FILE_SEARCH", "FILE_CITATIONS"),
    "memory": ("MEMORIES",),
    "skills": ("SKILLS",),
    "web_search": ("WEB_SEARCH",),
}
"""Capability → the permission types of LibreChat that stand for the same feature."""

INTERFACE_PERMISSIONS: Mapping[str, str] = {
    "bookmarks": "BOOKMARKS",
    "multiConvo": "MULTI_CONVO",
    "temporaryChat": "TEMPORARY_CHAT",
    "runCode": "RUN_CODE",
    "webSearch": "WEB_SEARCH",
    "fileSearch": "FILE_SEARCH",
    "fileCitations": "FILE_CITATIONS",
    "memories": "MEMORIES",
    "prompts": "PROMPTS",
    "agents": "AGENTS",
    "skills": "SKILLS",
    "mcpServers": "MCP_SERVERS",
    "remoteAgents": "REMOTE_AGENTS",
    "marketplace": "MARKETPLACE",
    "peoplePicker": "PEOPLE_PICKER",
    "sharedLinks": "SHARED_LINKS",
}
"""Key of ``interface`` → its permission type (config-yaml §3)."""


def active_capabilities(services: Services) -> frozenset[str]:
    """The names of the capabilities that are served now. One whose ``active`` raises counts as
    off."""
    return frozenset(
        name for name, offer in services.all(AGENT_CAPABILITIES).items() if _is_active(offer)
    )


def _is_active(offer: AgentCapability) -> bool:
    try:
        return bool(offer.active())
    except Exception:
        return False


def served_permissions(declared: Iterable[str], services: Services) -> frozenset[str]:
    """The permission types of features that exist: those that enabled plugins declare, and those of
    capabilities that are served."""
    capabilities = active_capabilities(services)
    of_capabilities = (kind for name in capabilities for kind in PERMISSIONS_OF.get(name, ()))
    return frozenset((*declared, *of_capabilities))


@dataclass(frozen=True, slots=True)
class AgentTool:
    """A tool that agents can be given. ``key`` is its name in the agent's ``tools``, for which its
    source of tools asks `has_tool`; ``icon`` is an address."""

    key: str
    name: str
    description: str
    icon: str | None = None


class AgentTools(Protocol):
    """Lists tools for the agent builder. A `ToolSource` runs them."""

    async def listed(self, principal: Principal) -> Sequence[AgentTool]:
        """The tools that the caller may give to their agents."""
        ...


AGENT_TOOLS: Extension[AgentTools] = Extension(
    "chat.agent-tools", "Tools that agents can be given in the builder"
)


def has_tool(turn: Turn, key: str) -> bool:
    """``True`` when the agent that answers this turn has the tool."""
    given: Any = None if turn.agent is None else turn.agent.get("tools")
    return isinstance(given, list) and key in given
