"""``/api/projects`` (contract projects §2)."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from locutory import JSON, HTTPError, Request, Route, RouteGroup, SignedIn, refusal
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
_NO_NAME = "name is required"
_NOT_FOUND = {"error": "Project not found"}
_NO_CONVERSATION = {"error": "Conversation not found"}
_BAD_PROJECT = "projectId must be a string or null"
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


def _limit(text: str) -> int:
    """The rows of a page: 25 for anything but a number, or 0; else whole and 1 to 100."""
    try:
        number = float(text or 0)
    except ValueError:
        return _PAGE
    if not math.isfinite(number) or number == 0:
        return _PAGE
    return min(max(math.floor(number), 1), _LARGEST_PAGE)


def _name(value: Any) -> str:
    name = cut(value, LONGEST_NAME) if isinstance(value, str) else ""
    if not name:
        raise ValueError(_NO_NAME)
    return name


def _description(value: Any) -> str:
    return cut(value, LONGEST_DESCRIPTION) if isinstance(value, str) else ""


def _sort_field(text: str) -> str:
    return text if text in SORT_FIELDS else LAST


Name = Annotated[str, BeforeValidator(_name)]
Description = Annotated[str, BeforeValidator(_description)]


class ListQuery(BaseModel):
    """The projects to list, and their order."""

    limit: Annotated[int, BeforeValidator(_limit)] = Field(
        _PAGE, description=f"Rows of a page, 1 to {_LARGEST_PAGE}"
    )
    cursor: str | None = Field(None, description="nextCursor of the page before")
    sort_by: Annotated[str, BeforeValidator(_sort_field)] = Field(
        LAST, alias="sortBy", description=" · ".join(sorted(SORT_FIELDS))
    )
    sort_direction: str = Field("desc", alias="sortDirection", description="asc or desc")
    search: str = Field("", description="Part of a name or description, in any case")


class CreateBody(BaseModel):
    """A new project."""

    name: Name = Field(description=f"Its name, cut at {LONGEST_NAME} characters")
    description: Description = Field(
        "", description=f"What it is for, cut at {LONGEST_DESCRIPTION} characters"
    )


class UpdateBody(BaseModel):
    """The members to change."""

    name: Name = Field("", description="A new name")
    description: Description = Field("", description="What it is for")


class AssignBody(BaseModel):
    """The project that a conversation is assigned to."""

    project_id: str | None = Field(
        None, alias="projectId", description="The project; null or empty: out of any"
    )


class ProjectRoutes:
    """The six routes."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    def all(self) -> list[Route]:
        """The routes."""
        projects = RouteGroup(
            "/api/projects",
            access=SignedIn(),
            contract="projects §2",
            invalid=refusal("error", {"": _NO_NAME}),
        )
        return [
            projects.get(
                "",
                self.list,
                "A page of the caller's projects",
                query=ListQuery,
                responses={200: {"projects": [_PROJECT], "nextCursor": None}},
                failure={"error": "Error listing projects"},
            ),
            projects.post(
                "",
                self.create,
                "Create a project",
                body=CreateBody,
                responses={201: _PROJECT},
                failure={"error": "Error creating project"},
            ),
            projects.get(
                "/{project_id}",
                self.one,
                "One project",
                responses={200: _PROJECT, 404: _NOT_FOUND},
                failure={"error": "Error getting project"},
            ),
            projects.patch(
                "/{project_id}",
                self.update,
                "Rename or describe a project",
                body=UpdateBody,
                responses={200: _PROJECT, 404: _NOT_FOUND},
                failure={"error": "Error updating project"},
            ),
            projects.delete(
                "/{project_id}",
                self.delete,
                "Delete a project; its conversations stay",
                responses={200: {"deletedCount": 1, "modifiedCount": 3}, 404: _NOT_FOUND},
                failure={"error": "Error deleting project"},
            ),
            projects.put(
                "/conversations/{conversation_id}",
                self.assign,
                "Move a conversation into a project, or out of any",
                body=AssignBody,
                invalid=refusal("error", {"": _BAD_PROJECT}),
                responses={
                    200: {
                        "conversation": {"conversationId": "…"},
                        "previousProjectId": None,
                        "projectId": _PROJECT["_id"],
                    },
                    404: _NO_CONVERSATION,
                },
                failure={"error": "Error assigning conversation to project"},
            ),
        ]

    async def list(self, request: Request) -> Response:
        """A page of projects."""
        query = request.valid(ListQuery)
        page = Page(
            limit=query.limit,
            field=query.sort_by,
            descending=query.sort_direction != "asc",
            search=query.search.strip(),
            cursor=read_cursor(query.cursor, query.sort_by),
        )
        rows, cursor = await self._projects.page(request.caller.id, page)
        return JSON({"projects": rows, "nextCursor": cursor})

    async def create(self, request: Request) -> Response:
        """A new project."""
        body, caller = request.valid(CreateBody), request.caller
        row = await self._projects.create(
            caller.id, body.name, body.description, tenant=caller.tenant
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
        """Set the given members; others are ignored."""
        fields = request.valid(UpdateBody).model_dump(exclude_unset=True)
        try:
            row = await self._projects.change(
                request.caller.id, request.path_params["project_id"], fields
            )
        except NoProject:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON(row)

    async def delete(self, request: Request) -> Response:
        """Delete a project, and keep its conversations."""
        try:
            left = await self._projects.delete(request.caller.id, request.path_params["project_id"])
        except NoProject:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON({"deletedCount": 1, "modifiedCount": left})

    async def assign(self, request: Request) -> Response:
        """Move a conversation."""
        wanted = request.valid(AssignBody).project_id
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
