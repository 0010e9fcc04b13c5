"""Who answers: a model with instructions and tools."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_contracts.models import PreparedModel

SECOND = "____1"
"""Suffix of the agent id of a second model that answers side by side."""


def ephemeral_id(model: PreparedModel) -> str:
    """The id of the agent that stands for a plain model (chat-stream §4.1)."""
    label = model.settings.get("modelLabel")
    if not label and model.endpoint_type == "custom":
        label = model.sender if model.sender != "AI" else None
    name = f"{model.endpoint}__{model.model}"
    if label:
        name = f"{name}___{label}"
    return name.replace(":", "__")


@dataclass(frozen=True, slots=True)
class Agent:
    """One model in a turn. ``tags`` mark its parts and steps when several answer."""

    id: str
    model: PreparedModel
    instructions: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict)


def single(model: PreparedModel) -> Agent:
    """The only agent of a turn."""
    return Agent(ephemeral_id(model), model, _prefix(model))


def side_by_side(first: PreparedModel, second: PreparedModel) -> list[Agent]:
    """Two models that answer the same question at once (chat-stream §10)."""
    names = ephemeral_id(first), ephemeral_id(second) + SECOND
    return [
        Agent(name, model, _prefix(model), {"agentId": name, "groupId": 1})
        for name, model in zip(names, (first, second), strict=True)
    ]


def _prefix(model: PreparedModel) -> str:
    value = model.settings.get("promptPrefix")
    return value if isinstance(value, str) else ""
