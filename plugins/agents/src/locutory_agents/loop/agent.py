"""The agent that answers: a model with instructions and tools."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from locutory_contracts.agents import StoredAgent
from locutory_contracts.models import PreparedModel

AGENTS_ENDPOINT = "agents"
"""The endpoint of stored agents."""

SECOND = "____1"
"""Suffix of the agent id of a second model that answers side by side."""


def ephemeral_id(model: PreparedModel) -> str:
    """The id of the agent that represents a plain model (chat-stream §4.1)."""
    label = model.settings.get("modelLabel")
    if not label and model.endpoint_type == "custom":
        label = model.sender if model.sender != "AI" else None
    name = f"{model.endpoint}__{model.model}"
    if label:
        name = f"{name}___{label}"
    return name.replace(":", "__")


@dataclass(frozen=True, slots=True)
class Agent:
    """One model in a turn. ``tags`` mark its parts and steps when several answer;
    ``stored`` is the agent that a user made, ``None`` for a plain model."""

    id: str
    model: PreparedModel
    instructions: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict)
    stored: StoredAgent | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint as messages and conversations name it."""
        return self.model.endpoint if self.stored is None else AGENTS_ENDPOINT

    @property
    def shown_model(self) -> str:
        """The model as messages name it."""
        return self.model.model if self.stored is None else self.id

    @property
    def sender(self) -> str:
        """The label of the messages."""
        name = None if self.stored is None else self.stored.get("name")
        return str(name) if name else self.model.sender

    @property
    def icon_url(self) -> str | None:
        """The icon of the messages; a stored agent's is found by its id."""
        return self.model.icon_url if self.stored is None else None


def plain(model: PreparedModel) -> Agent:
    """The agent that represents a plain model."""
    value = model.settings.get("promptPrefix")
    return Agent(ephemeral_id(model), model, value if isinstance(value, str) else "")


def of_stored(agent: StoredAgent, model: PreparedModel) -> Agent:
    """The agent that a user made, with its model, which is open."""
    return Agent(str(agent["id"]), model, str(agent.get("instructions") or ""), stored=agent)


def side_by_side(first: Agent, second: Agent) -> list[Agent]:
    """Both, marked as two that answer the same question at once (chat-stream §10)."""
    both = (first, replace(second, id=second.id + SECOND))
    return [replace(agent, tags={"agentId": agent.id, "groupId": 1}) for agent in both]
