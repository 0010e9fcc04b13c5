"""Granting and revoking (contract roles §4.7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bson import ObjectId
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

from locutory import Events, Principal, Raw, Request, Services
from locutory_contracts.access import OWNER, AccessRevoked
from locutory_contracts.people import PEOPLE
from locutory_resources import object_id
from locutory_roles.groups import GroupStore
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.directory_principals import (
    MAX_DIRECTORY_PRINCIPALS,
    DirectoryPrincipals,
    ResolvedPrincipal,
    is_directory_principal,
)
from locutory_roles.resources.entries import EntryStore, Grant, Party, bits_of
from locutory_roles.resources.principals import GROUP, PUBLIC, ROLE, USER
from locutory_roles.resources.resource_types import FIXED_OWNER, ResourceType
from locutory_roles.store import RoleStore

if TYPE_CHECKING:
    import structlog.stdlib

MAX_PRINCIPALS = 1000
"""Principals that one request may grant to or revoke from."""

_ECHOED = (
    "name",
    "email",
    "source",
    "avatar",
    "description",
    "idOnTheSource",
    "accessRoleId",
    "memberCount",
)
_EVERYBODY: Party = (PUBLIC, None)


class ShareChange(BaseModel):
    """The body of the request. The items of the lists are validated one by one, because an unusable
    principal is ignored and does not invalidate the others."""

    model_config = ConfigDict(extra="ignore")

    updated: list[Any] | None = Field(
        None,
        max_length=MAX_PRINCIPALS,
        description="{type, id, accessRoleId} of who gets or keeps access",
    )
    removed: list[Any] | None = Field(
        None, max_length=MAX_PRINCIPALS, description="{type, id} of who loses it"
    )
    public: StrictBool | None = Field(None, description="Whether everybody has access")
    publicAccessRoleId: StrictStr | None = Field(  # noqa: N815  (the name on the wire)
        None, description="The access role of everybody, with public: true"
    )

    @model_validator(mode="after")
    def _few_of_a_directory(self) -> Self:
        if sum(map(is_directory_principal, self.updated or ())) > MAX_DIRECTORY_PRINCIPALS:
            raise ValueError(
                f"at most {MAX_DIRECTORY_PRINCIPALS} principals of a directory at once"
            )
        return self

    @property
    def concerns_everybody(self) -> bool:
        """``True`` when the change gives access to everybody."""
        return bool(self.public) or any(
            isinstance(sent, dict) and sent.get("type") == PUBLIC for sent in self.updated or ()
        )


class OwnerIsFixed(Exception):
    """The change touches an owner who has to stay the only one."""


@dataclass(slots=True)
class Plan:
    """The grants and revocations of a change, once every principal has been looked up."""

    grants: dict[Party, tuple[Grant, dict[str, Any]]] = field(default_factory=dict)
    revoked: set[Party] = field(default_factory=set)


class Sharing:
    """Turns a change into entries."""

    def __init__(
        self,
        entries: EntryStore,
        access_roles: AccessRoleStore,
        groups: GroupStore,
        roles: RoleStore,
        directory_principals: DirectoryPrincipals,
        services: Services,
        events: Events,
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._entries = entries
        self._access_roles = access_roles
        self._groups = groups
        self._roles = roles
        self._directory_principals = directory_principals
        self._services = services
        self._events = events
        self._log = log

    async def change(
        self, request: Request, kind: ResourceType, resource: ObjectId, change: ShareChange
    ) -> dict[str, Any]:
        """Apply a change and return ``results`` of the answer.

        Grants are written before anything is revoked. Unknown principals and access roles
        are passed over. `OwnerIsFixed` where the owner may not be touched.
        """
        caller = request.caller
        roles = await self._access_roles.of_kind(kind.name, caller.tenant)
        if kind.name in FIXED_OWNER:
            _refuse_owners(kind, change, roles)
        plan = await self._plan(request, change, roles)
        if kind.name in FIXED_OWNER:
            await self._keep_owner(caller, kind, resource, plan)
        by = object_id(caller.id)
        grants = [grant for grant, _ in plan.grants.values()]
        await self._entries.grant(kind.name, resource, grants, by=by, tenant=caller.tenant)
        users = await self._entries.revoke(kind.name, resource, plan.revoked, caller.tenant)
        self._log.info(
            "access.changed",
            kind=kind.name,
            resource=str(resource),
            by=caller.id,
            granted=len(plan.grants),
            revoked=len(plan.revoked),
            public=change.public,
        )
        if users:
            ids = sorted(map(str, users))
            await self._events.publish(AccessRevoked(kind.name, str(resource), ids))
        results: dict[str, Any] = {"principals": [shown for _, shown in plan.grants.values()]}
        if change.public is not None:
            results["public"] = change.public
        if change.public and change.publicAccessRoleId is not None:
            results["publicAccessRoleId"] = change.publicAccessRoleId
        return results

    async def _plan(self, request: Request, change: ShareChange, roles: Mapping[str, Raw]) -> Plan:
        plan = Plan()
        updated = [sent for sent in change.updated or () if isinstance(sent, dict)]
        if change.public and change.publicAccessRoleId:
            updated.append({"type": PUBLIC, "accessRoleId": change.publicAccessRoleId})
        offered = [sent for sent in updated if _named_role(sent, roles) is not None]
        for sent, party in await self._identified(request, offered):
            role = roles[sent["accessRoleId"]]
            shown = {
                "type": party[0],
                "id": None if party[1] is None else str(party[1]),
                **{name: sent[name] for name in _ECHOED if name in sent and _plain(sent[name])},
            }
            plan.grants[party] = (Grant(party, bits_of(role), role["_id"]), shown)
        for sent in change.removed or ():
            revoked = _named(sent)
            if revoked is not None and (revoked == _EVERYBODY or revoked not in plan.grants):
                plan.revoked.add(revoked)
        if change.public is False:
            plan.revoked.add(_EVERYBODY)
        if _EVERYBODY in plan.revoked:
            plan.grants.pop(_EVERYBODY, None)
        return plan

    async def _identified(
        self, request: Request, sent: Sequence[dict[str, Any]]
    ) -> list[tuple[Mapping[str, Any], Party]]:
        """The principals that exist in the caller's tenant, with their fields: those of the client,
        replaced by those that a directory confirmed."""
        outside = iter(
            await self._directory_principals.identify(
                request, [item for item in sent if is_directory_principal(item)]
            )
        )
        meant = [next(outside) if is_directory_principal(item) else _inside(item) for item in sent]
        parties = {each.party for each in meant if each is not None}
        present = await self._existing(parties, request.caller.tenant)
        return [
            (each.merged_with(item), each.party)
            for item, each in zip(sent, meant, strict=True)
            if each is not None and each.party in present
        ]

    async def _existing(self, parties: Iterable[Party], tenant: str | None) -> set[Party]:
        wanted: dict[str, list[Any]] = {USER: [], GROUP: [], ROLE: [], PUBLIC: []}
        for principal, identity in parties:
            wanted[principal].append(identity)
        present: set[Party] = {(PUBLIC, identity) for identity in wanted[PUBLIC]}
        people = self._services.find(PEOPLE)
        if people is not None and wanted[USER]:
            accounts = await people.find_many([str(user) for user in wanted[USER]])
            present |= {
                (USER, ObjectId(user))
                for user, account in accounts.items()
                if account.get("tenantId") == tenant
            }
        present |= {(GROUP, group) for group in await self._groups.find_many(wanted[GROUP], tenant)}
        present |= {(ROLE, role) for role in await self._roles.existing(wanted[ROLE], tenant)}
        return present

    async def _keep_owner(
        self, caller: Principal, kind: ResourceType, resource: ObjectId, plan: Plan
    ) -> None:
        entries = await self._entries.of_resource(kind.name, resource, caller.tenant)
        owners = {
            (USER, entry["principalId"])
            for entry in entries
            if entry["principalType"] == USER and bits_of(entry) == OWNER
        }
        if not owners.isdisjoint(plan.grants.keys() | plan.revoked):
            raise OwnerIsFixed


def _refuse_owners(kind: ResourceType, change: ShareChange, roles: Mapping[str, Raw]) -> None:
    """Refuse a change that makes somebody an owner, whether or not they exist."""
    named = {sent.get("accessRoleId") for sent in change.updated or () if _has_role(sent)}
    for name in (*named, change.publicAccessRoleId):
        role = roles.get(name) if isinstance(name, str) else None
        if name == kind.owner_role or (role is not None and bits_of(role) == OWNER):
            raise OwnerIsFixed


def _has_role(sent: Any) -> bool:
    return isinstance(sent, dict) and isinstance(sent.get("accessRoleId"), str)


def _named_role(sent: dict[str, Any], roles: Mapping[str, Raw]) -> Raw | None:
    return roles.get(sent["accessRoleId"]) if _has_role(sent) else None


def _named(sent: Any) -> Party | None:
    """The principal that a member of the body names by its id; ``None`` for anything else."""
    if not isinstance(sent, dict):
        return None
    principal, identity = sent.get("type"), sent.get("id")
    if principal == PUBLIC:
        return _EVERYBODY
    if principal == ROLE:
        return (ROLE, identity) if isinstance(identity, str) and identity.strip() else None
    if principal not in (USER, GROUP):
        return None
    found = object_id(identity)
    return None if found is None else (principal, found)


def _inside(sent: Any) -> ResolvedPrincipal | None:
    party = _named(sent)
    return None if party is None else ResolvedPrincipal(party)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
