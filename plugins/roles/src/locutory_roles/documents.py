"""Collections of the plugin (collections §3.4), shared with LibreChat."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from beanie.odm.fields import PydanticObjectId
from pydantic import Field
from pymongo import ASCENDING, IndexModel


def _index(*fields: str, **options: Any) -> IndexModel:
    """An ascending index under the name that LibreChat's driver gives it."""
    name = "_".join(f"{field}_1" for field in fields)
    return IndexModel([(field, ASCENDING) for field in fields], name=name, **options)


class Role(Document):
    """A role: permission type → permission → allowed. Names are case-sensitive."""

    name: str
    description: str | None = None
    permissions: dict[str, dict[str, bool]]
    tenantId: str | None = None

    class Settings:
        name = "roles"
        indexes: ClassVar[list[IndexModel]] = [
            _index("name"),
            _index("name", "tenantId", unique=True),
            _index("tenantId"),
        ]


class SystemGrant(Document):
    """An administrative capability of a principal.

    ``principalId`` is a role's name, or the ObjectId of a user or group. ``tenantId`` is
    absent, never null, on a grant that holds for every tenant.
    """

    principalType: str
    principalId: Any
    capability: str
    tenantId: str | None = None
    grantedBy: Any = None
    grantedAt: datetime
    expiresAt: datetime | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "systemgrants"
        indexes: ClassVar[list[IndexModel]] = [
            _index("principalType", "principalId", "capability", "tenantId", unique=True),
            _index("capability", "tenantId"),
            _index("principalType", "capability", "tenantId"),
        ]


class AccessRole(Document):
    """A named set of rights that may be granted on resources of one type."""

    accessRoleId: str
    name: str
    description: str | None = None
    resourceType: str = "agent"
    permBits: int
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "accessroles"
        indexes: ClassVar[list[IndexModel]] = [
            _index("accessRoleId"),
            _index("accessRoleId", "tenantId", unique=True),
            _index("tenantId"),
        ]


class AclEntry(Document):
    """The rights of one principal on one resource.

    ``principalId`` is the ObjectId of a user or group, or a role's name; an entry for everybody has
    neither it nor ``principalModel``. ``permBits`` is a copy of the access role's, made when it was
    granted.
    """

    principalType: str
    principalId: Any = None
    principalModel: str | None = None
    resourceType: str
    resourceId: PydanticObjectId
    permBits: int = 1
    roleId: PydanticObjectId | None = None
    inheritedFrom: PydanticObjectId | None = None
    grantedBy: PydanticObjectId | None = None
    grantedAt: datetime
    expiredAt: datetime | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "aclentries"
        indexes: ClassVar[list[IndexModel]] = [
            _index("principalId"),
            _index("resourceId"),
            _index("inheritedFrom", sparse=True),
            _index("tenantId"),
            _index("principalId", "principalType", "resourceType", "resourceId", "tenantId"),
            _index("resourceId", "principalType", "principalId", "tenantId"),
            _index("principalId", "permBits", "resourceType", "tenantId"),
            _index("principalType", "resourceType", "permBits", "resourceId"),
            _index("expiredAt", expireAfterSeconds=0),
            # Not LibreChat's: what a deleted account granted.
            _index("grantedBy"),
        ]


class Group(Document):
    """People who are granted something together.

    ``memberIds`` holds each member's ``idOnTheSource``, or the account's id as text.
    """

    name: str
    description: str | None = None
    email: str | None = None
    avatar: str | None = None
    memberIds: list[str] = Field(default_factory=list)
    source: str = "local"
    idOnTheSource: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "groups"
        indexes: ClassVar[list[IndexModel]] = [
            _index("name"),
            _index("email"),
            _index("idOnTheSource", sparse=True),
            _index("tenantId"),
            _index(
                "idOnTheSource",
                "source",
                "tenantId",
                unique=True,
                partialFilterExpression={"idOnTheSource": {"$exists": True}},
            ),
            _index("memberIds", "tenantId"),
        ]


class Project(Document):
    """A list of the resources that are open to everybody, from before access entries; the effective
    one is called ``instance``. LibreChat no longer writes it, and neither does Locutory."""

    name: str
    agentIds: list[str] = Field(default_factory=list)
    promptGroupIds: list[PydanticObjectId] = Field(default_factory=list)

    class Settings:
        name = "projects"
        indexes: ClassVar[list[IndexModel]] = []
