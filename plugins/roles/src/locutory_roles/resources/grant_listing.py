"""The grants of a resource, as the share dialog shows them (contract roles §4.6)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from locutory import Raw, Services
from locutory_contracts.access import OWNER, SHARE
from locutory_contracts.accounts import Account
from locutory_contracts.people import PEOPLE
from locutory_roles.groups import GroupStore
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.entries import EntryStore, Grant, bits_of
from locutory_roles.resources.principals import GROUP, PUBLIC, ROLE, USER
from locutory_roles.resources.resource_types import ResourceType

if TYPE_CHECKING:
    import structlog.stdlib

_IMPLIED_BY = {"remoteAgent": "agent"}
"""Types whose owners are also those who may share the resource as another type."""


class GrantListing:
    """Reads the entries of a resource and names the people, groups and roles in them."""

    def __init__(
        self,
        entries: EntryStore,
        access_roles: AccessRoleStore,
        groups: GroupStore,
        services: Services,
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._entries = entries
        self._access_roles = access_roles
        self._groups = groups
        self._services = services
        self._log = log

    async def of(
        self, kind: ResourceType, resource_id: str, resource: ObjectId, tenant: str | None
    ) -> dict[str, Any]:
        """The body of the answer. Entries whose user or group is gone, or belongs to another
        tenant, are left out."""
        entries = await self._entries.of_resource(kind.name, resource, tenant)
        implied = await self._implied(kind, resource, entries, tenant)
        named = [entry.get("roleId") for entry in entries]
        roles = await self._access_roles.ids([role for role in named if isinstance(role, ObjectId)])
        users = await self._users([*implied, *_ids(entries, USER)], tenant)
        groups = await self._groups.find_many(_ids(entries, GROUP), tenant)
        body: dict[str, Any] = {
            "resourceType": kind.name,
            "resourceId": resource_id,
            "principals": [],
            "public": False,
        }
        seen = set()
        for entry in entries:
            role = entry.get("roleId")
            access_role = roles.get(role) if isinstance(role, ObjectId) else None
            if entry["principalType"] == PUBLIC and entry.get("principalId") is None:
                body["public"] = True
                if access_role is not None:
                    body["publicAccessRoleId"] = access_role
                continue
            grant = _shown(entry, users, groups)
            if grant is None or (grant["type"], grant["id"]) in seen:
                continue
            seen.add((grant["type"], grant["id"]))
            if access_role is not None:
                grant["accessRoleId"] = access_role
            body["principals"].append(grant)
        owners = [owner for owner in implied if owner in users]
        if owners:
            shown = [
                {**_user(users[owner]), "accessRoleId": kind.owner_role, "isImplicit": True}
                for owner in reversed(owners)
            ]
            body["principals"] = [*shown, *body["principals"]]
            await self._write_down(kind, resource, owners, tenant)
        return body

    async def _users(self, ids: Sequence[ObjectId], tenant: str | None) -> dict[ObjectId, Account]:
        people = self._services.find(PEOPLE)
        if people is None or not ids:
            return {}
        found = await people.find_many({str(user) for user in ids})
        return {
            ObjectId(user): account
            for user, account in found.items()
            if account.get("tenantId") == tenant
        }

    async def _implied(
        self, kind: ResourceType, resource: ObjectId, entries: Sequence[Raw], tenant: str | None
    ) -> list[ObjectId]:
        """Owners of the same resource under another type who have no entry of this one."""
        other = _IMPLIED_BY.get(kind.name)
        if other is None:
            return []
        present = set(_ids(entries, USER))
        others = await self._entries.of_resource(other, resource, tenant)
        owners = [entry for entry in others if bits_of(entry) & SHARE]
        return [user for user in dict.fromkeys(_ids(owners, USER)) if user not in present]

    async def _write_down(
        self, kind: ResourceType, resource: ObjectId, owners: Sequence[ObjectId], tenant: str | None
    ) -> None:
        """Make entries of implied rights. The answer does not depend on it."""
        try:
            stored = (await self._access_roles.of_kind(kind.name, tenant)).get(kind.owner_role)
            if stored is None:
                self._log.warning("access.role_missing", role=kind.owner_role)
                return
            for owner in owners:
                grant = Grant((USER, owner), OWNER, stored["_id"])
                await self._entries.grant(
                    kind.name, resource, [grant], by=owner, tenant=tenant, keep=True
                )
        except Exception:
            self._log.exception("access.not_written_down", kind=kind.name, resource=str(resource))


def _ids(entries: Sequence[Raw], principal: str) -> list[ObjectId]:
    return [
        entry["principalId"]
        for entry in entries
        if entry["principalType"] == principal and isinstance(entry.get("principalId"), ObjectId)
    ]


def _shown(
    entry: Raw, users: Mapping[ObjectId, Account], groups: Mapping[ObjectId, Raw]
) -> dict[str, Any] | None:
    principal, identity = entry["principalType"], entry.get("principalId")
    if isinstance(identity, ObjectId):
        if principal == USER and identity in users:
            return _user(users[identity])
        if principal == GROUP and identity in groups:
            return _group(groups[identity])
    elif principal == ROLE and isinstance(identity, str):
        return {
            "type": ROLE,
            "id": identity,
            "name": identity,
            "description": f"System role: {identity}",
        }
    return None


def _user(account: Account) -> dict[str, Any]:
    user = str(account["_id"])
    return {
        "type": USER,
        "id": user,
        **_present("name", account.get("name") or account.get("username")),
        **_members(account, "email", "avatar"),
        "source": "local",
        "idOnTheSource": account.get("idOnTheSource") or user,
    }


def _group(group: Raw) -> dict[str, Any]:
    identity = str(group["_id"])
    return {
        "type": GROUP,
        "id": identity,
        **_members(group, "name", "email", "description", "avatar"),
        "source": group.get("source") or "local",
        "idOnTheSource": group.get("idOnTheSource") or identity,
    }


def _members(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _present(name: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {name: value}
