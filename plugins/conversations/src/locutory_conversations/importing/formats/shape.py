"""The common end of every format."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

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
    return Whole(conversation, cloned(messages, identify=lambda known: known))
