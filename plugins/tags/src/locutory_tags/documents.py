"""Collections of the plugin. The first is shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import IndexModel


def _index(*fields: str, unique: bool = False) -> IndexModel:
    name = "_".join(f"{field}_1" for field in fields)
    return IndexModel([(field, 1) for field in fields], name=name, unique=unique)


class ConversationTag(Document):
    """A bookmark of one user, whose id is text. ``count``: conversations that carry it;
    ``position``: its place in the list, from 1; 0 for one that was made in passing."""

    tag: str
    user: str
    description: str | None = None
    uses: float = Field(0, alias="count")  # a document has a method ``count``
    position: float = 0
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "conversationtags"
        indexes: ClassVar[list[IndexModel]] = [
            _index("tag"),
            _index("user"),
            _index("description"),
            _index("position"),
            _index("tenantId"),
            _index("tag", "user", "tenantId", unique=True),
        ]


class Recount(Document):
    """A user (``_id``) whose counts must be computed again; left by a server that stopped before it
    did so."""

    class Settings:
        name = "locutory_tag_recounts"
