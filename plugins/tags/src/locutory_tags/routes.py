"""``/api/tags`` (contract tags)."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, Can, HTTPError, Request, Route
from locutory_tags.debounced_recount import DebouncedRecount
from locutory_tags.service import Tags, Taken, TooMany, Unknown

LONGEST_TAG = 1000
LONGEST_DESCRIPTION = 10_000
UNREACHABLE = frozenset((".", ".."))
"""As the end of a path no browser sends these, encoded or not: nobody could delete them."""
MAX_TAGS = 500
"""Of one conversation."""

_FAILED = {"error": "Internal server error"}
_NOT_FOUND = {"error": "Tag not found"}
_TAKEN = {"error": "A tag with this name exists already"}
_TAG = {
    "_id": "64f0c2a1e4b0a1b2c3d4e5f6",
    "user": "64f0c2a1e4b0a1b2c3d4e5f7",
    "tag": "Saved",
    "description": "To read again",
    "count": 1,
    "position": 1,
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "__v": 0,
}
_BAD = {"error": "tag must be a text that is not empty"}
_ACCESS = Can("BOOKMARKS", "USE")


class CreateBody(BaseModel):
    """A new bookmark."""

    tag: str = Field(description="Its name; case and blanks count")
    description: str | None = Field(None, description="What it is for")
    add_to_conversation: bool | None = Field(
        None, alias="addToConversation", description="Mark a conversation with it"
    )
    conversation_id: str | None = Field(
        None, alias="conversationId", description="The conversation"
    )


class UpdateBody(BaseModel):
    """Changes of a bookmark."""

    tag: str | None = Field(None, description="A new name")
    description: str | None = Field(None, description="What it is for")
    position: float | None = Field(None, description="Another place in the list")


class ConversationBody(BaseModel):
    """The bookmarks of a conversation."""

    tags: list[str] = Field(description="All of them")


def error(status: int, text: str) -> HTTPError:
    """An answer ``{"error": text}``."""
    return HTTPError(status, {"error": text})


class TagRoutes:
    """The five routes."""

    def __init__(self, tags: Tags, debounced_recount: DebouncedRecount) -> None:
        self._tags = tags
        self._debounced_recount = debounced_recount

    def all(self) -> list[Route]:
        """The routes."""
        return [
            Route(
                path="/api/tags",
                endpoint=self.list,
                access=_ACCESS,
                summary="The caller's bookmarks",
                responses={200: [_TAG]},
                failure=_FAILED,
                contract="tags §1.1",
            ),
            Route(
                path="/api/tags",
                endpoint=self.create,
                methods=("POST",),
                access=_ACCESS,
                summary="Create a bookmark, and mark a conversation with it",
                body_schema=CreateBody,
                responses={200: _TAG, 400: _BAD},
                failure=_FAILED,
                contract="tags §1.2",
            ),
            Route(
                path="/api/tags/{tag}",
                endpoint=self.update,
                methods=("PUT",),
                access=_ACCESS,
                summary="Rename, describe or move a bookmark",
                body_schema=UpdateBody,
                responses={200: _TAG, 400: _BAD, 404: _NOT_FOUND, 409: _TAKEN},
                failure=_FAILED,
                contract="tags §1.3",
            ),
            Route(
                path="/api/tags/{tag}",
                endpoint=self.delete,
                methods=("DELETE",),
                access=_ACCESS,
                summary="Delete a bookmark and take it from all conversations",
                responses={200: _TAG, 404: _NOT_FOUND},
                failure=_FAILED,
                contract="tags §1.4",
            ),
            Route(
                path="/api/tags/convo/{conversation_id}",
                endpoint=self.set_of_conversation,
                methods=("PUT",),
                access=_ACCESS,
                summary="Set the bookmarks of a conversation",
                body_schema=ConversationBody,
                responses={200: ["Saved"], 400: _BAD, 404: {"error": "Conversation not found"}},
                failure="Error updating conversation tags",
                contract="tags §1.5",
            ),
        ]

    async def list(self, request: Request) -> Response:
        """Every bookmark of the caller, by position."""
        await self._debounced_recount.flush(request.caller.id)
        return JSON(await self._tags.of(request.caller.id))

    async def create(self, request: Request) -> Response:
        """A new bookmark, or the one that is there."""
        body, caller = _body(request), request.caller
        tag = _name(body.get("tag"), "tag")
        description = _description(body)
        add, conversation_id = body.get("addToConversation"), body.get("conversationId")
        if not isinstance(add, bool | None):
            raise error(400, "addToConversation must be true or false")
        if not isinstance(conversation_id, str | None):
            raise error(400, "conversationId must be a string")
        to = conversation_id if add else None
        try:
            row = await self._tags.create(caller.id, tag, description, to or None, caller.tenant)
        except TooMany as refused:
            raise error(400, str(refused)) from None
        return JSON(row)

    async def update(self, request: Request) -> Response:
        """Rename, describe, move."""
        body = _body(request)
        new_tag = body.get("tag")
        try:
            row = await self._tags.update(
                request.caller.id,
                request.path_params["tag"],
                new_tag=None if new_tag is None else _name(new_tag, "tag"),
                description=_description(body),
                position=_position(body),
            )
        except Unknown:
            raise HTTPError(404, _NOT_FOUND) from None
        except Taken:
            raise HTTPError(409, _TAKEN) from None
        return JSON(row)

    async def delete(self, request: Request) -> Response:
        """Delete a bookmark; answers what it was."""
        try:
            row = await self._tags.delete(request.caller.id, request.path_params["tag"])
        except Unknown:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON(row)

    async def set_of_conversation(self, request: Request) -> Response:
        """Replace the bookmarks of a conversation."""
        caller, conversation_id = request.caller, request.path_params["conversation_id"]
        tags = _body(request).get("tags")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise error(400, "tags must be a list of strings")
        if len(tags) > MAX_TAGS:
            raise error(400, f"A conversation has at most {MAX_TAGS} tags")
        if not all(0 < len(tag) <= LONGEST_TAG and tag not in UNREACHABLE for tag in tags):
            # LibreChat keeps even such ones; what is there already may stay.
            carried = await self._tags.carried_by(caller.id, conversation_id)
            for tag in tags:
                if tag not in carried:
                    _name(tag, "Each of tags")
        try:
            now_carried = await self._tags.set_of_conversation(
                caller.id, conversation_id, tags, caller.tenant
            )
        except TooMany as refused:
            raise error(400, str(refused)) from None
        except Unknown:
            raise error(404, "Conversation not found") from None
        return JSON(now_carried)


def _body(request: Request) -> dict[str, Any]:
    if not isinstance(request.payload, dict):
        raise error(400, "The request body must be a JSON object")
    return request.payload


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise error(400, f"{field} must be a text that is not empty")
    if len(value) > LONGEST_TAG:
        raise error(400, f"{field} must not be longer than {LONGEST_TAG} characters")
    if value in UNREACHABLE:
        raise error(400, f"{field} must be more than dots")
    return value


def _description(body: dict[str, Any]) -> str | None:
    value = body.get("description")
    if not isinstance(value, str | None):
        raise error(400, "description must be a string")
    if value is not None and len(value) > LONGEST_DESCRIPTION:
        raise error(400, f"description must not be longer than {LONGEST_DESCRIPTION} characters")
    return value


def _position(body: dict[str, Any]) -> int | None:
    """A whole number from 0; larger ones than there are bookmarks mean the last place."""
    value = body.get("position")
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise error(400, "position must be a whole number")
    return min(max(0, value), 2**31)
