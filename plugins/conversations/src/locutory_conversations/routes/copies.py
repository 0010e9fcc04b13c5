"""``/api/convos/fork`` and ``/api/convos/duplicate`` (contract convos §2.10, §2.11)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Request, Route, RouteGroup, SignedIn
from locutory_conversations.config import ConversationsConfig
from locutory_conversations.copying.copies import Copies, SourceNotFound
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
        copies = RouteGroup(
            "/api/convos",
            access=SignedIn(),
            limits=self._limits,
            invalid=models.INVALID_COPY,
            responses={404: models.ERROR, 429: {"message": "Too many requests. Try again later"}},
        )
        copy = {"conversation": models.CONVERSATION, "messages": [models.MESSAGE]}
        return [
            copies.post(
                "/fork",
                self.fork,
                "Make a conversation of a part of one",
                body=models.ForkBody,
                responses={200: copy},
                failure="Error forking conversation",
                contract="convos §2.10",
            ),
            copies.post(
                "/duplicate",
                self.duplicate,
                "Make a copy of a conversation",
                body=models.DuplicateBody,
                responses={201: copy},
                failure="Error duplicating conversation",
                contract="convos §2.11",
            ),
        ]

    async def fork(self, request: Request) -> Response:
        """Copy the part up to a message."""
        body = request.valid(models.ForkBody)
        end, start_at = body.messageId, None
        if body.splitAtTarget:
            end, start_at = body.latestMessageId, body.messageId
        try:
            conversation, messages = await self._copies.fork(
                request.caller,
                body.conversationId,
                end,
                option=body.option or "",
                start_at=start_at,
            )
        except SourceNotFound as missing:
            raise error(404, str(missing)) from None
        return _answer(conversation, messages, 200)

    async def duplicate(self, request: Request) -> Response:
        """Copy everything down to the newest message."""
        body = request.valid(models.DuplicateBody)
        title = (body.title or "").strip()[:LONGEST_TITLE]
        try:
            conversation, messages = await self._copies.duplicate(
                request.caller, body.conversationId, title or None
            )
        except SourceNotFound as missing:
            raise error(404, str(missing)) from None
        return _answer(conversation, messages, 201)


def _answer(conversation: Any, messages: Any, status: int) -> Response:
    body = {
        "conversation": shown_conversation(conversation),
        "messages": [full(message) for message in messages],
    }
    return JSON(body, status)
