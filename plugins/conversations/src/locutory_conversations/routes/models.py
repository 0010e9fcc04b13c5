"""Bodies and queries, the errors of wrong ones, and examples."""

# ruff: noqa: N815  (names are those of the wire)

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator

from locutory import QueryFlag, WholeNumber, refusal
from locutory_conversations.editing.feedback import Feedback
from locutory_conversations.listing.conversations import UNASSIGNED
from locutory_conversations.listing.messages import PAGE_FIELDS
from locutory_conversations.listing.order import SORT_FIELDS
from locutory_conversations.saving import is_project_id

LIST_FAILED = "Error fetching conversations"
_PAGE = 25
_LEADING_NUMBER = re.compile(r"\s*(\d{1,9})")
_NO_ID = "conversationId is required"
_BAD_INDEX = "Invalid index"


def _positive(text: str) -> int:
    """The number that ``text`` begins with; a page's default for none, and for zero."""
    found = _LEADING_NUMBER.match(text)
    return (int(found[1]) if found else 0) or _PAGE


def _project(text: str) -> str | None:
    if text and text != UNASSIGNED and not is_project_id(text):
        raise ValueError("projectId must be a valid project id or unassigned")
    return text or None


def _sort_field(text: str) -> str:
    if text and text not in SORT_FIELDS:
        raise ValueError(LIST_FAILED)
    return text or "updatedAt"


def _page_field(text: str) -> str:
    return (text if text in PAGE_FIELDS else "createdAt") if text else "updatedAt"


def _is_filled(values: list[str]) -> list[str]:
    return [value for value in values if value]


PageSize = Annotated[int, BeforeValidator(_positive)]


class ListQuery(BaseModel):
    """Query of the list of conversations."""

    projectId: Annotated[str | None, BeforeValidator(_project)] = Field(
        None, description="A project, or unassigned"
    )
    sortBy: Annotated[str, BeforeValidator(_sort_field)] = Field(
        "updatedAt", description=" · ".join(SORT_FIELDS)
    )
    sortDirection: str = Field("desc", description="asc or desc")
    cursor: str = Field("", description="nextCursor of the page before")
    limit: PageSize = _PAGE
    isArchived: QueryFlag = False
    pinned: QueryFlag = False
    tags: Annotated[list[str], BeforeValidator(_is_filled)] = []
    search: str = ""


class MessageQuery(BaseModel):
    """Query of the list of messages."""

    search: str = ""
    conversationId: str | None = None
    messageId: str | None = None
    cursor: str | None = None
    pageSize: PageSize = _PAGE
    sortBy: Annotated[str, BeforeValidator(_page_field)] = Field(
        "updatedAt", description=" · ".join(PAGE_FIELDS)
    )
    sortDirection: str = Field("desc", description="asc or desc")


Id = Annotated[str, Field(min_length=1)]


class Rename(BaseModel):
    """The conversation to rename, and its new title."""

    conversationId: Id
    title: str


class RenameBody(BaseModel):
    """Body of a rename."""

    arg: Rename


class Archive(BaseModel):
    """The conversation to archive or unarchive."""

    conversationId: Id
    isArchived: bool


class ArchiveBody(BaseModel):
    """Body of archiving."""

    arg: Archive


class Pin(BaseModel):
    """The conversation to pin or unpin."""

    conversationId: Id
    pinned: bool


class PinBody(BaseModel):
    """Body of pinning."""

    arg: Pin


# The client says what it likes here; only whether there is something counts.
Said = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]


class Deletion(BaseModel):
    """The conversations to delete."""

    conversationId: str | None = None
    source: Said = None
    thread_id: Said = None
    endpoint: Said = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not any((self.conversationId, self.source, self.thread_id, self.endpoint)):
            raise ValueError("no parameters provided")
        if not self.conversationId and self.source != "button":
            # Upstream deletes everything here; nobody means that.
            raise ValueError(_NO_ID)
        return self


class DeleteBody(BaseModel):
    """Body of deleting a conversation."""

    arg: Deletion


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class ForkBody(BaseModel):
    """The part of a conversation to fork, up to a message. With ``splitAtTarget`` it begins at the
    level of ``messageId`` and ends at ``latestMessageId``."""

    conversationId: Id
    messageId: Id
    option: Literal["directPath", "includeBranches", "targetLevel", ""] | None = None
    splitAtTarget: Annotated[bool, BeforeValidator(lambda value: value is True)] = False
    latestMessageId: Annotated[str, BeforeValidator(_text)] = ""

    @model_validator(mode="after")
    def _ends_somewhere(self) -> Self:
        if self.splitAtTarget and not self.latestMessageId:
            raise ValueError("latestMessageId is required")
        return self


class DuplicateBody(BaseModel):
    """The conversation to duplicate."""

    conversationId: Id
    title: str | None = None


class EditBody(BaseModel):
    """New text of a message, or of one of its content parts."""

    text: str
    index: WholeNumber | None = Field(None, ge=0)
    model: Said = Field(None, description="Not looked at")

    @model_validator(mode="after")
    def _names_a_part(self) -> Self:
        if self.index is None and "index" in self.model_fields_set:
            raise ValueError(_BAD_INDEX)
        return self


class FeedbackBody(BaseModel):
    """Feedback to store; nothing or null clears it."""

    feedback: Feedback | None = None


class ArtifactBody(BaseModel):
    """A piece of an artifact and its replacement."""

    index: WholeNumber = Field(ge=0)
    original: str
    updated: str


class BranchBody(BaseModel):
    """An answer of several agents, and whose part to keep."""

    messageId: Id
    agentId: Id


INVALID_TARGET = refusal(
    "error",
    {
        "": _NO_ID,
        "arg.title": "title must be a string",
        "arg.title.missing": "title is required",
        "arg.isArchived": "isArchived must be a boolean",
        "arg.pinned": "pinned must be a boolean",
        "arg.pinned.missing": "pinned is required",
    },
)
INVALID_DELETION = refusal("error", {"": "no parameters provided", "arg.conversationId": _NO_ID})
INVALID_COPY = refusal(
    "error",
    {
        "conversationId": _NO_ID,
        "messageId": "messageId is required",
        "option": "option must be directPath, includeBranches or targetLevel",
    },
)
INVALID_EDIT = refusal("error", {"index": _BAD_INDEX})
INVALID_FEEDBACK = refusal("error", {"": "Invalid feedback"})
INVALID_ARTIFACT = refusal("error", {"": "Invalid request parameters"})
INVALID_BRANCH = refusal("error", {"": "messageId and agentId are required"})
INVALID_QUERY = refusal("error")

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
