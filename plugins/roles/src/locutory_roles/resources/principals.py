"""What a caller counts as when entries are looked at (contract roles §4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from locutory import Principal
from locutory_roles.groups import GroupStore

USER = "user"
GROUP = "group"
ROLE = "role"
PUBLIC = "public"

MODELS = {USER: "User", GROUP: "Group", ROLE: "Role"}
"""``principalModel`` of an entry; entries for everybody have none."""


@dataclass(frozen=True, slots=True)
class Circle:
    """The principals of one caller: himself, his role, his groups, and everybody."""

    user: ObjectId | None
    role: str
    groups: frozenset[ObjectId]
    tenant: str | None

    def identities(self) -> list[Any]:
        """Values of ``principalId`` that may concern the caller; ``None`` is everybody's."""
        found: list[Any] = [] if self.user is None else [self.user]
        if self.role.strip():
            found.append(self.role)
        return [*found, *sorted(self.groups), None]

    def match(self, entry: Mapping[str, Any]) -> str | None:
        """Whom of the circle an entry names, such as 'role USER'; ``None`` if nobody.

        Types count: a role stored with an ObjectId, a user with text, or everybody with an
        id matches nobody.
        """
        kind, identity = entry.get("principalType"), entry.get("principalId")
        if kind == PUBLIC:
            return "everybody" if identity is None else None
        if kind == ROLE:
            matches = isinstance(identity, str) and identity == self.role and bool(identity.strip())
        elif not isinstance(identity, ObjectId):
            matches = False
        elif kind == USER:
            matches = identity == self.user
        else:
            matches = kind == GROUP and identity in self.groups
        return f"{kind} {identity}" if matches else None

    def __str__(self) -> str:
        groups = f"{len(self.groups)} group{'' if len(self.groups) == 1 else 's'}"
        return f"user {self.user}, role {self.role}, {groups} or everybody"


async def circle_of(principal: Principal, groups: GroupStore) -> Circle:
    """The circle of a caller; group memberships may be remembered."""
    user = object_id(principal.id)
    return Circle(
        user,
        principal.role,
        frozenset() if user is None else await groups.of(principal),
        principal.tenant,
    )


def object_id(text: Any) -> ObjectId | None:
    """A 24-hex text as an ObjectId; ``None`` for everything else."""
    return ObjectId(text) if isinstance(text, str) and ObjectId.is_valid(text) else None
