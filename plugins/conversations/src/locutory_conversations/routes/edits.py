"""``/api/messages``: writing (contract messages §3.2, §3.3, §3.5 to §3.7)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from locutory import JSON, Empty, Request, Route, SignedIn
from locutory_conversations.deletion import Deletion
from locutory_conversations.editing.drafts import MessageDraft, storable
from locutory_conversations.editing.edits import Edits
from locutory_conversations.editing.feedback import checked
from locutory_conversations.editing.parts import BadPart
from locutory_conversations.listing.messages import full
from locutory_conversations.routes import models
from locutory_conversations.routes.checks import ConversationChecks, error
from locutory_conversations.routes.messages import FAILED
from locutory_conversations.service import History
from locutory_conversations.store import is_uuid

_EDITED = (
    *("messageId", "conversationId", "parentMessageId", "sender", "text", "isCreatedByUser"),
    *("tokenCount", "feedback", "endpoint", "langfuseSampled", "langfuseDestinationIds"),
)
_OF_CONVERSATION = ("endpoint", "model", "iconURL")


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
        one = "/api/messages/{conversation_id}/{message_id}"
        return [
            _route(one, "PUT", self.edit, "Edit a message or one part of it", "§3.2",
                   models.EditBody, {200: models.MESSAGE}),
            _route(f"{one}/feedback", "PUT", self.feedback, "Rate an answer, or clear the rating",
                   "§3.3", models.FeedbackBody, {200: {"feedback": None}},
                   failure={"error": "Failed to update feedback"}),
            _route("/api/messages/artifact/{message_id}", "POST", self.artifact,
                   "Replace a piece of an artifact", "§3.5", models.ArtifactBody,
                   {200: {"conversationId": "UUID", "content": [], "text": ""}}),
            _route("/api/messages/branch", "POST", self.branch,
                   "Make a sibling with the parts of one agent", "§3.6", models.BranchBody,
                   {201: models.MESSAGE}),
            _route("/api/messages/{conversation_id}", "POST", self.save, "Save a message",
                   "§3.7", MessageDraft, {201: models.MESSAGE}),
            _route(one, "DELETE", self.delete, "Delete a message", "§3.7", None,
                   {204: "Deleted, or not there"}),
        ]  # fmt: skip

    async def edit(self, request: Request) -> Response:
        """Replace the text of a message or of one content part."""
        conversation = await self._checks.conversation(request)
        message = await self._history.message(request.caller.id, request.path_params["message_id"])
        if message is None or message.get("conversationId") != conversation["conversationId"]:
            raise error(404, "Message not found")
        self._checks.writable(conversation)
        text = request.fields.get("text")
        if not isinstance(text, str):
            raise error(400, "text must be a string")
        if "index" not in request.fields:
            edited = await self._edits.text(request.caller.id, message, text)
        else:
            try:
                edited = await self._edits.part(
                    request.caller.id, message, request.fields["index"], text
                )
            except BadPart as wrong:
                raise error(400, str(wrong)) from None
        return JSON({name: edited[name] for name in _EDITED if name in edited})

    async def feedback(self, request: Request) -> Response:
        """Store or clear a rating."""
        conversation = await self._checks.conversation(request)
        try:
            feedback = checked(request.fields.get("feedback"))
        except ValueError:
            raise error(400, "Invalid feedback") from None
        message_id = request.path_params["message_id"]
        stored = await self._edits.feedback(request.caller.id, message_id, feedback)
        if stored is False:
            raise error(404, "Message not found")
        return JSON(
            {
                "messageId": message_id,
                "conversationId": conversation["conversationId"],
                "feedback": stored,
            }
        )

    async def artifact(self, request: Request) -> Response:
        """Replace a piece of an artifact."""
        index, original, updated = (
            request.fields.get(name) for name in ("index", "original", "updated")
        )
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise error(400, "Invalid request parameters")
        if not isinstance(original, str) or not isinstance(updated, str):
            raise error(400, "Invalid request parameters")
        user = request.caller.id
        message = await self._history.message(user, request.path_params["message_id"])
        if message is None:
            raise error(404, "Message not found")
        await self._checks.writable_message(user, message)
        try:
            edited = await self._edits.artifact(user, message, index, original, updated)
        except IndexError:
            raise error(400, "Artifact index out of bounds") from None
        if edited is None:
            raise error(400, "Original content not found in target artifact")
        names = ("conversationId", "content", "text")
        return JSON({name: edited[name] for name in names if name in edited})

    async def branch(self, request: Request) -> Response:
        """Save a sibling of an answer that several agents gave."""
        message_id, agent = request.fields.get("messageId"), request.fields.get("agentId")
        if not (isinstance(message_id, str) and message_id and isinstance(agent, str) and agent):
            raise error(400, "messageId and agentId are required")
        user = request.caller.id
        source = await self._history.message(user, message_id)
        if source is None:
            raise error(404, "Source message not found")
        await self._checks.writable_message(user, source)
        if source.get("isCreatedByUser"):
            raise error(400, "Cannot branch from user messages")
        try:
            saved = await self._edits.branch(user, source, agent)
        except BadPart as wrong:
            raise error(400, str(wrong)) from None
        except ValueError:
            raise error(500, "Failed to save branch message") from None
        return JSON(full(dict(saved)), 201)

    async def save(self, request: Request) -> Response:
        """Save a message as the client gives it."""
        conversation = await self._checks.conversation(request)
        conversation_id = conversation["conversationId"]
        self._checks.writable(conversation)
        if not is_uuid(conversation_id):
            raise error(400, "Message not saved")
        fields = MessageDraft.model_validate(request.fields).model_dump(exclude_unset=True)
        if not storable(fields):
            raise error(400, "Message not saved")
        temporary = request.fields.get("isTemporary")
        user = request.caller.id
        saved = await self._history.save_message(
            user,
            {**fields, "conversationId": conversation_id},
            temporary=temporary if isinstance(temporary, bool) else None,
        )
        settings = {name: fields[name] for name in _OF_CONVERSATION if name in fields}
        await self._history.save(user, conversation_id, settings, create=False)
        return JSON(full(dict(saved)), 201)

    async def delete(self, request: Request) -> Response:
        """Delete one message."""
        conversation = await self._checks.conversation(request)
        self._checks.writable(conversation)
        await self._deletion.message(
            request.caller.id, conversation["conversationId"], request.path_params["message_id"]
        )
        return Empty(204)


def _route(
    path: str,
    method: str,
    endpoint: Any,
    summary: str,
    section: str,
    body: Any,
    responses: dict[int, Any],
    failure: Mapping[str, Any] = FAILED,
) -> Route:
    refusals = {400: models.ERROR, 404: models.ERROR}
    if not path.endswith("feedback"):
        refusals[409] = models.ERROR
    return Route(
        path=path,
        endpoint=endpoint,
        methods=(method,),
        access=SignedIn(),
        summary=summary,
        body_schema=body,
        responses={**responses, **refusals},
        failure=failure,
        contract=f"messages {section}",
    )
