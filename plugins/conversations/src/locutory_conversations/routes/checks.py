"""Checks of access to conversations (contract convos §2.6, messages §2)."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from locutory import Events, HTTPError, LimitExceeded, Raw, Request, Services
from locutory_contracts.chat import GENERATIONS
from locutory_conversations.lru_cache import LRUCache
from locutory_conversations.service import History
from locutory_conversations.store import Store, key_of

NOT_YOURS = "User not authorized for this conversation"
VIEW_ONLY = (
    "This subagent thread is view-only. "
    "Continue it from its parent agent or create a separate chat."
)
NEW = "new"
_KNOWN = 20_000
_KNOWN_SECONDS = 60.0
_CHILD_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-b[0-9a-f]{3}-[0-9a-f]{12}")


def error(status: int, text: str) -> HTTPError:
    """An answer ``{"error": text}``."""
    return HTTPError(status, {"error": text})


@dataclass(frozen=True, slots=True)
class Own:
    """The caller's conversation of the path: ``{_id, conversationId, subagentThread?}``."""

    conversation: Raw


class ConversationChecks:
    """Checks in front of the handlers; each raises the contract's answer."""

    def __init__(
        self, store: Store, services: Services, events: Events, history: History, score: float
    ) -> None:
        self._store = store
        self._services = services
        self._events = events
        self._history = history
        self._score = score
        self._known: LRUCache[tuple[str, str], bool] = LRUCache(_KNOWN, _KNOWN_SECONDS)

    async def guard(self, request: Request) -> None:
        """As a check of a route: refuse conversations of others before the body is validated."""
        body = None if request.route is None else request.route.body
        try:
            if body is not None:
                body.model_validate(request.payload, strict=True)
        except ValidationError:
            arg = request.payload.get("arg") if isinstance(request.payload, dict) else None
            conversation_id = arg.get("conversationId") if isinstance(arg, dict) else None
            if isinstance(conversation_id, str) and conversation_id:
                await self.refuse_foreign(request, conversation_id)

    async def own(self, request: Request) -> None:
        """As a check of a route: `conversation`, kept as `Own`."""
        request.keep(Own(await self.conversation(request)))

    async def own_and_writable(self, request: Request) -> None:
        """As a check of a route: `own` and `writable`."""
        await self.own(request)
        self.writable(request.valid(Own).conversation)

    async def refuse_foreign(self, request: Request, conversation_id: str) -> None:
        """403 when only others have this conversation. Called where the caller's own was
        not found, so that the usual case costs nothing."""
        if conversation_id == NEW:
            return
        owners = await self._history.owners(conversation_id)
        if not owners or request.caller.id in owners:
            return
        await self._events.publish(
            LimitExceeded(
                "convo_access", "convo_access", self._score, request.caller.id, request.ip
            )
        )
        raise error(403, NOT_YOURS)

    def matching(self, request: Request) -> str:
        """The conversation id of the path; 400 when the body names another one. ``new``
        ends the request with an empty list."""
        conversation_id: str = request.path_params["conversation_id"]
        body = request.payload if isinstance(request.payload, dict) else {}
        inner = body.get("message")
        for holder in (body, inner if isinstance(inner, dict) else {}):
            named = holder.get("conversationId")
            if named is not None and named != "" and named != conversation_id:
                raise error(400, "Conversation ID mismatch")
        if conversation_id == NEW:
            raise HTTPError(200, [])
        return conversation_id

    async def conversation(self, request: Request) -> Raw:
        """The caller's conversation of the path, as ``{_id, conversationId,
        subagentThread?}``; 404 when there is none."""
        conversation_id = self.matching(request)
        row = await self._store.conversations.find_one(
            key_of(request.caller.id, conversation_id), {"conversationId": 1, "subagentThread": 1}
        )
        if row is None:
            raise error(404, "Conversation not found")
        return row

    def known(self, user: str, conversation_id: str) -> bool:
        """``True`` when this conversation of the user was found recently."""
        return self._known.get((user, conversation_id)) is not None

    async def readable(self, user: str, conversation_id: str) -> None:
        """404 unless the user has this conversation, or its first turn is running."""
        row = await self._store.conversations.find_one(key_of(user, conversation_id), {"_id": 1})
        if row is not None:
            self._known.put((user, conversation_id), True)
        elif not await self.running(user, conversation_id):
            raise error(404, "Conversation not found")

    async def running(self, user: str, conversation_id: str) -> bool:
        """``True`` when a turn is running there; its first save may still be pending."""
        generations = self._services.find(GENERATIONS)
        return generations is not None and await generations.active(user, conversation_id)

    def writable(self, conversation: Raw) -> None:
        """409 for a child thread of an agent."""
        if conversation.get("subagentThread") or is_child_id(conversation.get("conversationId")):
            raise error(409, VIEW_ONLY)

    async def writable_message(self, user: str, message: Raw) -> None:
        """409 when the message belongs to a child thread."""
        conversation_id = message.get("conversationId")
        row: Raw | None = None
        if isinstance(conversation_id, str):
            row = await self._store.conversations.find_one(
                key_of(user, conversation_id), {"subagentThread": 1}
            )
        self.writable({**(row or {}), "conversationId": conversation_id})


def is_child_id(value: Any) -> bool:
    """``True`` for an id of the form reserved for child threads."""
    return isinstance(value, str) and _CHILD_ID.fullmatch(value) is not None
