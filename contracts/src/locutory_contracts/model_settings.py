"""The settings of a model as they are stored with a conversation, and in a preset (collections
§3.2).

Each provider supports some of them, in ranges of its own; the meaning of a name may differ between
providers.
"""

# ruff: noqa: N815  (field names are those of the database)

from typing import Any

from pydantic import BaseModel


class ModelSettings(BaseModel):
    """Base of the documents that contain model settings. Members that were never set are absent."""

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
    iconURL: str | None = None
    greeting: str | None = None
    spec: str | None = None
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
