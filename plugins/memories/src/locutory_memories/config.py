"""Settings of the plugin, and the section ``memory`` of ``librechat.yaml``."""

# ruff: noqa: N815  (names of librechat.yaml)

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic import model_validator as after_all

from locutory import option

Number = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]


class MemoriesConfig(BaseModel):
    """Settings under ``plugins.memories``."""

    model_config = ConfigDict(extra="forbid")

    most_memories: int = option(
        1000, "How many memories a user may have in all; more are refused", ge=1, le=100_000
    )
    prompt_tokens: int = option(
        16_000,
        "How many tokens of memories a chat is told, the newest first, where memory.tokenLimit "
        "does not allow more",
        ge=100,
    )
    agent_seconds: float = option(
        60.0, "How long the memory agent may work on a turn, also after the answer is there", gt=0
    )


class AgentSection(BaseModel):
    """``memory.agent``: who keeps memories. By ``id`` of a stored agent, or by provider and
    model."""

    enabled: StrictBool | None = Field(None, description="Keep memories automatically")
    id: StrictStr | None = Field(None, description="Id of a stored agent")
    provider: StrictStr | None = Field(None, description="Name of an endpoint")
    model: StrictStr | None = Field(None, description="Name of a model of that endpoint")
    instructions: StrictStr | None = Field(None, description="Instead of the built-in ones")
    model_parameters: dict[str, StrictBool | StrictStr | Number] | None = Field(
        None, description="Parameters of the model, such as temperature"
    )

    @after_all(mode="after")
    def _names_somebody(self) -> Self:
        if self.enabled and not self.id and not (self.provider and self.model):
            raise ValueError("needs id, or provider and model")
        return self


class MemorySection(BaseModel):
    """``memory`` of ``librechat.yaml`` (contract memories §3)."""

    disabled: StrictBool | None = Field(None, description="No memories in chats")
    validKeys: list[StrictStr] | None = Field(None, description="Keys that models may use")
    tokenLimit: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Tokens that the memories of a scope may have; 0: no limit"
    )
    charLimit: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Characters that a value may have"
    )
    maxInputTokens: Annotated[StrictInt, Field(gt=0)] | None = Field(
        None, description="Tokens of the chat that the memory agent reads"
    )
    personalize: StrictBool | None = Field(None, description="Users may opt out")
    messageWindowSize: Annotated[Number, Field(ge=1)] | None = Field(
        None, description="Messages that the memory agent reads"
    )
    agent: AgentSection | None = Field(None, description="Who keeps memories")


def parameters_of(model: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of the memory agent's model: LibreChat's default temperature where the model
    accepts one and none is configured (contract memories §4)."""
    given = dict(parameters or {})
    takes = not any(f"gpt-{number}" in model.lower() for number in range(5, 10))
    if not takes or given.get("thinking") is True:
        given.pop("temperature", None)
    else:
        given.setdefault("temperature", 0.4)
    return given
