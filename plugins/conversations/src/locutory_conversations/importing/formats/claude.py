"""Exports of Claude: ``[{name, created_at, chat_messages: [{sender, content, …}]}]``."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.errors import Junk
from locutory_conversations.importing.fields import moment_of, text_of
from locutory_conversations.importing.formats.shape import whole
from locutory_conversations.importing.offered import Offered
from locutory_conversations.services.adding import Whole

ENDPOINT = "anthropic"
_STEP = timedelta(milliseconds=1)


def conversation(item: Any, offered: Offered) -> Whole:
    """One conversation: a chain of messages."""
    if not isinstance(item, dict) or not isinstance(item.get("chat_messages"), list):
        raise Junk("a conversation has no chat_messages")
    begun = moment_of(item.get("created_at"))
    messages: list[dict[str, Any]] = []
    parent, last = NO_PARENT, None
    for given in item["chat_messages"]:
        if not isinstance(given, dict):
            raise Junk("a message is not an object")
        text, thinking = _content(given)
        if not text and not thinking:
            continue
        created = _after(last, moment_of(given.get("created_at")) or begun or now())
        own = given.get("sender") == "human"
        message: dict[str, Any] = {
            "messageId": str(uuid4()),
            "parentMessageId": parent,
            "text": text,
            "sender": "user" if own else "Claude",
            "isCreatedByUser": own,
            "endpoint": ENDPOINT,
            "createdAt": created,
        }
        if thinking and not own:
            message["content"] = [
                {"type": "think", "think": thinking},
                {"type": "text", "text": text},
            ]
        messages.append(message)
        parent, last = message["messageId"], created
    return whole(
        messages,
        title=text_of(item.get("name"), "Imported Claude Chat"),
        endpoint=ENDPOINT,
        model=offered.model(ENDPOINT),
        created=begun,
    )


def _content(message: dict[str, Any]) -> tuple[str, str]:
    """(text, thinking) of a message."""
    text = thinking = ""
    parts = message.get("content")
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text":
            text += text_of(part.get("text"))
        elif part.get("type") == "thinking":
            thinking += text_of(part.get("thinking"))
    return text or text_of(message.get("text")), thinking


def _after(last: datetime | None, moment: datetime) -> datetime:
    return moment if last is None or moment > last else last + _STEP
