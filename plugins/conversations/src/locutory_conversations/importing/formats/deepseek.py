"""Exports of DeepSeek: ``[{id, title, inserted_at, mapping: {id: {message, parent, children}}}]``.

A message is ``{model, inserted_at, fragments: [{type: "REQUEST" | "THINK" | "RESPONSE", content}]}``;
older exports have ``{role, content, thinking_content}`` instead of the fragments.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.fields import moment_of, text_of
from locutory_conversations.importing.formats.shape import climb, make_bundle, origin_of, parents_of
from locutory_conversations.services.bulk_insert import ConversationBundle

_NAMES = ("deepseek", "DeepSeek", "Deepseek")
_SENDER = "DeepSeek"


def is_deepseek(item: Any) -> bool:
    """``True`` when a conversation with a ``mapping`` is one of DeepSeek."""
    mapping = item.get("mapping") if isinstance(item, dict) else None
    nodes = mapping.values() if isinstance(mapping, dict) else ()
    for node in nodes:
        message = node.get("message") if isinstance(node, dict) else None
        if isinstance(message, dict):
            return isinstance(message.get("fragments"), list) or isinstance(
                message.get("content"), str
            )
    return False


def conversation(item: Any, available: AvailableModels) -> ConversationBundle:
    """One conversation: a tree of messages."""
    if not isinstance(item, dict) or not isinstance(item.get("mapping"), dict):
        raise InvalidItem("a conversation has no mapping")
    nodes = {name: node for name, node in item["mapping"].items() if isinstance(node, dict)}
    parents = parents_of(nodes)
    begun = moment_of(item.get("inserted_at"))
    endpoint = available.endpoint(next((n for n in _NAMES if n in available.endpoints), _NAMES[0]))
    contents = {
        name: _contents_of(node["message"])
        for name, node in nodes.items()
        if isinstance(node.get("message"), dict)
    }
    ids = {name: str(uuid4()) for name, (_, text, thought) in contents.items() if text or thought}
    messages: list[dict[str, Any]] = []
    for name, identity in ids.items():
        own, text, thought = contents[name]
        raw = nodes[name]["message"]
        message: dict[str, Any] = {
            "messageId": identity,
            "parentMessageId": climb(name, parents, ids),
            "text": text,
            "sender": "user" if own else _SENDER,
            "isCreatedByUser": own,
            "endpoint": endpoint,
            "model": text_of(raw.get("model"), available.model(endpoint)),
            "createdAt": moment_of(raw.get("inserted_at")) or begun or now(),
        }
        if thought and not own:
            message["content"] = [
                {"type": "think", "think": thought},
                {"type": "text", "text": text},
            ]
        messages.append(message)
    return make_bundle(
        messages,
        title=text_of(item.get("title")),
        endpoint=endpoint,
        model=available.known(endpoint, (message["model"] for message in reversed(messages))),
        created=begun or min((each["createdAt"] for each in messages), default=None),
        origin=origin_of("deepseek", item, "id"),
    )


def _contents_of(message: Mapping[str, Any]) -> tuple[bool, str, str]:
    """(the user's own, text, thinking)"""
    fragments = message.get("fragments")
    if not isinstance(fragments, list):
        own = text_of(message.get("role")).upper() == "USER"
        return own, text_of(message.get("content")), text_of(message.get("thinking_content"))
    kinds: dict[str, list[str]] = {}
    for fragment in fragments:
        if isinstance(fragment, dict):
            kind = text_of(fragment.get("type")).upper()
            kinds.setdefault(kind, []).append(text_of(fragment.get("content")))
    texts = [*kinds.get("REQUEST", ()), *kinds.get("RESPONSE", ())]
    thoughts = kinds.get("THINK", ())
    return "REQUEST" in kinds, "\n\n".join(filter(None, texts)), "\n\n".join(filter(None, thoughts))
