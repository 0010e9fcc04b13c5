"""Queries and bodies, the errors of wrong ones, and examples."""

# ruff: noqa: N815  (names are those of the wire)

import re
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError

from locutory import HTTPError, refusal
from locutory_agentbuilder.definition.issues import issues_of
from locutory_contracts.access import VIEW

LONGEST_SEARCH = 100
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)")
_DEFAULT, _UNREADABLE, _MOST = 100, 20, 1000
_PROMOTED = {"1": True, "0": False}


def _number(unreadable: int, text: str) -> int:
    """The whole number with which a text begins."""
    number = _LEADING_NUMBER.match(text[:20])
    return unreadable if number is None else int(number[1])


def _rows(number: int) -> int:
    return min(_MOST, max(1, number))


class ListQuery(BaseModel):
    """Query of a page of agents."""

    requiredPermission: Annotated[int, BeforeValidator(partial(_number, VIEW))] = Field(
        VIEW, description="Bits that the caller must hold: 1 view, 2 edit"
    )
    category: str = ""
    search: Annotated[str, AfterValidator(lambda text: text.strip()[:LONGEST_SEARCH])] = Field(
        "", description="A part of name or description, any case"
    )
    promoted: Annotated[bool | None, BeforeValidator(_PROMOTED.get)] = Field(
        None, description="1: only promoted ones, 0: only others"
    )
    limit: Annotated[int, BeforeValidator(partial(_number, _UNREADABLE)), AfterValidator(_rows)] = (
        Field(_DEFAULT, description=f"Rows, 1 to {_MOST}")
    )
    cursor: str | None = Field(None, description="`after` of the page before")


class RevertBody(BaseModel):
    """The version to go back to."""

    version_index: int = Field(description="Its place in the list of versions, from 0")


def invalid_agent(error: ValidationError) -> HTTPError:
    """The 400 for wrong fields of an agent, with an issue for each."""
    details = issues_of(error.errors(include_url=False))
    return HTTPError(400, {"error": "Invalid request data", "details": details})


INVALID_REVERT = refusal("error", {"": "version_index is required"})

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
