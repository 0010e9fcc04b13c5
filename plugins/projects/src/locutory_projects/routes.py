"""``/api/projects`` (contract projects §2)."""

import math
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, HTTPError, Request, Route, SignedIn
from locutory_projects.listing import LAST, SORT_FIELDS, Page, read_cursor
from locutory_projects.service import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    NoConversation,
    NoProject,
    Projects,
    cut,
)

_PAGE, _LARGEST_PAGE = 25, 100
_NO_NAME = {"error": "name is required"}
_NOT_FOUND = {"error": "Project not found"}
_NO_CONVERSATION = {"error": "Conversation not found"}
_BAD_PROJECT = {"error": "projectId must be a string or null"}
_PROJECT = {
    "_id": "64f0c2a1e4b0a1b2c3d4e5f6",
    "name": "Garden",
    "description": "",
    "user": "64f0c2a1e4b0a1b2c3d4e5f7",
    "conversationCount": 0,
    "lastConversationAt": None,
    "lastConversationId": None,
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "__v": 0,
}


class ListQuery(BaseModel):
    """Which projects, in which order."""

    limit: int = Field(_PAGE, description=f"Rows of a page, 1 to {_LARGEST_PAGE}")
    cursor: str | None = Field(None, description="nextCursor of the page before")
    sort_by: str = Field(LAST, alias="sortBy", description=" · ".join(sorted(SORT_FIELDS)))
    sort_direction: str = Field("desc", alias="sortDirection", description="asc or desc")
    search: str | None = Field(None, description="Part of a name or description, in any case")


class CreateBody(BaseModel):
    """A new project."""

    name: str = Field(description=f"Its name, cut at {LONGEST_NAME} characters")
    description: str | None = Field(
        None, description=f"What it is for, cut at {LONGEST_DESCRIPTION} characters"
    )


class UpdateBody(BaseModel):
    """What to change."""

    name: str | None = Field(None, description="A new name")
    description: str | None = Field(None, description="What it is for")


class AssignBody(BaseModel):
    """Where a conversation goes."""

    project_id: str | None = Field(
        None, alias="projectId", description="The project; null or empty: out of any"
    )


