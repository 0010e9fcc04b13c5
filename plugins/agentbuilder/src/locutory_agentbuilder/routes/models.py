"""Queries and examples, for the documentation. The handlers check by themselves, because
the contract has answers of its own for what is wrong."""

# ruff: noqa: N815  (names are those of the wire)

from typing import Any

from pydantic import BaseModel, Field


class ListQuery(BaseModel):
    """Query of a page of agents."""

    requiredPermission: int = Field(1, description="Bits that the caller must hold: 1 view, 2 edit")
    category: str | None = None
    search: str | None = Field(None, description="A part of name or description, any case")
    promoted: str | None = Field(None, description="1: only promoted ones, 0: only others")
    limit: int = Field(100, description="Rows, 1 to 1000")
    cursor: str | None = Field(None, description="`after` of the page before")


class RevertBody(BaseModel):
    """Which version to go back to."""

    version_index: int = Field(description="Its place in the list of versions, from 0")


ROW: dict[str, Any] = {
    "_id": "24 hex digits",
    "id": "agent_3v9Dj5yUOJOVvh5_kyRyF",
    "name": "Helper",
    "description": "Helps",
    "author": "24 hex digits",
    "conversation_starters": [],
    "category": "general",
    "is_promoted": False,
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "owner_contact": {"name": "Ann"},
    "isEditable": True,
}
PAGE: dict[str, Any] = {
    "object": "list",
    "data": [ROW],
    "first_id": ROW["id"],
    "last_id": ROW["id"],
    "has_more": False,
    "after": None,
}
AGENT: dict[str, Any] = {
    "_id": "24 hex digits",
    "id": ROW["id"],
    "name": "Helper",
    "description": "Helps",
    "instructions": "Be brief",
    "provider": "openAI",
    "model": "gpt-5",
    "model_parameters": {},
    "tools": [],
    "author": "24 hex digits",
    "edges": [],
    "conversation_starters": [],
    "category": "general",
    "is_promoted": False,
    "mcpServerNames": [],
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
}
VERSION: dict[str, Any] = {
    key: value for key, value in AGENT.items() if key not in ("_id", "id", "author")
}
FULL: dict[str, Any] = {**AGENT, "versions": [VERSION]}
CATEGORY: dict[str, Any] = {
    "value": "general",
    "label": "com_agents_category_general",
    "count": 1,
    "description": "com_agents_category_general_description",
}
TOOL: dict[str, Any] = {
    "name": "Date and time",
    "pluginKey": "current_datetime",
    "description": "The current date and time",
    "authConfig": [],
}
INVALID: dict[str, Any] = {
    "error": "Invalid request data",
    "details": [{"code": "invalid_type", "path": ["provider"], "message": "Required"}],
}
REFERENCE: dict[str, Any] = {
    "error": "You do not have access to one or more agents referenced in edges",
    "agent_ids": [ROW["id"]],
}
