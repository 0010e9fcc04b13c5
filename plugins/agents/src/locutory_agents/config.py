"""Settings of chat turns (chat-stream §14, endpoints §4.4, kernel §11)."""

# ruff: noqa: N815  (names of librechat.yaml)

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from locutory import env, option

ANSWER_BYTES = 6_000_000
"""A document of the database holds 16 MB, and an unfinished answer has its text twice."""


class AgentsConfig(BaseModel):
    """Settings of this plugin."""

    model_config = ConfigDict(extra="forbid")

    job_store: str = option(
        "",
        "Store of running turns: memory, redis, or one that a plugin adds; empty: by the environment",
    )
    use_redis_streams: bool | None = env(
        "USE_REDIS_STREAMS", None, "Keep running turns in Redis; unset: as USE_REDIS"
    )
    protocol_version: Literal["", "1", "2"] = env(
        "GENERATION_PROTOCOL_VERSION",
        "",
        "Newest protocol version offered; unset: 2 in memory, 1 in Redis",
    )
    keep_completed_jobs: bool = env(
        "STREAM_KEEP_COMPLETED_JOBS",
        False,
        "Keep ended turns for 5 minutes instead of dropping them",
    )
    delta_coalesce_ms: int = env(
        "STREAM_DELTA_COALESCE_MS",
        0,
        "Collect events this long before they go to Redis, ms; at most 1000",
        ge=0,
    )
    steer_max_length: int = env("STEER_MAX_LENGTH", 16_000, "Longest steer, characters", ge=1)
    title_convo: bool = env("TITLE_CONVO", True, "Give new conversations a title")
    limit_message_ip: bool = env("LIMIT_MESSAGE_IP", False, "Limit messages by address")
    message_ip_max: int = env("MESSAGE_IP_MAX", 40, "Messages per window and address", ge=1)
    message_ip_window: float = env("MESSAGE_IP_WINDOW", 1, "Window of that limit, minutes", gt=0)
    limit_message_user: bool = env("LIMIT_MESSAGE_USER", False, "Limit messages by user")
    message_user_max: int = env("MESSAGE_USER_MAX", 40, "Messages per window and user", ge=1)
    message_user_window: float = env(
        "MESSAGE_USER_WINDOW", 1, "Window of that limit, minutes", gt=0
    )
    message_violation_score: float = env("MESSAGE_VIOLATION_SCORE", 1, "Score of exceeding them")
    limit_concurrent: bool = env("LIMIT_CONCURRENT_MESSAGES", False, "Limit turns that run at once")
    concurrent_max: int = env("CONCURRENT_MESSAGE_MAX", 2, "Turns of a user at once", ge=1)
    concurrent_score: float = env("CONCURRENT_VIOLATION_SCORE", 1, "Score of exceeding it")
    convo_access_score: float = env(
        "CONVO_ACCESS_VIOLATION_SCORE", 0, "Score of addressing a foreign conversation"
    )
    illegal_model_score: float = env(
        "ILLEGAL_MODEL_REQ_SCORE", 1, "Score of asking for a model not offered"
    )
    moderation: bool = env("OPENAI_MODERATION", False, "Have OpenAI moderate what users write")
    moderation_key: str = env("OPENAI_MODERATION_API_KEY", "", "Key for the moderation")
    moderation_url: str = env(
        "OPENAI_MODERATION_REVERSE_PROXY",
        "https://api.openai.com/v1/moderations",
        "Address of the moderation",
    )
    tools: list[str] = option(list, "Built-in tools that every model is offered: current_datetime")
    date_in_prompt: bool = option(False, "Tell every model the user's date and time zone")
    tool_output_characters: int = option(
        100_000,
        "Longer tool results are cut; yaml maxToolResultChars of the endpoint wins",
        ge=1000,
    )
    answer_bytes: int = env(
        "LOCUTORY_ANSWER_BYTES",
        ANSWER_BYTES,
        "Longest answer, with its reasoning, tool calls and their results, bytes",
        ge=10_000,
        le=7_000_000,
    )
    drain_seconds: float = option(
        3.0, "At shutdown, wait this long for running turns to end by themselves"
    )
    stale_minutes: float = option(20.0, "A turn without any event for this long is ended", gt=0)
    max_jobs: int = option(1000, "Turns that the memory store holds at most", ge=1)

    def store_name(self, *, redis: bool) -> str:
        """The name of the store of running turns. ``redis``: the server has Redis."""
        shared = redis if self.use_redis_streams is None else self.use_redis_streams
        return self.job_store or ("redis" if shared else "memory")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class CustomPattern(_Open):
    """A pattern of the operator; RE2 syntax."""

    id: str
    label: str
    regex: str


