"""Collections of the plugin (collections §3.1, §3.2), shared with LibreChat."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import ClassVar, Literal

from beanie import Document
from beanie.odm.fields import PydanticObjectId
from pymongo import ASCENDING, IndexModel

TENANT = IndexModel([("tenantId", ASCENDING)], name="tenantId_1")


class ToolFavorite(Document):
    """A starred tool. ``user`` is an ObjectId."""

    user: PydanticObjectId
    itemType: Literal["builtin", "tool", "mcp", "skill"]
    itemId: str
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "toolfavorites"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user", ASCENDING)], name="user_1"),
            IndexModel(
                [("user", ASCENDING), ("itemType", ASCENDING), ("itemId", ASCENDING)],
                name="user_1_itemType_1_itemId_1",
                unique=True,
            ),
            TENANT,
        ]


class PluginAuth(Document):
    """A secret that a user gave for a tool. ``userId`` is text, ``value`` a v1 ciphertext."""

    authField: str
    value: str
    userId: str
    pluginKey: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "pluginauths"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel(
                [
                    ("userId", ASCENDING),
                    ("pluginKey", ASCENDING),
                    ("authField", ASCENDING),
                    ("tenantId", ASCENDING),
                ],
                name="userId_1_pluginKey_1_authField_1_tenantId_1",
            ),
            TENANT,
        ]
