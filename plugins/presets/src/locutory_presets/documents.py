"""The collection of the plugin, shared with LibreChat (collections §3.2)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import IndexModel

from locutory_contracts.model_settings import ModelSettings


def _index(*fields: str, unique: bool = False) -> IndexModel:
    name = "_".join(f"{field}_1" for field in fields)
    return IndexModel([(field, 1) for field in fields], name=name, unique=unique)


class Preset(ModelSettings, Document):
    """A preset of one user, whose id is text."""

    presetId: str
    title: str | None = "New Chat"
    user: str | None = None
    defaultPreset: bool | None = None
    order: float | None = None

    endpoint: str | None = None
    isArchived: bool | None = False
    tags: list[str] | None = Field(default_factory=list)

    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "presets"
        indexes: ClassVar[list[IndexModel]] = [
            _index("presetId"),
            _index("tenantId"),
            _index("presetId", "tenantId", unique=True),
            # Not one of LibreChat's, which reads the whole collection for the list.
            _index("user"),
        ]
