"""Exports of LibreChat's client: one conversation, its messages flat or nested."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.copying.cloning import Circle, cloned
from locutory_conversations.importing.errors import Junk
from locutory_conversations.importing.fields import (
    conversation_fields,
    message_fields,
    moment_of,
    text_of,
)
from locutory_conversations.importing.formats.shape import whole
from locutory_conversations.importing.offered import Offered
from locutory_conversations.importing.resources import without_resources
from locutory_conversations.services.adding import Whole

_LISTS = ("content", "attachments")
_FILLED = ("text", "content", "files", "attachments", "children")


def conversation(item: Any, offered: Offered) -> Whole:
    """The conversation of a file."""
    given = item.get("messagesTree") or item.get("messages") or []
    if not isinstance(given, list):
        raise Junk("the messages of the file are no list")
    found = item.get("options")
    options = found if isinstance(found, dict) else {}
    endpoint = offered.endpoint(item.get("endpoint") or options.get("endpoint") or "openAI")
    flat = _flattened(given) if item.get("recursive") else given
    messages = [_message(message) for message in flat]
    try:
        copies = cloned(messages, endpoint=endpoint, cut_circles=False)
    except Circle as circle:
        raise Junk(str(circle)) from None
    dates = (moment_of(message.get("createdAt")) for message in flat)
    first: datetime | None = next((date for date in dates if date is not None), None)
    return whole(
        copies,
        title=text_of(item.get("title")),
        endpoint=endpoint,
        model=offered.model(endpoint),
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
            raise Junk("a message is not an object")
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


def _message(given: Any) -> dict[str, Any]:
    """One message with the fields that a file may give."""
    if not isinstance(given, dict):
        raise Junk("a message is not an object")
    wrapped = {
        name: [given[name]]
        for name in _LISTS
        if given.get(name) is not None and not isinstance(given[name], list)
    }
    fields = message_fields({**given, **wrapped})
    own = given.get("isCreatedByUser") is True
    known, parent = given.get("messageId"), given.get("parentMessageId")
    fields |= {
        "messageId": known if isinstance(known, str) and known else str(uuid4()),
        "parentMessageId": parent if isinstance(parent, str) and parent else NO_PARENT,
        "text": text_of(fields.get("text")),
        "createdAt": moment_of(given.get("createdAt")) or now(),
        "isCreatedByUser": own,
    }
    fields = without_resources(fields)
    updated = moment_of(given.get("updatedAt"))
    return fields if updated is None else {**fields, "updatedAt": updated}
