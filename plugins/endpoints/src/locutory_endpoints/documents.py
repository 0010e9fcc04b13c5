"""The collection ``keys`` (collections §3.1): provider keys that users brought."""

from datetime import datetime
from typing import ClassVar

from beanie import Document, PydanticObjectId
from pymongo import IndexModel


class UserKey(Document):
    """``value`` is v1 ciphertext; no ``expiresAt`` means that the key never expires."""

    userId: PydanticObjectId  # noqa: N815  (stored names are LibreChat's)
    name: str
    value: str
    expiresAt: datetime | None = None  # noqa: N815
    tenantId: str | None = None  # noqa: N815

    class Settings:
        name = "keys"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("expiresAt", 1)], expireAfterSeconds=0),
            IndexModel([("tenantId", 1)]),
            IndexModel([("userId", 1), ("name", 1)]),
        ]
