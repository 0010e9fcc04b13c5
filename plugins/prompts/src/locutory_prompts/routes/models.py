"""Bodies, queries and examples, for the documentation. The handlers check by themselves,
because the contract has answers of its own for what is wrong."""

# ruff: noqa: N815  (names are those of the wire)

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ListQuery(BaseModel):
    """Query of the whole list."""

    name: str | None = Field(None, description="A part of the name, any case")
    category: str | None = Field(
        None,
        description="A category, or sys__my__prompts__sys, sys__shared__prompts__sys, "
        "sys__no__category__sys",
    )


class PageQuery(ListQuery):
    """Query of a page."""

    limit: int = Field(10, description="Rows, 1 to 100; pageSize counts without it")
    pageSize: int = 10
    cursor: str | None = Field(None, description="`after` of the page before")


class VersionsQuery(BaseModel):
    """Query of the list of versions."""

    groupId: str | None = Field(None, description="Without it: all that the caller wrote")


class DeleteQuery(BaseModel):
    """Query of deleting a version."""

    groupId: str


class PromptText(BaseModel):
    """The text of a version."""

    prompt: str
    type: Literal["text", "chat"]


class GroupFields(BaseModel):
    """What users set of a group."""

    name: str = Field(min_length=1, max_length=255)
    oneliner: str | None = Field(None, max_length=500)
    category: str | None = Field(None, max_length=100)
    command: str | None = Field(None, max_length=56, pattern="^[a-z0-9-]*$")


class CreateBody(BaseModel):
    """A new prompt."""

    prompt: PromptText
    group: GroupFields


class VersionBody(BaseModel):
    """A new version."""

    prompt: PromptText


class UpdateBody(BaseModel):
    """Changes of a group; nothing else may be sent."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=255)
    oneliner: str | None = Field(None, max_length=500)
    category: str | None = Field(None, max_length=100)
    command: str | None = Field(None, max_length=56, pattern="^[a-z0-9-]*$")


ROW: dict[str, Any] = {
    "_id": "24 hex digits",
    "name": "Greeter",
    "numberOfGenerations": 0,
    "oneliner": "",
    "category": "",
    "command": "greet",
    "productionId": "24 hex digits",
    "author": "24 hex digits",
    "authorName": "Ann",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "productionPrompt": {"_id": "24 hex digits", "prompt": "Say hi to {{name}}"},
}
PROMPT: dict[str, Any] = {
    "_id": "24 hex digits",
    "groupId": "24 hex digits",
    "author": "24 hex digits",
    "prompt": "Say hi to {{name}}",
    "type": "text",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "__v": 0,
}
GROUP: dict[str, Any] = {**ROW, "productionPrompt": PROMPT, "__v": 0}
PAGE: dict[str, Any] = {
    "promptGroups": [ROW],
    "pageNumber": "1",
    "pageSize": "10",
    "pages": "1",
    "has_more": False,
    "after": None,
}
ERROR: dict[str, Any] = {"error": "What was wrong"}
INVALID: dict[str, Any] = {
    "error": "Invalid request body",
    "details": [{"code": "too_small", "path": ["name"], "message": "What was wrong"}],
}
MESSAGE: dict[str, Any] = {"message": "What was done"}
