"""The configuration in force, out of the settings and the file (contract memories §3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_memories.config import MemoriesConfig, MemorySection, parameters_of

CHARACTERS = 10_000
INPUT_TOKENS = 12_000
WINDOW = 5
MAX_KEY_LENGTH = 1000
"""Characters of a key."""

CAPABILITY = "memory"


@dataclass(frozen=True, slots=True)
class MemoryAgentConfig:
    """The agent that keeps memories: the stored agent ``agent_id``, or else a model.
    ``instructions``: ``None`` for the built-in ones."""

    agent_id: str | None
    endpoint: str
    model: str
    parameters: Mapping[str, Any]
    instructions: str | None
    window: int
    input_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """``enabled``: chats use memories. ``agent``: ``None`` when no agent keeps them by
    itself. ``inline``: models may be given the tools. ``valid_keys`` are for tools alone."""

    enabled: bool = False
    token_limit: int | None = None
    characters: int = CHARACTERS
    valid_keys: tuple[str, ...] = ()
    agent: MemoryAgentConfig | None = None
    inline: bool = False
    prompt_tokens: int = 16_000
    max_memories: int = 1000
    advice: tuple[str, ...] = field(default=())


def read_memory_config(settings: MemoriesConfig, memory: Any, endpoints: Any) -> MemoryConfig:
    """From the settings, the section ``memory`` (validated before) and ``endpoints``."""
    section = MemorySection.model_validate(memory or {})
    enabled = memory is not None and section.disabled is not True
    limit = int(section.tokenLimit or 0) or None
    agent, advice = _agent_config(settings, section) if enabled else (None, ())
    return MemoryConfig(
        enabled=enabled,
        token_limit=limit,
        characters=int(section.charLimit or 0) or CHARACTERS,
        valid_keys=tuple(section.validKeys or ()),
        agent=agent,
        inline=enabled and _capable(endpoints),
        prompt_tokens=max(settings.prompt_tokens, limit or 0),
        max_memories=settings.most_memories,
        advice=advice,
    )


def _capable(endpoints: Any) -> bool:
    agents = endpoints.get("agents") if isinstance(endpoints, Mapping) else None
    capabilities = agents.get("capabilities") if isinstance(agents, Mapping) else None
    return not isinstance(capabilities, list) or CAPABILITY in capabilities


def _agent_config(
    settings: MemoriesConfig, section: MemorySection
) -> tuple[MemoryAgentConfig | None, tuple[str, ...]]:
    agent = section.agent
    if agent is None or agent.enabled is False:
        return None, ()
    if agent.enabled is None:
        named = agent.id or agent.model
        advice = ("memory.agent has no effect: set memory.agent.enabled: true",)
        return None, advice if named else ()
    model = agent.model or ""
    agent_config = MemoryAgentConfig(
        agent_id=agent.id or None,
        endpoint=agent.provider or "",
        model=model,
        parameters=parameters_of(model, agent.model_parameters),
        instructions=agent.instructions or None,
        window=int(section.messageWindowSize or WINDOW),
        input_tokens=section.maxInputTokens or INPUT_TOKENS,
        seconds=settings.agent_seconds,
    )
    return agent_config, ()
