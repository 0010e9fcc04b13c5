"""Collections of the plugin, shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document, PydanticObjectId
from pydantic import Field
from pymongo import IndexModel

from locutory_contracts.model_settings import ModelSettings


def _index(*keys: tuple[str, int], **options: Any) -> IndexModel:
    name = "_".join(f"{field}_{direction}" for field, direction in keys)
    return IndexModel(list(keys), name=name, **options)


_EXPIRY = _index(("expiredAt", 1), expireAfterSeconds=0)
_TENANT = _index(("tenantId", 1))
_CHANGES = _index(("updatedAt", 1), ("_id", 1))
_TO_SEARCH = _index(("_meiliIndex", 1), ("isTemporary", 1), ("expiredAt", 1))


class Conversation(ModelSettings, Document):
    """A conversation of one user, whose id is text. ``messages`` are the ``_id`` of its
    messages."""

    conversationId: str
    title: str = "New Chat"
    user: str
    messages: list[PydanticObjectId] = Field(default_factory=list)
    isTemporary: bool = False
    endpoint: str | None = None

    isArchived: bool = False
    archivedAt: datetime | None = None
    pinned: bool | None = None
    tags: list[str] = Field(default_factory=list)
    chatProjectId: str | None = None
    files: list[str] = Field(default_factory=list)
    subagentThread: dict[str, Any] | None = None
    subagentThreadLease: dict[str, Any] | None = None
    expiredAt: datetime | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "conversations"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("conversationId", 1)),
            _index(("user", 1)),
            _index(("chatProjectId", 1)),
            _TENANT,
            _EXPIRY,
            _index(("createdAt", 1), ("updatedAt", 1)),
            _index(("conversationId", 1), ("user", 1), ("tenantId", 1), unique=True),
            _index(("tenantId", 1), ("isTemporary", 1), ("createdAt", -1), ("_id", -1)),
            _index(("user", 1), ("_id", 1)),
            _index(("user", 1), ("chatProjectId", 1), ("updatedAt", -1), ("_id", -1)),
            _index(("user", 1), ("chatProjectId", 1), ("createdAt", -1), ("_id", -1)),
            _index(
                ("user", 1), ("isArchived", 1), ("archivedAt", -1), ("createdAt", -1), ("_id", -1)
            ),
            _index(("user", 1), ("pinned", 1), ("updatedAt", -1), ("_id", -1)),
            _index(("user", 1), ("isTemporary", 1), ("expiredAt", 1)),
            _index(("user", 1), ("subagentThread.parentConversationId", 1)),
            _index(("user", 1), ("subagentThreadLease.expiresAt", 1)),
            _TO_SEARCH,
            # Not of LibreChat: the orders of the sidebar, tags, the feed of changes.
            _index(("user", 1), ("isArchived", 1), ("updatedAt", -1), ("_id", -1)),
            _index(
                ("user", 1), ("isArchived", 1), ("createdAt", -1), ("updatedAt", -1), ("_id", -1)
            ),
            _index(("user", 1), ("isArchived", 1), ("title", 1), ("updatedAt", 1), ("_id", 1)),
            _index(("user", 1), ("tags", 1)),
            _CHANGES,
        ]


class Message(Document):
    """A message of one user, whose id is text. ``parentMessageId`` makes the tree."""

    messageId: str
    conversationId: str
    user: str
    model: str | None = None
    endpoint: str | None = None
    conversationSignature: str | None = None
    clientId: str | None = None
    invocationId: float | None = None
    parentMessageId: str | None = None
    tokenCount: float | None = None
    summaryTokenCount: float | None = None
    sender: str | None = None
    text: str | None = None
    summary: str | None = None
    isCreatedByUser: bool = False
    isTemporary: bool = False
    unfinished: bool = False
    error: bool = False
    finish_reason: str | None = None
    feedback: dict[str, Any] | None = None
    langfuseSampled: bool | None = None
    langfuseDestinationIds: list[str] | None = None
    files: list[Any] | None = None
    content: list[Any] | None = None
    thread_id: str | None = None
    iconURL: str | None = None
    metadata: Any = None
    subagentTranscript: dict[str, Any] | None = None
    subagentTask: dict[str, Any] | None = None
    contextMeta: dict[str, Any] | None = None
    attachments: list[Any] | None = None
    manualSkills: list[str] | None = None
    alwaysAppliedSkills: list[str] | None = None
    quotes: list[str] | None = None
    expiredAt: datetime | None = None
    addedConvo: bool | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "messages"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("messageId", 1)),
            _index(("conversationId", 1)),
            _index(("user", 1)),
            _TENANT,
            _EXPIRY,
            _index(("createdAt", 1)),
            _index(("messageId", 1), ("user", 1), ("tenantId", 1), unique=True),
            _index(("tenantId", 1), ("isTemporary", 1), ("createdAt", -1), ("_id", -1)),
            _index(
                ("tenantId", 1),
                ("isTemporary", 1),
                ("isCreatedByUser", 1),
                ("user", 1),
                ("createdAt", -1),
                ("_id", -1),
            ),
            _index(("conversationId", 1), ("user", 1), ("createdAt", 1)),
            _TO_SEARCH,
            _CHANGES,
        ]


class ToolCall(Document):
    """The result of a "run code" button; ``user`` is an ObjectId here."""

    conversationId: str
    messageId: str
    toolId: str
    user: PydanticObjectId
    result: Any = None
    attachments: Any = None
    blockIndex: float | None = None
    partIndex: float | None = None
    expiredAt: datetime | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "toolcalls"
        indexes: ClassVar[list[IndexModel]] = [
            _EXPIRY,
            _TENANT,
            _index(("messageId", 1), ("user", 1), ("tenantId", 1)),
            _index(("conversationId", 1), ("user", 1), ("tenantId", 1)),
            # Not of LibreChat: what a deleted account leaves.
            _index(("user", 1)),
        ]
