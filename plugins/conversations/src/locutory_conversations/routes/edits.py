"""``/api/messages``: writing (contract messages §3.2, §3.3, §3.5 to §3.7)."""

from dataclasses import dataclass

from starlette.responses import Response

from locutory import JSON, Empty, Raw, Request, Route, RouteGroup, SignedIn
from locutory_conversations.deletion import Deletion
from locutory_conversations.editing.drafts import MessageDraft, storable
from locutory_conversations.editing.edits import Edits
from locutory_conversations.editing.parts import BadPart
from locutory_conversations.listing.messages import full
from locutory_conversations.routes import models
from locutory_conversations.routes.checks import ConversationChecks, Own, error
from locutory_conversations.routes.messages import FAILED
from locutory_conversations.service import History
from locutory_conversations.store import is_uuid

_EDITED = (
    *("messageId", "conversationId", "parentMessageId", "sender", "text", "isCreatedByUser"),
    *("tokenCount", "feedback", "endpoint", "langfuseSampled", "langfuseDestinationIds"),
)
_OF_CONVERSATION = ("endpoint", "model", "iconURL")


@dataclass(frozen=True, slots=True)
class Editable:
    """The message of the path, which the caller may change."""

    message: Raw


class EditRoutes:
    """Changes of messages."""

    def __init__(
        self, checks: ConversationChecks, history: History, edits: Edits, deletion: Deletion
    ) -> None:
        self._checks = checks
        self._history = history
        self._edits = edits
        self._deletion = deletion

    def all(self) -> list[Route]:
        """The routes."""
        writing = RouteGroup(
            "/api/messages",
            access=SignedIn(),
            failure=FAILED,
            responses={400: models.ERROR, 404: models.ERROR, 409: models.ERROR},
        )
        one = "/{conversation_id}/{message_id}"
        return [
            writing.put(
                one,
                self.edit,
                "Edit a message or one part of it",
                checks=(self._editable,),
                body=models.EditBody,
                invalid=models.INVALID_EDIT,
                responses={200: models.MESSAGE},
                contract="messages §3.2",
            ),
            RouteGroup("/api/messages", access=SignedIn()).put(
                f"{one}/feedback",
                self.feedback,
                "Rate an answer, or clear the rating",
                checks=(self._checks.own,),
                body=models.FeedbackBody,
                invalid=models.INVALID_FEEDBACK,
                responses={200: {"feedback": None}, 404: models.ERROR},
                failure={"error": "Failed to update feedback"},
                contract="messages §3.3",
            ),
            writing.post(
                "/artifact/{message_id}",
                self.artifact,
                "Replace a piece of an artifact",
                body=models.ArtifactBody,
                invalid=models.INVALID_ARTIFACT,
                responses={200: {"conversationId": "UUID", "content": [], "text": ""}},
                contract="messages §3.5",
            ),
            writing.post(
                "/branch",
                self.branch,
                "Make a sibling with the parts of one agent",
                body=models.BranchBody,
                invalid=models.INVALID_BRANCH,
                responses={201: models.MESSAGE},
                contract="messages §3.6",
            ),
            writing.post(
                "/{conversation_id}",
                self.save,
                "Save a message",
                checks=(self._savable,),
                body=MessageDraft,
                responses={201: models.MESSAGE},
                contract="messages §3.7",
            ),
            writing.delete(
                one,
                self.delete,
                "Delete a message",
                checks=(self._checks.own_and_writable,),
                responses={204: "Deleted, or not there"},
                contract="messages §3.7",
            ),
        ]

    async def _editable(self, request: Request) -> None:
        conversation = await self._checks.conversation(request)
        message = await self._history.message(request.caller.id, request.path_params["message_id"])
        if message is None or message.get("conversationId") != conversation["conversationId"]:
            raise error(404, "Message not found")
        self._checks.writable(conversation)
        request.keep(Editable(message))

    async def _savable(self, request: Request) -> None:
        await self._checks.own_and_writable(request)
        if not is_uuid(request.valid(Own).conversation["conversationId"]):
            raise error(400, "Message not saved")

    async def edit(self, request: Request) -> Response:
        """Replace the text of a message or of one content part."""
        message, body = request.valid(Editable).message, request.valid(models.EditBody)
        user = request.caller.id
        if body.index is None:
            edited = await self._edits.text(user, message, body.text)
        else:
            try:
                edited = await self._edits.part(user, message, body.index, body.text)
            except BadPart as wrong:
                raise error(400, str(wrong)) from None
        return JSON({name: edited[name] for name in _EDITED if name in edited})

    async def feedback(self, request: Request) -> Response:
        """Store or clear a rating."""
        given = request.valid(models.FeedbackBody).feedback
        message_id = request.path_params["message_id"]
        stored = await self._edits.feedback(
            request.caller.id,
            message_id,
            None if given is None else given.model_dump(exclude_none=True),
        )
        if stored is False:
            raise error(404, "Message not found")
        return JSON(
            {
                "messageId": message_id,
                "conversationId": request.valid(Own).conversation["conversationId"],
                "feedback": stored,
            }
        )

    async def artifact(self, request: Request) -> Response:
        """Replace a piece of an artifact."""
        body, user = request.valid(models.ArtifactBody), request.caller.id
        message = await self._history.message(user, request.path_params["message_id"])
        if message is None:
            raise error(404, "Message not found")
        await self._checks.writable_message(user, message)
        try:
            edited = await self._edits.artifact(
                user, message, body.index, body.original, body.updated
            )
        except IndexError:
            raise error(400, "Artifact index out of bounds") from None
        if edited is None:
            raise error(400, "Original content not found in target artifact")
        names = ("conversationId", "content", "text")
        return JSON({name: edited[name] for name in names if name in edited})

    async def branch(self, request: Request) -> Response:
        """Save a sibling of an answer that several agents gave."""
        body, user = request.valid(models.BranchBody), request.caller.id
        source = await self._history.message(user, body.messageId)
        if source is None:
            raise error(404, "Source message not found")
        await self._checks.writable_message(user, source)
        if source.get("isCreatedByUser"):
            raise error(400, "Cannot branch from user messages")
        try:
            saved = await self._edits.branch(user, source, body.agentId)
        except BadPart as wrong:
            raise error(400, str(wrong)) from None
        except ValueError:
            raise error(500, "Failed to save branch message") from None
        return JSON(full(dict(saved)), 201)

    async def save(self, request: Request) -> Response:
        """Save a message as the client gives it."""
        conversation_id = request.valid(Own).conversation["conversationId"]
        draft = request.valid(MessageDraft)
        fields = draft.fields
        if not storable(fields):
            raise error(400, "Message not saved")
        user = request.caller.id
        saved = await self._history.save_message(
            user,
            {**fields, "conversationId": conversation_id},
            temporary=draft.isTemporary,
        )
        settings = {name: fields[name] for name in _OF_CONVERSATION if name in fields}
        await self._history.save(user, conversation_id, settings, create=False)
        return JSON(full(dict(saved)), 201)

    async def delete(self, request: Request) -> Response:
        """Delete one message."""
        conversation = request.valid(Own).conversation
        await self._deletion.message(
            request.caller.id, conversation["conversationId"], request.path_params["message_id"]
        )
        return Empty(204)
