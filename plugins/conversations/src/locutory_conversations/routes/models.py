"""Request bodies and queries, for the documentation."""

# ruff: noqa: N815  (names are those of the wire)

from typing import Any, Literal

from pydantic import BaseModel, Field


class ListQuery(BaseModel):
    """Query of the list of conversations."""

    cursor: str | None = None
    limit: int = 25
    isArchived: bool = False
    pinned: bool = False
    tags: list[str] = []
    search: str | None = None
    sortBy: Literal["title", "createdAt", "updatedAt", "archivedAt"] = "updatedAt"
    sortDirection: Literal["asc", "desc"] = "desc"
    projectId: str | None = None


class Rename(BaseModel):
    """What to rename."""

    conversationId: str
    title: str


class RenameBody(BaseModel):
    """Body of a rename."""

    arg: Rename


class Archive(BaseModel):
    """What to archive or bring back."""

    conversationId: str
    isArchived: bool


class ArchiveBody(BaseModel):
    """Body of archiving."""

    arg: Archive


class Pin(BaseModel):
    """What to pin or unpin."""

    conversationId: str
    pinned: bool


class PinBody(BaseModel):
    """Body of pinning."""

    arg: Pin


class Deletion(BaseModel):
    """What to delete."""

    conversationId: str | None = None
    source: str | None = None
    thread_id: str | None = None
    endpoint: str | None = None


class DeleteBody(BaseModel):
    """Body of deleting a conversation."""

    arg: Deletion


class ForkBody(BaseModel):
    """What to fork: the part of a conversation up to a message. With ``splitAtTarget`` it
    begins at the level of ``messageId`` and ends at ``latestMessageId``."""

    conversationId: str
    messageId: str
    option: Literal["directPath", "includeBranches", "targetLevel", ""] | None = None
    splitAtTarget: bool = False
    latestMessageId: str | None = None


class DuplicateBody(BaseModel):
    """What to duplicate."""

    conversationId: str
    title: str | None = None


class MessageQuery(BaseModel):
    """Query of the list of messages."""

    search: str | None = None
    conversationId: str | None = None
    messageId: str | None = None
    cursor: str | None = None
    pageSize: int = 25
    sortBy: Literal["endpoint", "createdAt", "updatedAt"] = "updatedAt"
    sortDirection: Literal["asc", "desc"] = "desc"


class EditBody(BaseModel):
    """New text of a message, or of one of its content parts."""

    text: str
    index: int | None = Field(None, ge=0)
    model: str | None = None


class Feedback(BaseModel):
    """A rating with the tag that belongs to it."""

    rating: Literal["thumbsUp", "thumbsDown"]
    tag: str
    text: str | None = Field(None, max_length=1024)


class FeedbackBody(BaseModel):
    """Feedback to store; nothing or null clears it."""

    feedback: Feedback | None = None


class ArtifactBody(BaseModel):
    """A piece of an artifact and what replaces it."""

    index: int = Field(ge=0)
    original: str
    updated: str


class BranchBody(BaseModel):
    """An answer of several agents, and whose part to keep."""

    messageId: str
    agentId: str


ERROR: dict[str, Any] = {"error": "What was wrong"}
CONVERSATION: dict[str, Any] = {
    "_id": "24 hex digits",
    "conversationId": "UUID",
    "title": "New Chat",
    "messages": ["24 hex digits"],
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
}
MESSAGE: dict[str, Any] = {
    "messageId": "UUID",
    "conversationId": "UUID",
    "parentMessageId": "UUID",
    "sender": "User",
    "text": "Hello",
    "isCreatedByUser": True,
}
DELETED: dict[str, Any] = {
    "acknowledged": True,
    "deletedCount": 1,
    "messages": {"acknowledged": True, "deletedCount": 2},
    "conversationIds": ["UUID"],
}
