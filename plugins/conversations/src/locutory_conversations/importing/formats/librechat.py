"""Exports of LibreChat's client: one conversation, its messages flat or nested."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.copying.cloning import CycleError, cloned
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.fields import (
    conversation_fields,
    message_fields,
    moment_of,
    text_of,
)
from locutory_conversations.importing.formats.shape import make_bundle
from locutory_conversations.importing.resources import without_resources
from locutory_conversations.services.bulk_insert import ConversationBundle

_LISTS = ("content", "attachments")
_FILLED = ("text", "content", "files", "attachments", "children")


def conversation(item: Any, available: AvailableModels) -> ConversationBundle:
    """The conversation of a file."""
    raw = item.get("messagesTree") or item.get("messages") or []
    if not isinstance(raw, list):
        raise InvalidItem("the messages of the file are no list")
    found = item.get("options")
    options = found if isinstance(found, dict) else {}
    endpoint = available.endpoint(item.get("endpoint") or options.get("endpoint") or "openAI")
    flat = _flattened(raw) if item.get("recursive") else raw
    messages = [_message(message) for message in flat]
    try:
        copies = cloned(messages, endpoint=endpoint, cut_cycles=False)
    except CycleError as cycle:
        raise InvalidItem(str(cycle)) from None
    dates = (moment_of(message.get("createdAt")) for message in flat)
    first: datetime | None = next((date for date in dates if date is not None), None)
    return make_bundle(
        copies,
        title=text_of(item.get("title")),
        endpoint=endpoint,
        model=available.model(endpoint),
        created=first,
        settings=conversation_fields(options),
    )


def _flattened(nested: list[Any]) -> list[dict[str, Any]]:
    """Nested messages, each parent before its children. What is empty is left out where nothing
    hangs on it: a file that was sent without words, or an answer that was stopped at once, has
    the rest of the conversation below it."""
    found: list[dict[str, Any]] = []
    stack: list[tuple[Any, str]] = [(message, NO_PARENT) for message in reversed(nested)]
    while stack:
        message, parent = stack.pop()
        if not isinstance(message, dict):
            raise InvalidItem("a message is not an object")
        if not any(message.get(name) for name in _FILLED):
            continue
        known = message.get("messageId")
        identity = known if isinstance(known, str) and known else str(uuid4())
        found.append(
            {
                **{name: value for name, value in message.items() if name != "children"},
                "messageId": identity,
                "parentMessageId": parent,
            }
        )
        children = message.get("children")
        if isinstance(children, list):
            stack += [(child, identity) for child in reversed(children)]
    return found


def _message(raw: Any) -> dict[str, Any]:
    """One message with the fields that a file may give."""
    if not isinstance(raw, dict):
        raise InvalidItem("a message is not an object")
    wrapped = {
        name: [raw[name]]
        for name in _LISTS
        if raw.get(name) is not None and not isinstance(raw[name], list)
    }
    fields = message_fields({**raw, **wrapped})
    own = raw.get("isCreatedByUser") is True
    known, parent = raw.get("messageId"), raw.get("parentMessageId")
    fields |= {
        "messageId": known if isinstance(known, str) and known else str(uuid4()),
        "parentMessageId": parent if isinstance(parent, str) and parent else NO_PARENT,
        "text": text_of(fields.get("text")),
        "createdAt": moment_of(raw.get("createdAt")) or now(),
        "isCreatedByUser": own,
    }
    fields = without_resources(fields)
    updated = moment_of(raw.get("updatedAt"))
    return fields if updated is None else {**fields, "updatedAt": updated}
