"""Exports of chatbot-ui: ``{version, history: [{name, model: {id}, messages}]}``."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.fields import text_of
from locutory_conversations.importing.formats.shape import make_bundle
from locutory_conversations.services.bulk_insert import ConversationBundle

ENDPOINT = "openAI"


def conversation(item: Any, available: AvailableModels) -> ConversationBundle:
    """One item of the history: a chain of messages."""
    if not isinstance(item, dict) or not isinstance(item.get("messages"), list):
        raise InvalidItem("a conversation has no messages")
    about = item.get("model")
    model = text_of(about.get("id")) if isinstance(about, dict) else ""
    moment, parent = now(), NO_PARENT
    messages: list[dict[str, Any]] = []
    for raw in item["messages"]:
        if not isinstance(raw, dict):
            raise InvalidItem("a message is not an object")
        role = raw.get("role")
        if role not in ("user", "assistant"):
            continue
        message: dict[str, Any] = {
            "messageId": str(uuid4()),
            "parentMessageId": parent,
            "text": _content_text(raw.get("content")),
            "sender": "user" if role == "user" else "GPT-3.5",
            "isCreatedByUser": role == "user",
            "endpoint": ENDPOINT,
            "createdAt": moment + timedelta(milliseconds=len(messages)),
        }
        if role == "assistant" and model:
            message["model"] = model
        messages.append(message)
        parent = message["messageId"]
    return make_bundle(
        messages,
        title=text_of(item.get("name")),
        endpoint=ENDPOINT,
        model=available.model(ENDPOINT),
        created=moment,
    )


def _content_text(content: Any) -> str:
    """Text, also of a message with pictures, which is a list of parts."""
    if not isinstance(content, list):
        return text_of(content)
    parts = (part for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "\n".join(filter(None, (text_of(part.get("text")) for part in parts)))
