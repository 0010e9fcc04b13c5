"""Collection of the plugin (collections §3.4), shared with LibreChat."""

from datetime import datetime
from typing import ClassVar, Literal

from beanie import Document
from pymongo import ASCENDING, IndexModel


class Banner(Document):
    """A message above the client, shown from ``displayFrom`` to ``displayTo``."""

    bannerId: str  # noqa: N815
    message: str
    displayFrom: datetime  # noqa: N815
    displayTo: datetime | None = None  # noqa: N815
    type: Literal["banner", "popup"] = "banner"
    isPublic: bool = False  # noqa: N815
    persistable: bool = False
    tenantId: str | None = None  # noqa: N815
    createdAt: datetime  # noqa: N815
    updatedAt: datetime  # noqa: N815

    class Settings:
        name = "banners"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("tenantId", ASCENDING)], name="tenantId_1")
        ]
