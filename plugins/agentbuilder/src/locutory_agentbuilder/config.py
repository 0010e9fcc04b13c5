"""Settings of the plugin, including the part of ``endpoints.agents`` in the configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from locutory import option

CODE_ENVIRONMENTS = ("user", "agent-user", "conversation")
DEFAULT_ENVIRONMENT = "user"


class AgentBuilderConfig(BaseModel):
    """Settings of stored agents."""

    model_config = ConfigDict(extra="forbid")

    max_agent_bytes: int = option(
        12 * 1024 * 1024,
        "Largest stored agent with its versions; above it the oldest versions go. A document "
        "of the database holds 16 MB",
        ge=4 * 1024 * 1024,
        le=15 * 1024 * 1024,
    )


class _Open(BaseModel):
    """Other keys belong to other plugins."""

    model_config = ConfigDict(extra="allow")


class CodeSessions(_Open):
    """``endpoints.agents.statefulCodeSessions``."""

    allowedEnvironments: Any = Field(  # noqa: N815  (the key of the file)
        None, description="Code environments that agents may choose"
    )


class AgentsEndpoint(_Open):
    """The part of ``endpoints.agents`` that this plugin reads."""

    capabilities: Any = Field(None, description="What agents may be given")
    statefulCodeSessions: CodeSessions | None = None  # noqa: N815


class EndpointsSection(_Open):
    """The part of ``endpoints`` that this plugin reads."""

    agents: AgentsEndpoint | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """The deployment's settings for agents (``endpoints.agents``, contract endpoints §4.4)."""

    capabilities: frozenset[str] | None = None
    """``None``: LibreChat's defaults, which include every capability that is asked for here."""
    code_environments: tuple[str, ...] = CODE_ENVIRONMENTS

    def offers(self, capability: str) -> bool:
        """``True`` when a capability is on."""
        return self.capabilities is None or capability in self.capabilities


def read_deployment(endpoints: Any) -> Deployment:
    """The section ``endpoints`` of the file; members of a wrong type count as absent."""
    agents = endpoints.get("agents") if isinstance(endpoints, Mapping) else None
    if not isinstance(agents, Mapping):
        return Deployment()
    listed = agents.get("capabilities")
    capabilities = frozenset(map(str, listed)) if isinstance(listed, list) else None
    code = agents.get("statefulCodeSessions")
    allowed = code.get("allowedEnvironments") if isinstance(code, Mapping) else None
    environments = (
        tuple(name for name in CODE_ENVIRONMENTS if name in allowed)
        if isinstance(allowed, list)
        else CODE_ENVIRONMENTS
    )
    return Deployment(capabilities, environments)
