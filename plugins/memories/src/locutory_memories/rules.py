"""The rules in force: what the configuration comes to (contract memories §3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_memories.config import Config, MemorySection, parameters_of

CHARACTERS = 10_000
INPUT_TOKENS = 12_000
WINDOW = 5
MOST_KEY = 1000
"""Characters of a key."""

CAPABILITY = "memory"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps memories: the stored agent ``agent``, or else a model. ``instructions``:
    ``None`` for the built-in ones."""

    agent: str | None
    endpoint: str
    model: str
    parameters: Mapping[str, Any]
    instructions: str | None
    window: int
    input_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rules:
    """``enabled``: chats use memories. ``keeper``: ``None`` when nobody keeps them by
    himself. ``inline``: models may be given the tools. ``valid_keys`` are for tools alone."""

    enabled: bool = False
    token_limit: int | None = None
    characters: int = CHARACTERS
    valid_keys: tuple[str, ...] = ()
    keeper: Keeper | None = None
    inline: bool = False
    prompt_tokens: int = 16_000
    most: int = 1000
    advice: tuple[str, ...] = field(default=())


class Current:
    """The rules, replaced when the configuration is read again."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules


def read_rules(config: Config, memory: Any, endpoints: Any) -> Rules:
    """From the settings, the section ``memory`` (validated before) and ``endpoints``."""
    section = MemorySection.model_validate(memory or {})
    enabled = memory is not None and section.disabled is not True
    limit = int(section.tokenLimit or 0) or None
    keeper, advice = _keeper(config, section) if enabled else (None, ())
    return Rules(
        enabled=enabled,
        token_limit=limit,
        characters=int(section.charLimit or 0) or CHARACTERS,
        valid_keys=tuple(section.validKeys or ()),
        keeper=keeper,
        inline=enabled and _capable(endpoints),
        prompt_tokens=max(config.prompt_tokens, limit or 0),
        most=config.most_memories,
        advice=advice,
    )


def _capable(endpoints: Any) -> bool:
    agents = endpoints.get("agents") if isinstance(endpoints, Mapping) else None
    capabilities = agents.get("capabilities") if isinstance(agents, Mapping) else None
    return not isinstance(capabilities, list) or CAPABILITY in capabilities


def _keeper(config: Config, section: MemorySection) -> tuple[Keeper | None, tuple[str, ...]]:
    agent = section.agent
    if agent is None or agent.enabled is False:
        return None, ()
    if agent.enabled is None:
        named = agent.id or agent.model
        advice = ("memory.agent has no effect: set memory.agent.enabled: true",)
        return None, advice if named else ()
    model = agent.model or ""
    keeper = Keeper(
        agent=agent.id or None,
        endpoint=agent.provider or "",
        model=model,
        parameters=parameters_of(model, agent.model_parameters),
        instructions=agent.instructions or None,
        window=int(section.messageWindowSize or WINDOW),
        input_tokens=section.maxInputTokens or INPUT_TOKENS,
        seconds=config.agent_seconds,
    )
    return keeper, ()
