"""The collection of the plugin, shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import ClassVar

from beanie import Document
from beanie.odm.fields import PydanticObjectId
from pymongo import ASCENDING, IndexModel


class MemoryEntry(Document):
    """One memory of a user. Without ``agentId`` it is in the scope that all chats share. Ours
    have an ``_id`` made of owner, scope and key, so that no two of one key can be written;
    LibreChat's have one of their own."""

    userId: PydanticObjectId
    key: str
    value: str
    agentId: str | None = None
    tokenCount: float = 0
    updated_at: datetime
    tenantId: str | None = None

    class Settings:
        name = "memoryentries"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("userId", ASCENDING)], name="userId_1"),
            IndexModel([("tenantId", ASCENDING)], name="tenantId_1"),
            IndexModel(
                [("userId", ASCENDING), ("agentId", ASCENDING), ("key", ASCENDING)],
                name="userId_1_agentId_1_key_1",
            ),
        ]
