"""The common end of every format."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import orjson

from locutory import Raw, now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.copying.cloning import cloned
from locutory_conversations.services.bulk_insert import ConversationBundle
from locutory_conversations.updates import LONGEST_TITLE


def make_bundle(
    messages: Sequence[Raw],
    *,
    title: str,
    endpoint: str,
    model: str,
    created: datetime | None,
    settings: dict[str, Any] | None = None,
    origin: str | None = None,
) -> ConversationBundle:
    """A conversation with its messages in order. Each comes after its parent; a cycle of
    parents is cut."""
    moment = created or now()
    conversation = {
        "model": model,
        **(settings or {}),
        "conversationId": str(uuid4()),
        "endpoint": endpoint,
        "title": title.strip()[:LONGEST_TITLE] or "Imported Chat",
        "createdAt": moment,
        "updatedAt": moment,
    }
    return ConversationBundle(conversation, cloned(messages, identify=lambda known: known), origin)


def parents_of(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The parent of each node that has one. Some exports name only the ``children``."""
    parents = {
        child: name
        for name, node in nodes.items()
        if isinstance(children := node.get("children"), list)
        for child in children
        if isinstance(child, str)
    }
    named = {
        name: parent
        for name, node in nodes.items()
        if isinstance(parent := node.get("parent"), str)
    }
    return {**parents, **named}


def climb(name: str, parents: Mapping[str, str], ids: Mapping[str, str]) -> str:
    """The new id of the next node above that became a message."""
    passed = {name}
    at = parents.get(name)
    while at is not None and at not in passed:
        if at in ids:
            return ids[at]
        passed.add(at)
        at = parents.get(at)
    return NO_PARENT


def origin_of(program: str, item: Any, *names: str) -> str | None:
    """A key that tells an item from every other, and from itself after a change: its id under
    one of the ``names``, and a hash of it."""
    known = next((item[name] for name in names if isinstance(item.get(name), str)), "")
    if not known:
        return None
    try:
        data = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # numbers too large, too deep
        return None
    return f"{program}:{known}:{blake2b(data, digest_size=16).hexdigest()}"
