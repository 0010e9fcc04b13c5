"""The fields of an agent that users set, and their checks (contract agents §3, §5).

Sizes are ours; LibreChat has none but those of subagents. They are far above what its client
lets people enter.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from locutory import max_entries
from locutory_agentbuilder.definition.edge_endpoints import EdgeEndpoints
from locutory_agentbuilder.definition.issues import Invalid, issues_of
from locutory_agentbuilder.definition.parameters import clean_parameters
from locutory_agentbuilder.definition.subagents import Subagents

MOST_TOOLS = 200
MOST_EDGES = 50
LONGEST_NAME = 256
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]{1,63}(\.[^\s@.]{1,63}){1,8}")
_AVATARS = ("/", "http://", "https://", "data:image/")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("Expected a number")
    if not 0 <= value <= 10_000:
        raise ValueError("Number must be between 0 and 10000")
    return value


def _email(value: str) -> str:
    if value and _EMAIL.fullmatch(value) is None:
        raise ValueError("Invalid email")
    return value


def _avatar_path(value: str) -> str:
    if not value.startswith(_AVATARS) or value.startswith("//") or "/.." in value:
        raise ValueError("Invalid path")
    return value


def _without_empty(value: Any) -> Any:
    return None if value == "" else value


_Id = Annotated[str, StringConstraints(max_length=256)]
_Tool = Annotated[str, StringConstraints(max_length=65536)]
_Text = Annotated[str | None, BeforeValidator(_without_empty)]
_Word = Annotated[str, StringConstraints(strip_whitespace=True, max_length=256)]
_Starter = Annotated[str, StringConstraints(max_length=2000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Avatar(_Part):
    """The place where an avatar is kept."""

    filepath: Annotated[str, StringConstraints(max_length=4096), AfterValidator(_avatar_path)]
    source: str = Field(max_length=64)


class Dispatcher(_Part):
    """Agents that may hand the turn to others, or run before them."""

    from_: EdgeEndpoints = Field(alias="from")
    to: EdgeEndpoints
    description: _Text = Field(None, max_length=8192)
    edgeType: Literal["handoff", "direct"] | None = None  # noqa: N815
    prompt: _Text = Field(None, max_length=65536)
    promptKey: _Text = Field(None, max_length=256)  # noqa: N815
    excludeResults: bool | None = None  # noqa: N815


class ToolOptions(_Part):
    """The way in which a tool is offered."""

    defer_loading: bool | None = None
    allowed_callers: list[Literal["direct", "code_execution"]] | None = Field(None, max_length=8)
    run_in_background: bool | None = None
    describe_intent: bool | None = None


class Resource(_Part):
    """Files of one use."""

    file_ids: list[_Id] | None = Field(None, max_length=1000)


class SearchedResource(Resource):
    """Files that are searched."""

    vector_store_ids: list[_Id] | None = Field(None, max_length=100)


class ToolResources(_Part):
    """Files by their use; ``ocr`` is the old name of ``context``."""

    image_edit: Resource | None = None
    execute_code: Resource | None = None
    file_search: SearchedResource | None = None
    context: Resource | None = None
    ocr: Resource | None = None


class SupportContact(_Part):
    """The contact for questions about the agent."""

    name: str | None = Field(None, max_length=256)
    email: Annotated[str, StringConstraints(max_length=320), AfterValidator(_email)] | None = None


class AgentFields(_Part):
    """Changes of an agent. Null means "not given", except for ``avatar``, which it resets."""

    name: str | None = Field(None, max_length=LONGEST_NAME)
    description: str | None = Field(None, max_length=2048)
    instructions: str | None = Field(None, max_length=256 * 1024)
    avatar: Avatar | None = None
    provider: str | None = Field(None, min_length=1, max_length=256)
    model: str | None = Field(None, min_length=1, max_length=256)
    model_parameters: Annotated[dict[str, Any], AfterValidator(clean_parameters)] | None = None
    tools: list[_Tool] | None = Field(None, max_length=MOST_TOOLS)
    tool_options: Annotated[dict[str, ToolOptions], max_entries(MOST_TOOLS)] | None = Field(
        None, max_length=MOST_TOOLS
    )
    tool_resources: ToolResources | None = None
    skills: list[_Id] | None = Field(None, max_length=100)
    skills_enabled: bool | None = None
    memory_scope: Literal["user", "agent"] | None = None
    agent_ids: list[_Id] | None = Field(None, max_length=MOST_EDGES)
    edges: list[Dispatcher] | None = Field(None, max_length=MOST_EDGES)
    subagents: Subagents | None = None
    end_after_tools: bool | None = None
    hide_sequential_outputs: bool | None = None
    stateful_code_sessions: bool | None = None
    stateful_code_environment: Literal["user", "agent-user", "conversation"] | None = None
    artifacts: str | None = Field(None, max_length=64)
    recursion_limit: Annotated[Any, BeforeValidator(_number)] = None
    conversation_starters: list[_Starter] | None = Field(None, max_length=20)
    support_contact: SupportContact | None = None
    category: _Word | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, body: Any) -> Any:
        if not isinstance(body, Mapping):
            return body
        return {key: value for key, value in body.items() if value is not None or key == "avatar"}

    @property
    def given(self) -> dict[str, Any]:
        """The fields to set. Members that users do not set, and null, do not count."""
        return self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)

    @property
    def resets_avatar(self) -> bool:
        """``True`` when the avatar is to be taken away."""
        return self.avatar is None and "avatar" in self.model_fields_set


class NewAgent(AgentFields):
    """A new agent."""

    provider: str = Field(min_length=1, max_length=256)
    model: str = Field(min_length=1, max_length=256)


SETTABLE = tuple(AgentFields.model_fields)
"""The members that users set."""


def check_new(body: Any) -> dict[str, Any]:
    """The fields of a new agent. `Invalid` for wrong values."""
    try:
        return NewAgent.model_validate(body).given
    except ValidationError as error:
        raise Invalid(issues_of(error.errors(include_url=False))) from None
