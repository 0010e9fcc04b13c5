"""Saves a response: a conversation with ``store: true`` (contract agents-api §5.4),
nothing with ``store: false``, else the cached turn that going on from it needs, for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from structlog.stdlib import BoundLogger

from locutory import Services, now
from locutory_agentsapi.routes.items import Items
from locutory_agentsapi.routes.messages import text_of
from locutory_agentsapi.routes.response_cache import CachedResponse, ResponseCache
from locutory_agentsapi.routes.threads import PriorMessages
from locutory_contracts.agents import StoredAgent
from locutory_contracts.conversations import CONVERSATIONS, NO_PARENT, Conversations


@dataclass(frozen=True, slots=True)
class Question:
    """The request that a response answers. ``store`` is the request's member of that name, if
    any."""

    user: str
    agent: StoredAgent
    conversation_id: str
    prior: PriorMessages
    messages: list[dict[str, Any]]
    store: Any


class ResponseWriter:
    """Saves responses as their requests want it."""

    def __init__(self, services: Services, cache: ResponseCache, log: BoundLogger) -> None:
        self._services = services
        self._cache = cache
        self._log = log

    async def write(self, asked: Question, items: Items) -> None:
        """Store or cache an answer. Failures are only logged."""
        history, stored = self._services.find(CONVERSATIONS), False
        if asked.store is True and history is not None:
            try:
                await _save(history, asked, items)
                stored = True
            except Exception:
                self._log.warning("agentsapi.response_not_stored", exc_info=True)
        if asked.store is False:
            return
        previous = items.response["previous_response_id"]
        turn = CachedResponse(
            asked.conversation_id, previous, asked.messages, items.response, stored
        )
        try:
            await self._cache.save(asked.user, turn)
        except Exception:
            self._log.warning("agentsapi.response_not_remembered", exc_info=True)


async def _save(history: Conversations, asked: Question, items: Items) -> None:
    """Save the question, the answer and the conversation; before them the previous ones that were
    not stored. Each message names its parent, so that a response with two continuations is a
    conversation with two branches."""
    agent_id, moment = str(asked.agent["id"]), now()
    messages = [*asked.prior.unsaved, *asked.messages]
    common = {"conversationId": asked.conversation_id, "endpoint": "agents"}
    parent = asked.prior.parent or NO_PARENT
    for message in messages:
        text = text_of(message.get("content"))
        if message["role"] not in ("user", "assistant") or not text:
            continue
        from_user = message["role"] == "user"
        document = {
            **common,
            "messageId": str(uuid4()),
            "parentMessageId": parent,
            "isCreatedByUser": from_user,
            "sender": "User" if from_user else "Agent",
            "text": text,
            "createdAt": moment,
        }
        await history.save_message(asked.user, document)
        parent = document["messageId"]
    answer = {
        **common,
        "messageId": items.response["id"],
        "parentMessageId": parent,
        "isCreatedByUser": False,
        "sender": "Agent",
        "model": agent_id,
        "text": items.text,
        "finish_reason": items.reason,
        "tokenCount": items.usage.output_tokens,
        "metadata": _metadata(items, messages),
    }
    await history.save_message(asked.user, answer)
    fields = {"endpoint": "agents", "agent_id": agent_id, "model": agent_id}
    if asked.prior.parent is None:  # later on it has a title, perhaps its owner's
        fields["title"] = asked.agent.get("name") or "Open Responses Conversation"
    await history.save(asked.user, asked.conversation_id, fields)


def _metadata(items: Items, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Values that stored messages have no member for. ``usage`` is as on answers of chats."""
    response, usage = items.response, items.usage
    system = [text_of(message["content"]) for message in messages if message["role"] == "system"]
    own: Mapping[str, Any] = {
        "previous": response["previous_response_id"],
        "instructions": response["instructions"],
        "system": [text for text in system if text],
    }
    return {
        "usage": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cacheWrite": usage.cache_creation,
            "cacheRead": usage.cache_read,
        },
        "response": {name: value for name, value in own.items() if value},
    }