class ProjectRoutes:
    """The six routes."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    def all(self) -> list[Route]:
        """The routes."""
        return [
            Route(
                path="/api/projects",
                endpoint=self.list,
                access=SignedIn(),
                summary="A page of the caller's projects",
                query_schema=ListQuery,
                responses={200: {"projects": [_PROJECT], "nextCursor": None}},
                failure={"error": "Error listing projects"},
                contract="projects §2",
            ),
            Route(
                path="/api/projects",
                endpoint=self.create,
                methods=("POST",),
                access=SignedIn(),
                summary="Create a project",
                body_schema=CreateBody,
                responses={201: _PROJECT, 400: _NO_NAME},
                failure={"error": "Error creating project"},
                contract="projects §2",
            ),
            Route(
                path="/api/projects/{project_id}",
                endpoint=self.one,
                access=SignedIn(),
                summary="One project",
                responses={200: _PROJECT, 404: _NOT_FOUND},
                failure={"error": "Error getting project"},
                contract="projects §2",
            ),
            Route(
                path="/api/projects/{project_id}",
                endpoint=self.update,
                methods=("PATCH",),
                access=SignedIn(),
                summary="Rename or describe a project",
                body_schema=UpdateBody,
                responses={200: _PROJECT, 400: _NO_NAME, 404: _NOT_FOUND},
                failure={"error": "Error updating project"},
                contract="projects §2",
            ),
            Route(
                path="/api/projects/{project_id}",
                endpoint=self.delete,
                methods=("DELETE",),
                access=SignedIn(),
                summary="Delete a project; its conversations stay",
                responses={200: {"deletedCount": 1, "modifiedCount": 3}, 404: _NOT_FOUND},
                failure={"error": "Error deleting project"},
                contract="projects §2",
            ),
            Route(
                path="/api/projects/conversations/{conversation_id}",
                endpoint=self.assign,
                methods=("PUT",),
                access=SignedIn(),
                summary="Move a conversation into a project, or out of any",
                body_schema=AssignBody,
                responses={
                    200: {
                        "conversation": {"conversationId": "…"},
                        "previousProjectId": None,
                        "projectId": _PROJECT["_id"],
                    },
                    400: _BAD_PROJECT,
                    404: _NO_CONVERSATION,
                },
                failure={"error": "Error assigning conversation to project"},
                contract="projects §2",
            ),
        ]

    async def list(self, request: Request) -> Response:
        """A page of projects."""
        field = request.query_text("sortBy") or LAST
        if field not in SORT_FIELDS:
            field = LAST
        page = Page(
            limit=_limit(request.query_text("limit")),
            field=field,
            descending=request.query_text("sortDirection") != "asc",
            search=(request.query_text("search") or "").strip(),
            cursor=read_cursor(request.query_text("cursor"), field),
        )
        rows, cursor = await self._projects.page(request.caller.id, page)
        return JSON({"projects": rows, "nextCursor": cursor})

    async def create(self, request: Request) -> Response:
        """A new project."""
        body, caller = _body(request, _NO_NAME), request.caller
        row = await self._projects.create(
            caller.id,
            _name(body.get("name")),
            _description(body.get("description")),
            tenant=caller.tenant,
        )
        return JSON(row, 201)

    async def one(self, request: Request) -> Response:
        """One project with its statistics."""
        try:
            row = await self._projects.find(request.caller.id, request.path_params["project_id"])
        except NoProject:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON(row)

    async def update(self, request: Request) -> Response:
        """Set what is given; other members are ignored."""
        body, fields = _body(request, _NO_NAME), {}
        if "name" in body:
            fields["name"] = _name(body["name"])
        if "description" in body:
            fields["description"] = _description(body["description"])
        try:
            row = await self._projects.change(
                request.caller.id, request.path_params["project_id"], fields
            )
        except NoProject:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON(row)

    async def delete(self, request: Request) -> Response:
        """Delete a project, keep what is in it."""
        try:
            left = await self._projects.delete(request.caller.id, request.path_params["project_id"])
        except NoProject:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON({"deletedCount": 1, "modifiedCount": left})

    async def assign(self, request: Request) -> Response:
        """Move a conversation."""
        wanted = _body(request, _BAD_PROJECT).get("projectId")
        if not isinstance(wanted, str | None):
            raise HTTPError(400, _BAD_PROJECT)
        try:
            conversation, previous, project = await self._projects.assign(
                request.caller.id, request.path_params["conversation_id"], wanted or None
            )
        except NoConversation:
            raise HTTPError(404, _NO_CONVERSATION) from None
        except NoProject:
            raise HTTPError(404, _NOT_FOUND) from None
        answer = {"conversation": conversation, "previousProjectId": previous, "projectId": project}
        return JSON(answer)


def _body(request: Request, refusal: dict[str, str]) -> dict[str, Any]:
    if not isinstance(request.payload, dict):
        raise HTTPError(400, refusal)
    return request.payload


def _name(value: Any) -> str:
    name = cut(value, LONGEST_NAME) if isinstance(value, str) else ""
    if not name:
        raise HTTPError(400, _NO_NAME)
    return name


def _description(value: Any) -> str:
    return cut(value, LONGEST_DESCRIPTION) if isinstance(value, str) else ""


def _limit(text: str | None) -> int:
    """Rows of a page: 25 for what is no number, or 0; else whole and 1 to 100."""
    try:
        number = float(text or 0)
    except ValueError:
        return _PAGE
    if not math.isfinite(number) or number == 0:
        return _PAGE
    return min(max(math.floor(number), 1), _LARGEST_PAGE)
