"""``/api/tags`` (contract tags)."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from locutory import JSON, Can, HTTPError, Request, Route, RouteGroup, WholeNumber, refusal
from locutory_debounce import DebouncedTask
from locutory_tags.service import Tags, Taken, TooMany, Unknown

LONGEST_TAG = 1000
LONGEST_DESCRIPTION = 10_000
UNREACHABLE = frozenset((".", ".."))
"""As the end of a path no browser sends these, encoded or not: nobody could delete them."""
MAX_TAGS = 500
"""The maximum tags of one conversation."""

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


def _unfit(tag: str) -> str | None:
    """The reason why a text cannot be the name of a bookmark, or ``None``."""
    if not tag:
        return "must be a text that is not empty"
    if len(tag) > LONGEST_TAG:
        return f"must not be longer than {LONGEST_TAG} characters"
    return "must be more than dots" if tag in UNREACHABLE else None


def _fit(tag: str) -> str:
    wrong = _unfit(tag)
    if wrong is not None:
        raise ValueError(f"tag {wrong}")
    return tag


def _in_range(position: int) -> int:
    """Larger ones than there are bookmarks mean the last place."""
    return min(max(0, position), 2**31)


Name = Annotated[str, AfterValidator(_fit), Field(json_schema_extra={"maxLength": LONGEST_TAG})]
Description = Annotated[str | None, Field(max_length=LONGEST_DESCRIPTION)]
Position = Annotated[WholeNumber, AfterValidator(_in_range)]


class CreateBody(BaseModel):
    """A new bookmark."""

    tag: Name = Field(description="Its name; case and blanks count")
    description: Description = Field(None, description="What it is for")
    add_to_conversation: bool | None = Field(
        None, alias="addToConversation", description="Mark a conversation with it"
    )
    conversation_id: str | None = Field(
        None, alias="conversationId", description="The conversation"
    )


class UpdateBody(BaseModel):
    """Changes of a bookmark."""

    tag: Name | None = Field(None, description="A new name")
    description: Description = Field(None, description="What it is for")
    position: Position | None = Field(None, description="Another place in the list")


class ConversationBody(BaseModel):
    """The bookmarks of a conversation."""

    tags: list[str] = Field(max_length=MAX_TAGS, description="All of them")


_TEXTS = {
    "tag": "tag must be a text that is not empty",
    "tags": "tags must be a list of strings",
    "tags.too_long": f"A conversation has at most {MAX_TAGS} tags",
}


def error(status: int, text: str) -> HTTPError:
    """An answer ``{"error": text}``."""
    return HTTPError(status, {"error": text})


class TagRoutes:
    """The five routes."""

    def __init__(self, tags: Tags, debounced_recount: DebouncedTask) -> None:
        self._tags = tags
        self._debounced_recount = debounced_recount

    def all(self) -> list[Route]:
        """The routes."""
        tags = RouteGroup(
            "/api/tags",
            access=Can("BOOKMARKS", "USE"),
            failure={"error": "Internal server error"},
            invalid=refusal("error", _TEXTS),
        )
        return [
            tags.get(
                "",
                self.list,
                "The caller's bookmarks",
                responses={200: [_TAG]},
                contract="tags §1.1",
            ),
            tags.post(
                "",
                self.create,
                "Create a bookmark, and mark a conversation with it",
                body=CreateBody,
                responses={200: _TAG},
                contract="tags §1.2",
            ),
            tags.put(
                "/{tag}",
                self.update,
                "Rename, describe or move a bookmark",
                body=UpdateBody,
                responses={200: _TAG, 404: _NOT_FOUND, 409: _TAKEN},
                contract="tags §1.3",
            ),
            tags.delete(
                "/{tag}",
                self.delete,
                "Delete a bookmark and take it from all conversations",
                responses={200: _TAG, 404: _NOT_FOUND},
                contract="tags §1.4",
            ),
            tags.put(
                "/convo/{conversation_id}",
                self.set_of_conversation,
                "Set the bookmarks of a conversation",
                body=ConversationBody,
                responses={200: ["Saved"], 404: {"error": "Conversation not found"}},
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
        body, caller = request.valid(CreateBody), request.caller
        to = body.conversation_id if body.add_to_conversation else None
        try:
            row = await self._tags.create(
                caller.id, body.tag, body.description, to or None, caller.tenant
            )
        except TooMany as refused:
            raise error(400, str(refused)) from None
        return JSON(row)

    async def update(self, request: Request) -> Response:
        """Rename, describe, move."""
        body = request.valid(UpdateBody)
        try:
            row = await self._tags.update(
                request.caller.id,
                request.path_params["tag"],
                new_tag=body.tag,
                description=body.description,
                position=body.position,
            )
        except Unknown:
            raise HTTPError(404, _NOT_FOUND) from None
        except Taken:
            raise HTTPError(409, _TAKEN) from None
        return JSON(row)

    async def delete(self, request: Request) -> Response:
        """Delete a bookmark, and respond with its last state."""
        try:
            row = await self._tags.delete(request.caller.id, request.path_params["tag"])
        except Unknown:
            raise HTTPError(404, _NOT_FOUND) from None
        return JSON(row)

    async def set_of_conversation(self, request: Request) -> Response:
        """Replace the bookmarks of a conversation."""
        caller, conversation_id = request.caller, request.path_params["conversation_id"]
        tags = request.valid(ConversationBody).tags
        unfit = [tag for tag in tags if _unfit(tag)]
        if unfit:
            # LibreChat keeps even such ones; what is there already may stay.
            carried = await self._tags.carried_by(caller.id, conversation_id)
            for tag in unfit:
                if tag not in carried:
                    raise error(400, f"Each of tags {_unfit(tag)}")
        try:
            now_carried = await self._tags.set_of_conversation(
                caller.id, conversation_id, tags, caller.tenant
            )
        except TooMany as refused:
            raise error(400, str(refused)) from None
        except Unknown:
            raise error(404, "Conversation not found") from None
        return JSON(now_carried)
