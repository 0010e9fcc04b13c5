"""The common end of every format."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import orjson

from locutory import now
from locutory.database import Raw
from locutory_conversations.changes import LONGEST_TITLE
from locutory_conversations.copying.cloning import cloned
from locutory_conversations.services.adding import Whole


def whole(
    messages: Sequence[Raw],
    *,
    title: str,
    endpoint: str,
    model: str,
    created: datetime | None,
    settings: dict[str, Any] | None = None,
    origin: str | None = None,
) -> Whole:
    """A conversation with its messages in order. Each comes after its parent; a circle of
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
    return Whole(conversation, cloned(messages, identify=lambda known: known), origin)


def origin_of(program: str, item: Any, *names: str) -> str | None:
    """What tells an item from every other, and from itself after a change: its id under one of
    the ``names``, and a hash of it."""
    known = next((item[name] for name in names if isinstance(item.get(name), str)), "")
    if not known:
        return None
    try:
        data = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # numbers too large, too deep
        return None
    return f"{program}:{known}:{blake2b(data, digest_size=16).hexdigest()}"
