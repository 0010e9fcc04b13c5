"""Collections of the plugin. The first is shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pymongo import IndexModel


def _index(*keys: tuple[str, int]) -> IndexModel:
    name = "_".join(f"{field}_{direction}" for field, direction in keys)
    return IndexModel(list(keys), name=name)


class ChatProject(Document):
    """A project of one user, whose id is text. The last three fields of its own are the
    statistics: they cover the conversations that lists show."""

    name: str
    description: str = ""
    user: str
    conversationCount: float = 0
    lastConversationAt: datetime | None = None
    lastConversationId: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "chatprojects"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("name", 1)),
            _index(("user", 1)),
            _index(("lastConversationAt", 1)),
            _index(("tenantId", 1)),
            _index(("user", 1), ("name", 1), ("_id", 1)),
            _index(("user", 1), ("createdAt", -1), ("_id", -1)),
            _index(("user", 1), ("lastConversationAt", -1), ("_id", -1)),
        ]


class Recount(Document):
    """A project whose statistics must be computed again (``_id``: ``<user>:<project>``); left by a
    server that stopped before it did so."""

    class Settings:
        name = "locutory_project_recounts"
