"""The collection of the plugin, shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import IndexModel


def _index(*fields: str, unique: bool = False) -> IndexModel:
    name = "_".join(f"{field}_1" for field in fields)
    return IndexModel([(field, 1) for field in fields], name=name, unique=unique)


class Preset(Document):
    """A preset of one user, whose id is text. The middle block holds the settings of a
    model, those of a conversation."""

    presetId: str
    title: str | None = "New Chat"
    user: str | None = None
    defaultPreset: bool | None = None
    order: float | None = None

    endpoint: str | None = None
    endpointType: str | None = None
    model: str | None = None
    region: str | None = None
    chatGptLabel: str | None = None
    examples: list[Any] | None = None
    modelLabel: str | None = None
    promptPrefix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    topP: float | None = None
    topK: float | None = None
    maxOutputTokens: float | None = None
    maxTokens: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    file_ids: list[str] | None = None
    resendImages: bool | None = None
    promptCache: bool | None = None
    promptCacheTtl: str | None = None
    thinking: bool | None = None
    thinkingBudget: float | None = None
    thinkingLevel: str | None = None
    effort: str | None = None
    system: str | None = None
    resendFiles: bool | None = None
    imageDetail: str | None = None
    agent_id: str | None = None
    assistant_id: str | None = None
    instructions: str | None = None
    stop: list[str] | None = None
    isArchived: bool | None = False
    iconURL: str | None = None
    greeting: str | None = None
    spec: str | None = None
    tags: list[str] | None = Field(default_factory=list)
    tools: list[str] | None = None
    maxContextTokens: float | None = None
    max_tokens: float | None = None
    useResponsesApi: bool | None = None
    web_search: bool | None = None
    url_context: bool | None = None
    disableStreaming: bool | None = None
    fileTokenLimit: float | None = None
    reasoning_effort: str | None = None
    reasoning_summary: str | None = None
    reasoning_mode: str | None = None
    reasoning_context: str | None = None
    verbosity: str | None = None

    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "presets"
        indexes: ClassVar[list[IndexModel]] = [
            _index("presetId"),
            _index("tenantId"),
            _index("presetId", "tenantId", unique=True),
            # Not one of LibreChat's, which reads the whole collection for the list.
            _index("user"),
        ]