class PiiFilter(_Open):
    """``messageFilter.pii`` (config-yaml §7)."""

    starter: list[str] | None = Field(None, alias="starterPatterns")
    custom: list[CustomPattern] = Field(default_factory=list, alias="customPatterns")


class MessageFilter(_Open):
    """``messageFilter``."""

    pii: PiiFilter | None = None


class AgentsLimits(_Open):
    """The part of ``endpoints.agents`` that this plugin reads; an invalid number counts as
    absent."""

    recursionLimit: Any = Field(None, description="Steps of a turn, 50 unless set")
    maxRecursionLimit: Any = Field(None, description="Steps that an agent may ask for")
    maxToolCallArgBytes: Any = Field(None, description="Longest arguments of a tool call, bytes")
    maxToolCallArgBytesByTool: dict[str, Any] | None = Field(
        None, description="The same for single tools"
    )
    maxDeltaEventsPerTurn: Any = Field(None, description="Events of a turn at most; 0: no limit")
    maxToolResultChars: Any = Field(None, description="Longest result of a tool, characters")
    allowedProviders: Any = Field(None, description="Endpoints that agents may use; all if empty")


class EveryEndpoint(_Open):
    """The part of ``endpoints.all`` that this plugin reads."""

    maxToolResultChars: Any = Field(None, description="Longest result of a tool, characters")


class EndpointsLimits(_Open):
    """The part of ``endpoints`` that this plugin reads."""

    agents: AgentsLimits | None = None
    all: EveryEndpoint | None = None


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Limits of the agent loop. Sizes of arguments in bytes, 0 for no limit."""

    steps: int = 50
    argument_bytes: int = 65_536
    argument_bytes_by_tool: Mapping[str, int] = field(default_factory=dict)
    delta_events: int = 0
    output_characters: int = 100_000
    most_steps: int = 0

    def of_agent(self, wanted: Any) -> "LoopLimits":
        """These limits with the steps that a stored agent asks for (``recursion_limit``)."""
        if type(wanted) is not int or wanted <= 0:
            return self
        return replace(self, steps=min(wanted, self.most_steps or 500))

    def arguments_of(self, tool: str) -> int:
        """Longest arguments of a tool."""
        return self.argument_bytes_by_tool.get(tool, self.argument_bytes)


def _number(source: Mapping[str, Any], name: str, default: int) -> int:
    value = source.get(name)
    return value if type(value) is int and value >= 0 else default


def allowed_providers(endpoints: Any) -> frozenset[str]:
    """``endpoints.agents.allowedProviders``; empty when every provider is."""
    agents = endpoints.get("agents") if isinstance(endpoints, Mapping) else None
    names = agents.get("allowedProviders") if isinstance(agents, Mapping) else None
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()


def loop_limits(config: AgentsConfig, endpoints: Any) -> LoopLimits:
    """The limits from ``endpoints.agents`` of the configuration file."""
    section = endpoints if isinstance(endpoints, Mapping) else {}
    agents = section.get("agents")
    agents = agents if isinstance(agents, Mapping) else {}
    everywhere = section.get("all")
    everywhere = everywhere if isinstance(everywhere, Mapping) else {}
    steps = _number(agents, "recursionLimit", 50) or 50
    cap = _number(agents, "maxRecursionLimit", 0)
    by_tool = agents.get("maxToolCallArgBytesByTool")
    named = by_tool if isinstance(by_tool, Mapping) else {"create_file": 131_072}
    output = _number(agents, "maxToolResultChars", config.tool_output_characters)
    return LoopLimits(
        steps=min(steps, cap) if cap else steps,
        argument_bytes=_number(agents, "maxToolCallArgBytes", 65_536),
        argument_bytes_by_tool={
            str(name): size for name, size in named.items() if type(size) is int and size >= 0
        },
        delta_events=_number(agents, "maxDeltaEventsPerTurn", 0),
        most_steps=cap,
        output_characters=_number(everywhere, "maxToolResultChars", output) or output,
    )
