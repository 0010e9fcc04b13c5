"""Collection of the plugin, shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document, PydanticObjectId
from pydantic import BaseModel, Field
from pymongo import IndexModel


def _index(*keys: tuple[str, int], **options: Any) -> IndexModel:
    name = "_".join(f"{field}_{direction}" for field, direction in keys)
    return IndexModel(list(keys), name=name, **options)


class FileSnapshot(BaseModel):
    """A file that readers of a link may load, as it was when the link was published."""

    file_id: str
    source: str | None = None
    storageKey: str | None = None
    filepath: str | None = None
    type: str | None = None
    filename: str | None = None
    bytes: float | None = None
    width: float | None = None
    height: float | None = None
    model: str | None = None
    previewRevision: str | None = None
    tenantId: str | None = None


class SharedLink(Document):
    """A link to a conversation as it was published.

    ``messages`` are the ``_id`` of its messages at that time, ``updatedAt`` is the revision.
    Without ``fileSnapshots`` its files were not collected yet. ``isPublic`` is present where no
    access entries are stored: in LibreChat's old links, and in those made while `ACCESS` is off.
    """

    conversationId: str
    title: str | None = None
    user: str
    messages: list[PydanticObjectId] = Field(default_factory=list)
    shareId: str
    targetMessageId: str | None = None
    snapshotFiles: bool | None = None
    fileSnapshots: list[FileSnapshot] | None = None
    isPublic: bool | None = None
    expiredAt: datetime | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "sharedlinks"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("title", 1)),
            _index(("user", 1)),
            _index(("shareId", 1)),
            _index(("targetMessageId", 1)),
            _index(("tenantId", 1)),
            _index(("expiredAt", 1), expireAfterSeconds=0),
            _index(("conversationId", 1), ("user", 1), ("targetMessageId", 1), ("tenantId", 1)),
            _index(("updatedAt", -1)),
            # Not LibreChat's: the orders of one's own links.
            _index(("user", 1), ("createdAt", 1), ("_id", 1)),
            _index(("user", 1), ("title", 1), ("_id", 1)),
        ]


class OrphanedLink(Document):
    """A deleted link whose access entries nobody could remove. ``_id`` is the link's."""

    deletedAt: datetime

    class Settings:
        name = "locutory_share_leftovers"
