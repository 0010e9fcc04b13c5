"""Collections of the plugin, shared with LibreChat (collections §3.3)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document, PydanticObjectId
from pydantic import Field
from pymongo import IndexModel

from locutory import Raw


def _index(*keys: tuple[str, int], unique: bool = False) -> IndexModel:
    name = "_".join(f"{field}_{way}" for field, way in keys)
    return IndexModel(list(keys), name=name, unique=unique)


class Agent(Document):
    """A model with instructions and tools under a name.

    ``agentId`` represents the member ``id``, which beanie reserves for ``_id``: the public id
    ``agent_…``. ``versions`` are snapshots of the agent, the newest last. Documents of old versions
    of LibreChat may have more members, which are kept.
    """

    agentId: str = Field(alias="id")
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    avatar: Any = None
    provider: str
    model: str
    model_parameters: dict[str, Any] | None = None
    artifacts: str | None = None
    access_level: float | None = None
    recursion_limit: float | None = None
    tools: list[str] | None = None
    skills: list[str] | None = None
    skills_enabled: bool | None = None
    tool_kwargs: list[Any] = Field(default_factory=list)
    actions: list[str] | None = None
    author: PydanticObjectId
    authorName: str | None = None
    hide_sequential_outputs: bool | None = None
    end_after_tools: bool | None = None
    stateful_code_sessions: bool | None = None
    stateful_code_environment: str | None = None
    agent_ids: list[str] = Field(default_factory=list)
    edges: list[Any] = Field(default_factory=list)
    conversation_starters: list[str] = Field(default_factory=list)
    tool_resources: Any = None
    versions: list[Any] = Field(default_factory=list)
    category: str = "general"
    support_contact: Any = None
    is_promoted: bool = False
    mcpServerNames: list[str] = Field(default_factory=list)
    tool_options: Any = None
    subagents: Any = None
    memory_scope: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "agents"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("category", 1)),
            _index(("is_promoted", 1)),
            _index(("tenantId", 1)),
            _index(("id", 1), ("tenantId", 1), unique=True),
            _index(("mcpServerNames", 1), ("tenantId", 1)),
            _index(("updatedAt", -1), ("_id", 1)),
            _index(("edges.to", 1)),
            # Not LibreChat's: find what an account wrote, and what names an agent or account
            # that is deleted.
            _index(("author", 1)),
            _index(("edges.from", 1)),
            _index(("versions.updatedBy", 1)),
        ]


class AgentCategory(Document):
    """A category of the marketplace; ``label`` and ``description`` of the built-in ones are
    translation keys."""

    value: str
    label: str
    description: str = ""
    order: float = 0
    isActive: bool = True
    custom: bool = False
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "agentcategories"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("value", 1)),
            _index(("order", 1)),
            _index(("isActive", 1)),
            _index(("value", 1), ("tenantId", 1), unique=True),
            _index(("isActive", 1), ("order", 1)),
            _index(("order", 1), ("label", 1)),
        ]


class PendingTransfer(Document):
    """An agent of another author that an account was the only owner of when its deletion began;
    ``_id`` is the agent's. Afterwards the entries no longer show that."""

    user: str

    class Settings:
        name = "locutory_agentbuilder_leaving"
        indexes: ClassVar[list[IndexModel]] = [_index(("user", 1))]


SUMMARY: dict[str, Any] = dict.fromkeys(
    (
        *("id", "name", "description", "author", "authorName", "avatar", "category"),
        *("conversation_starters", "support_contact", "is_promoted", "updatedAt", "tenantId"),
        *("skills", "skills_enabled"),
    ),
    1,
)
"""The fields of an agent that are read for lists."""

ACCESS_FIELDS: dict[str, Any] = {"id": 1, "author": 1, "tenantId": 1}
"""The fields of an agent that are read to decide about rights."""

WITHOUT_VERSIONS: dict[str, Any] = {"versions": 0}
"""Everything but the versions, which may be many megabytes."""


def without(document: Raw, *names: str) -> Raw:
    """A document without some members."""
    return {key: value for key, value in document.items() if key not in names}
