"""The principals that a caller counts as when entries are looked at (contract roles §4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from locutory import Principal
from locutory_resources import object_id
from locutory_roles.groups import GroupStore

USER = "user"
GROUP = "group"
ROLE = "role"
PUBLIC = "public"

MODELS = {USER: "User", GROUP: "Group", ROLE: "Role"}
"""``principalModel`` of an entry; entries for everybody have none."""


@dataclass(frozen=True, slots=True)
class PrincipalSet:
    """The principals of one caller: the user, their role, their groups, and everybody."""

    user: ObjectId | None
    role: str
    groups: frozenset[ObjectId]
    tenant: str | None

    def filters(self) -> list[dict[str, Any]]:
        """Filters of the entries that concern the caller, one of which holds (for ``$or``)."""
        found: list[dict[str, Any]] = [{"principalType": PUBLIC, "principalId": None}]
        if self.user is not None:
            found.append({"principalType": USER, "principalId": self.user})
        if self.role.strip():
            found.append({"principalType": ROLE, "principalId": self.role})
        if self.groups:
            members = {"$in": sorted(self.groups)}
            found.append({"principalType": GROUP, "principalId": members})
        return found

    def __str__(self) -> str:
        groups = f"{len(self.groups)} group{'' if len(self.groups) == 1 else 's'}"
        return f"user {self.user}, role {self.role}, {groups} or everybody"


def principal_name(entry: Mapping[str, Any]) -> str:
    """The principal that an entry names, such as 'role USER'."""
    kind = entry["principalType"]
    return "everybody" if kind == PUBLIC else f"{kind} {entry['principalId']}"


async def principals_of(principal: Principal, groups: GroupStore) -> PrincipalSet:
    """The principals of a caller; group memberships may be remembered."""
    user = object_id(principal.id)
    return PrincipalSet(
        user,
        principal.role,
        frozenset() if user is None else await groups.of(principal),
        principal.tenant,
    )
