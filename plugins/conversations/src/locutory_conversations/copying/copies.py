"""Forks and duplicates of conversations (contract convos §2.10, §2.11)."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from locutory import Principal, Raw, Services, now
from locutory_contracts.models import CATALOGUE
from locutory_conversations.copying.cloning import cloned
from locutory_conversations.copying.selection import SELECTIONS, Message, split_at, target_level
from locutory_conversations.service import History

_NOT_COPIED = frozenset(
    ("_id", "__v", "isArchived", "archivedAt", "subagentThread", "subagentThreadLease")
)
_FALLBACK_ENDPOINT = "openAI"


class SourceNotFound(LookupError):
    """The conversation or message to copy does not exist. The text names it."""


class Copies:
    """Makes new conversations out of those of a user. Both answer with the documents:
    the conversation, and its messages in order."""

    def __init__(self, services: Services, history: History) -> None:
        self._services = services
        self._history = history

    async def fork(
        self,
        principal: Principal,
        conversation_id: str,
        message_id: str,
        *,
        option: str = "",
        start_at: str | None = None,
    ) -> tuple[Raw, list[Raw]]:
        """Copy the part up to a message that ``option`` selects (a key of `SELECTIONS`).
        ``start_at``: messages above the level of this one are left out."""
        source, messages = await self._read(principal.id, conversation_id)
        if start_at is not None:
            messages = split_at(messages, start_at)
        chosen = SELECTIONS[option](messages, message_id)
        if not chosen:
            raise SourceNotFound("Message not found")
        return await self._write(principal, source, chosen, None)

    async def duplicate(
        self, principal: Principal, conversation_id: str, title: str | None
    ) -> tuple[Raw, list[Raw]]:
        """All branches down to the level of the newest message."""
        source, messages = await self._read(principal.id, conversation_id)
        if not messages:
            raise SourceNotFound("Conversation has no messages")
        chosen = target_level(messages, messages[-1]["messageId"])
        return await self._write(principal, source, chosen, title)

    async def _read(self, user: str, conversation_id: str) -> tuple[Raw, Sequence[Message]]:
        source = await self._history.find(user, conversation_id)
        if source is None:
            raise SourceNotFound("Conversation not found")
        return source, await self._history.messages(user, conversation_id)

    async def _write(
        self, principal: Principal, source: Raw, chosen: Sequence[Message], title: str | None
    ) -> tuple[Raw, list[Raw]]:
        moment = now()
        endpoint = source.get("endpoint") or _FALLBACK_ENDPOINT
        copy: dict[str, Any] = {
            **{name: value for name, value in source.items() if name not in _NOT_COPIED},
            "conversationId": str(uuid4()),
            "title": title or source.get("title") or "New Chat",
            "endpoint": endpoint,
            "createdAt": moment,
            "updatedAt": moment,
        }
        if not copy.get("model"):
            copy["model"] = await self._default_model(principal, endpoint)
        messages = cloned(chosen, endpoint=endpoint)
        conversation = await self._history.add(principal.id, copy, messages)
        return conversation, await self._history.messages(
            principal.id, conversation["conversationId"]
        )

    async def _default_model(self, principal: Principal, endpoint: str) -> str | None:
        catalogue = self._services.find(CATALOGUE)
        models = {} if catalogue is None else await catalogue.models(principal)
        return next(iter(models.get(endpoint, ())), None)
