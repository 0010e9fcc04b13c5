"""The collection of the plugin, shared with LibreChat (contract api-keys §2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import ClassVar

from beanie import Document
from beanie.odm.fields import PydanticObjectId
from pymongo import ASCENDING, IndexModel


def _index(*fields: str) -> IndexModel:
    keys = [(field, ASCENDING) for field in fields]
    return IndexModel(keys, name="_".join(f"{field}_1" for field in fields))


class AgentApiKey(Document):
    """A key of a user; of its text only a hash is kept. ``scopes`` is ours: absent means all."""

    userId: PydanticObjectId
    name: str
    keyHash: str
    keyPrefix: str
    lastUsedAt: datetime | None = None
    expiresAt: datetime | None = None
    scopes: list[str] | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "agentapikeys"
        indexes: ClassVar[list[IndexModel]] = [
            _index("userId"),
            _index("keyHash"),
            _index("keyPrefix"),
            _index("tenantId"),
            _index("userId", "name", "tenantId"),
            IndexModel([("expiresAt", ASCENDING)], name="expiresAt_1", expireAfterSeconds=0),
        ]
