"""Collections of the plugin, shared with LibreChat (collections §3.3)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar, Literal

from beanie import Document, PydanticObjectId
from pymongo import IndexModel

from locutory import Raw


def _index(*keys: tuple[str, int]) -> IndexModel:
    return IndexModel(list(keys), name="_".join(f"{field}_{way}" for field, way in keys))


class PromptGroup(Document):
    """A group of versions, which users call a prompt. ``productionId`` names the version in use.
    Documents of old versions of LibreChat may also hold ``projectIds`` and ``isActive``; they
    stay as they are and are not shown."""

    name: str
    numberOfGenerations: int = 0
    oneliner: str = ""
    category: str = ""
    productionId: PydanticObjectId | None = None
    author: PydanticObjectId
    authorName: str
    command: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "promptgroups"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("name", 1)),
            _index(("category", 1)),
            _index(("productionId", 1)),
            _index(("author", 1)),
            _index(("command", 1)),
            _index(("tenantId", 1)),
            _index(("numberOfGenerations", -1), ("updatedAt", -1), ("_id", 1)),
        ]


class Prompt(Document):
    """One version of a prompt's text; never changed once it is stored."""

    groupId: PydanticObjectId
    author: PydanticObjectId
    prompt: str
    type: Literal["text", "chat"]
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "prompts"
        indexes: ClassVar[list[IndexModel]] = [
            _index(("groupId", 1)),
            _index(("author", 1)),
            _index(("tenantId", 1)),
            _index(("createdAt", 1), ("updatedAt", 1)),
        ]


class PendingTransfer(Document):
    """A group of another author that an account was the only owner of when its deletion began;
    ``_id`` is the group's. Afterwards the entries no longer show that."""

    user: str

    class Settings:
        name = "locutory_prompts_leaving"
        indexes: ClassVar[list[IndexModel]] = [_index(("user", 1))]


SUMMARY: dict[str, Any] = {
    "name": 1,
    "numberOfGenerations": 1,
    "oneliner": 1,
    "category": 1,
    "productionId": 1,
    "author": 1,
    "authorName": 1,
    "command": 1,
    "createdAt": 1,
    "updatedAt": 1,
}
"""The fields of a group that lists show."""

GROUP: dict[str, Any] = {**SUMMARY, "tenantId": 1, "__v": 1}
"""The fields of a single group that are shown."""

PROMPT: dict[str, Any] = {
    "groupId": 1,
    "author": 1,
    "prompt": 1,
    "type": 1,
    "tenantId": 1,
    "createdAt": 1,
    "updatedAt": 1,
    "__v": 1,
}
"""The fields of a version that are shown."""


def without(document: Raw, *names: str) -> Raw:
    """A document without some members."""
    return {key: value for key, value in document.items() if key not in names}
