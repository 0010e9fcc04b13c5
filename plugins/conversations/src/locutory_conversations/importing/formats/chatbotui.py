"""Exports of chatbot-ui: ``{version, history: [{name, model: {id}, messages}]}``."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.errors import Junk
from locutory_conversations.importing.fields import text_of
from locutory_conversations.importing.formats.shape import whole
from locutory_conversations.importing.offered import Offered
from locutory_conversations.services.adding import Whole

ENDPOINT = "openAI"


def conversation(item: Any, offered: Offered) -> Whole:
    """One item of the history: a chain of messages."""
    if not isinstance(item, dict) or not isinstance(item.get("messages"), list):
        raise Junk("a conversation has no messages")
    about = item.get("model")
    model = text_of(about.get("id")) if isinstance(about, dict) else ""
    moment, parent = now(), NO_PARENT
    messages: list[dict[str, Any]] = []
    for given in item["messages"]:
        if not isinstance(given, dict):
            raise Junk("a message is not an object")
        role = given.get("role")
        if role not in ("user", "assistant"):
            continue
        message: dict[str, Any] = {
            "messageId": str(uuid4()),
            "parentMessageId": parent,
            "text": _said(given.get("content")),
            "sender": "user" if role == "user" else "GPT-3.5",
            "isCreatedByUser": role == "user",
            "endpoint": ENDPOINT,
            "createdAt": moment + timedelta(milliseconds=len(messages)),
        }
        if role == "assistant" and model:
            message["model"] = model
        messages.append(message)
        parent = message["messageId"]
    return whole(
        messages,
        title=text_of(item.get("name")),
        endpoint=ENDPOINT,
        model=offered.model(ENDPOINT),
        created=moment,
    )


def _said(content: Any) -> str:
    """Text, also of a message with pictures, which is a list of parts."""
    if not isinstance(content, list):
        return text_of(content)
    parts = (part for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "\n".join(filter(None, (text_of(part.get("text")) for part in parts)))
