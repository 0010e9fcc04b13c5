"""``/api/convos/fork`` and ``/api/convos/duplicate`` (contract convos §2.10, §2.11)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Request, Route, SignedIn
from locutory_conversations.config import ConversationsConfig
from locutory_conversations.copying.copies import Copies, SourceNotFound
from locutory_conversations.copying.selection import SELECTIONS
from locutory_conversations.listing.messages import full
from locutory_conversations.routes import models
from locutory_conversations.routes.checks import error
from locutory_conversations.routes.conversations import shown_conversation
from locutory_conversations.routes.limits import fork_limits
from locutory_conversations.updates import LONGEST_TITLE


class CopyRoutes:
    """Copies of conversations."""

    def __init__(self, config: ConversationsConfig, copies: Copies) -> None:
        self._limits = fork_limits(config)
        self._copies = copies

    def all(self) -> list[Route]:
        """The routes."""
        return [
            self._route("fork", self.fork, models.ForkBody, 200, "§2.10"),
            self._route("duplicate", self.duplicate, models.DuplicateBody, 201, "§2.11"),
        ]

    def _route(self, name: str, endpoint: Any, body: Any, status: int, section: str) -> Route:
        doing = "forking" if name == "fork" else "duplicating"
        return Route(
            path=f"/api/convos/{name}",
            endpoint=endpoint,
            methods=("POST",),
            access=SignedIn(),
            summary="Make a conversation of a part of one"
            if name == "fork"
            else "Make a copy of a conversation",
            body_schema=body,
            limits=self._limits,
            responses={
                status: {"conversation": models.CONVERSATION, "messages": [models.MESSAGE]},
                400: models.ERROR,
                404: models.ERROR,
                429: {"message": "Too many requests. Try again later"},
            },
            failure=f"Error {doing} conversation",
            contract=f"convos {section}",
        )

    async def fork(self, request: Request) -> Response:
        """Copy the part up to a message."""
        conversation_id, message_id = _text(request, "conversationId"), _text(request, "messageId")
        option = request.fields.get("option")
        option = "" if option is None else option
        if not isinstance(option, str) or option not in SELECTIONS:
            raise error(400, "option must be directPath, includeBranches or targetLevel")
        start_at = None
        if request.fields.get("splitAtTarget") is True:
            start_at, message_id = message_id, _text(request, "latestMessageId")
        try:
            conversation, messages = await self._copies.fork(
                request.caller, conversation_id, message_id, option=option, start_at=start_at
            )
        except SourceNotFound as missing:
            raise error(404, str(missing)) from None
        return _answer(conversation, messages, 200)

    async def duplicate(self, request: Request) -> Response:
        """Copy everything down to the newest message."""
        conversation_id = _text(request, "conversationId")
        title = request.fields.get("title")
        if title is not None and not isinstance(title, str):
            raise error(400, "title must be a string")
        try:
            conversation, messages = await self._copies.duplicate(
                request.caller, conversation_id, (title or "").strip()[:LONGEST_TITLE] or None
            )
        except SourceNotFound as missing:
            raise error(404, str(missing)) from None
        return _answer(conversation, messages, 201)


def _text(request: Request, name: str) -> str:
    value = request.fields.get(name)
    if not isinstance(value, str) or not value:
        raise error(400, f"{name} is required")
    return value


def _answer(conversation: Any, messages: Any, status: int) -> Response:
    body = {
        "conversation": shown_conversation(conversation),
        "messages": [full(message) for message in messages],
    }
    return JSON(body, status)
