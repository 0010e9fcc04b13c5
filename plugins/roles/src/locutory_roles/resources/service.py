"""The service `ACCESS`: rights of a caller on single resources (contract roles §4.3)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from bson import ObjectId

from locutory import Decision, Policy, Principal, Services
from locutory_contracts.access import DELETE, EDIT, OWNER, SHARE, VIEW
from locutory_contracts.accounts import ACCOUNTS
from locutory_resources import object_id
from locutory_roles.groups import GroupStore
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.entries import EntryStore, Grant, bits_of
from locutory_roles.resources.principals import PUBLIC, USER, principal_name, principals_of
from locutory_roles.resources.resource_types import ResourceType, ResourceTypeRegistry

RIGHTS = {"view": VIEW, "edit": EDIT, "delete": DELETE, "share": SHARE}
"""Names of the rights, for reasons and for the command line."""


def rights(bits: int) -> str:
    """Bits in words: 'view, edit'."""
    return ", ".join(name for name, bit in RIGHTS.items() if bits & bit) or "nothing"


class Access:
    """Implements `locutory_contracts.access.ResourceAccess`. Only group memberships are cached:
    withdrawn rights are gone at once."""

    def __init__(
        self,
        resource_types: ResourceTypeRegistry,
        entries: EntryStore,
        access_roles: AccessRoleStore,
        groups: GroupStore,
        policy: Policy,
        services: Services,
    ) -> None:
        self._resource_types = resource_types
        self._entries = entries
        self._access_roles = access_roles
        self._groups = groups
        self._policy = policy
        self._services = services

    async def bypass(self, principal: Principal, kind: ResourceType) -> Decision:
        """A decision that allows everything with every resource of a type, by a capability."""
        held = await self._policy.holds(principal, kind.capability)
        if held:
            return Decision(True, f"{held.reason}, which opens every {kind.name}")
        return held

    async def decide(
        self, principal: Principal, kind: str, resource_id: str, needed: int
    ) -> Decision:
        """The decision about the caller's rights on a resource, by capability or entries. A type or
        right that does not exist is refused."""
        found = self._resource_types.find(kind)
        if found is None:
            return Decision(False, f"{kind} is not a type of resource")
        if not 0 < needed <= OWNER:
            return Decision(False, f"{needed} is not a right")
        opened = await self.bypass(principal, found)
        if opened:
            return opened
        return await self.by_entries(principal, kind, resource_id, needed)

    async def by_entries(
        self, principal: Principal, kind: str, resource_id: str, needed: int
    ) -> Decision:
        """The decision without a look at capabilities."""
        resource = object_id(resource_id)
        if resource is None:
            return Decision(False, f"{kind} {resource_id} does not exist")
        principals = await principals_of(principal, self._groups)
        held = 0
        sources: list[str] = []
        for entry in await self._entries.concerning(principals, kind, resource):
            bits = bits_of(entry)
            held |= bits
            if bits & needed:
                sources.append(f"{principal_name(entry)} may {rights(bits)}")
        where = f"{kind} {resource}"
        if held & needed == needed:
            return Decision(True, f"entry of {where}: {'; '.join(sources)}")
        if not held:
            return Decision(False, f"no entry of {where} names {principals}")
        lacking = rights(needed & ~held)
        return Decision(False, f"entries of {where} give {rights(held)}, but not {lacking}")

    async def bits(self, principal: Principal, kind: str, resource_id: str) -> int:
        """The caller's bits on a resource by entries alone; 0 for a malformed id or an unknown
        type."""
        resource = object_id(resource_id)
        if resource is None or self._resource_types.find(kind) is None:
            return 0
        principals = await principals_of(principal, self._groups)
        held = 0
        for entry in await self._entries.concerning(principals, kind, resource):
            held |= bits_of(entry)
        return held

    async def reachable(
        self, principal: Principal, kind: str, needed: int = VIEW
    ) -> Mapping[str, int]:
        """Resource id → bits of everything that the caller reaches with ``needed``; empty for a
        right that does not exist."""
        if self._resource_types.find(kind) is None or not 0 < needed <= OWNER:
            return {}
        principals = await principals_of(principal, self._groups)
        held: dict[ObjectId, int] = {}
        for entry in await self._entries.reaching(principals, kind):
            resource = entry["resourceId"]
            held[resource] = held.get(resource, 0) | bits_of(entry)
        return {str(key): bits for key, bits in held.items() if bits & needed == needed}

    async def public(self, kind: str, resource_ids: Sequence[str]) -> set[str]:
        """The ids of those of the resources that everybody may view."""
        known = {found for found in map(object_id, resource_ids) if found is not None}
        return {str(found) for found in await self._entries.public(kind, list(known), VIEW)}

    async def grant_owner(self, user: str, kind: str, resource_id: str) -> None:
        """Make a user the owner of a resource. ``ValueError`` for a malformed id or an unknown
        type."""
        found, resource = self._resource(kind, resource_id)
        owner = object_id(user)
        if owner is None:
            raise ValueError(f"{user!r} is not the id of an account")
        accounts = self._services.find(ACCOUNTS)
        account = None if accounts is None else await accounts.find(user)
        tenant = None if account is None else account.get("tenantId")
        stored = (await self._access_roles.of_kind(kind, tenant)).get(found.owner_role)
        grant = Grant((USER, owner), OWNER, None if stored is None else stored["_id"])
        await self._entries.grant(kind, resource, [grant], by=owner, tenant=tenant)

    async def grant_public(self, kind: str, resource_id: str, access_role: str | None) -> None:
        """Give everybody an access role, or withdraw it. ``ValueError`` for a malformed id, an
        unknown type, or an access role of another type. The entry belongs to the tenant of the
        resource's other entries."""
        _, resource = self._resource(kind, resource_id)
        tenant = await self._entries.tenant_of(kind, resource)
        everybody = (PUBLIC, None)
        if access_role is None:
            await self._entries.revoke(kind, resource, [everybody], tenant)
            return
        stored = (await self._access_roles.of_kind(kind, tenant)).get(access_role)
        if stored is None:
            raise ValueError(f"{access_role} is not an access role of {kind}")
        grant = Grant(everybody, stored["permBits"], stored["_id"])
        await self._entries.grant(kind, resource, [grant], by=None, tenant=tenant)

    def _resource(self, kind: str, resource_id: str) -> tuple[ResourceType, ObjectId]:
        found, resource = self._resource_types.find(kind), object_id(resource_id)
        if found is None:
            raise ValueError(f"{kind!r} is not a type of resource")
        if resource is None:
            raise ValueError(f"{resource_id!r} is not the id of a resource")
        return found, resource

    async def owners(self, kind: str, resource_ids: Sequence[str]) -> Mapping[str, set[str]]:
        """Resource id → ids of its owners; malformed ids have none."""
        known = {found for found in map(object_id, resource_ids) if found is not None}
        owners = await self._entries.owners(kind, list(known))
        held = {str(resource): set(map(str, users)) for resource, users in owners.items()}
        return {resource: held.get(resource.lower(), set()) for resource in resource_ids}

    async def expire(self, kind: str, resource_id: str, at: datetime | None) -> None:
        """Set the moment at which all entries of a resource end. ``ValueError`` for a malformed id
        or an unknown type."""
        _, resource = self._resource(kind, resource_id)
        await self._entries.expire(kind, resource, at)

    async def forget(self, kind: str, resource_ids: Sequence[str]) -> None:
        """Delete every entry of some resources; malformed ids are ignored."""
        known = [found for found in map(object_id, resource_ids) if found is not None]
        await self._entries.forget(kind, known)
