"""Stored access entries: one principal, one resource, some rights (contract roles §4)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo import UpdateMany

from locutory import Collection as Stored
from locutory import Database, Raw, now
from locutory_contracts.access import OWNER
from locutory_roles.documents import AclEntry
from locutory_roles.resources.principals import MODELS, PUBLIC, USER, PrincipalSet

_RIGHTS = {
    "_id": 0,
    "principalType": 1,
    "principalId": 1,
    "permBits": 1,
    "resourceId": 1,
}

Party = tuple[str, Any]
"""A principal as entries name it: type, and ObjectId, role name or ``None`` (everybody)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights for one principal, by an access role. ``role`` is its ``_id``."""

    party: Party
    bits: int
    role: ObjectId | None = None


def bits_of(entry: Mapping[str, Any]) -> int:
    """The rights of an entry; 0 for an invalid value."""
    bits = entry.get("permBits")
    return int(bits) if isinstance(bits, int | float) and 0 <= bits <= OWNER else 0


class EntryStore:
    """Entries of one database. Entries past their date count as gone, even while the
    database has not removed them yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def _stored(self) -> Stored:
        return self._database[AclEntry]

    @cached_property
    def _without_zone(self) -> Stored:
        return self._stored.with_options(codec_options=CodecOptions(tz_aware=False))

    async def concerning(
        self, principals: PrincipalSet, kind: str, resource: ObjectId
    ) -> list[Raw]:
        """Entries of a resource that concern a caller."""
        return await self._rights(
            {
                "resourceId": resource,
                "resourceType": kind,
                "$or": principals.filters(),
                "tenantId": principals.tenant,
            }
        )

    async def reaching(self, principals: PrincipalSet, kind: str) -> list[Raw]:
        """Entries of every resource of a type that concern a caller."""
        return await self._rights(
            {"$or": principals.filters(), "resourceType": kind, "tenantId": principals.tenant}
        )

    async def _rights(self, conditions: Mapping[str, Any]) -> list[Raw]:
        """The fields of `_RIGHTS` of the entries that have not ended. A caller may have
        thousands, and their dates, which nobody looks at, are quicker to decode without a
        zone."""
        found = self._without_zone.find({**conditions, **_living()}, _RIGHTS)
        return await found.to_list()

    async def of_resource(self, kind: str, resource: ObjectId, tenant: str | None) -> list[Raw]:
        """Every entry of a resource, oldest first."""
        found = await self._stored.find(
            {"resourceId": resource, "resourceType": kind, "tenantId": tenant, **_living()},
            {"principalType": 1, "principalId": 1, "permBits": 1, "roleId": 1, "createdAt": 1},
        ).to_list()
        return sorted(found, key=_age)

    async def public(self, kind: str, resources: Sequence[ObjectId], bits: int) -> set[ObjectId]:
        """Those of the resources on which everybody has ``bits``."""
        everybody = {"principalType": PUBLIC, "principalId": None}
        entries = await self._of_resources(kind, resources, everybody)
        return {entry["resourceId"] for entry in entries if bits_of(entry) & bits == bits}

    async def _of_resources(
        self, kind: str, resources: Sequence[ObjectId], principal: Mapping[str, Any]
    ) -> list[Raw]:
        """Every entry of resources for some principals."""
        key = {"resourceId": {"$in": list(resources)}, "resourceType": kind, **principal}
        return await self._rights(key)

    async def tenant_of(self, kind: str, resource: ObjectId) -> str | None:
        """The tenant that the entries of a resource name."""
        found = await self._stored.find_one(
            {"resourceId": resource, "resourceType": kind}, {"_id": 0, "tenantId": 1}
        )
        tenant = None if found is None else found.get("tenantId")
        return tenant if isinstance(tenant, str) else None

    async def owners(self, kind: str, resources: Sequence[ObjectId]) -> dict[ObjectId, set[Any]]:
        """Resource → accounts that own it; resources without an owner are left out."""
        owners: dict[ObjectId, set[Any]] = {}
        for entry in await self._of_resources(kind, resources, {"principalType": USER}):
            if bits_of(entry) == OWNER:
                owners.setdefault(entry["resourceId"], set()).add(entry["principalId"])
        return owners

    async def of_users(self, kind: str) -> set[ObjectId]:
        """The resources of a type of which a user has an entry, whatever its date and tenant."""
        found = self._stored.find(
            {"principalType": USER, "resourceType": kind}, {"_id": 0, "resourceId": 1}
        )
        return {entry["resourceId"] async for entry in found}

    async def expire(self, kind: str, resource: ObjectId, at: datetime | None) -> None:
        """Let every entry of a resource end at a moment, or never."""
        change = {"$unset": {"expiredAt": ""}} if at is None else {"$set": {"expiredAt": at}}
        await self._stored.update_many({"resourceId": resource, "resourceType": kind}, change)

    async def _end(self, kind: str, resource: ObjectId) -> datetime | None:
        """The date at which the entries of a resource end; ``None`` without one."""
        ending = {"resourceId": resource, "resourceType": kind, "expiredAt": {"$ne": None}}
        found = await self._stored.find_one(ending, {"_id": 0, "expiredAt": 1})
        return None if found is None else found["expiredAt"]

    async def grant(
        self,
        kind: str,
        resource: ObjectId,
        grants: Sequence[Grant],
        *,
        by: ObjectId | None,
        tenant: str | None,
        keep: bool = False,
    ) -> None:
        """Give each principal exactly these rights; ``keep`` leaves an entry that is there
        as it is. Should two requests have made two entries, both are changed."""
        if not grants:
            return
        moment = now()
        end = await self._end(kind, resource)
        writes = []
        for grant in grants:
            principal, identity = grant.party
            key: dict[str, Any] = {
                "resourceType": kind,
                "resourceId": resource,
                "principalType": principal,
                "tenantId": {"$exists": False} if tenant is None else tenant,
            }
            if principal != PUBLIC:
                key["principalId"] = identity
            first: dict[str, Any] = {"createdAt": moment, "__v": 0}
            if end is not None:
                first["expiredAt"] = end
            if principal != PUBLIC:
                first["principalModel"] = MODELS[principal]
            rights: dict[str, Any] = {
                "permBits": grant.bits,
                "grantedAt": moment,
                "updatedAt": moment,
            }
            if by is not None:
                rights["grantedBy"] = by
            if grant.role is not None:
                rights["roleId"] = grant.role
            update: dict[str, Any] = {"$set": rights, "$setOnInsert": first}
            if keep:
                update = {"$setOnInsert": {**rights, **first}}
            elif grant.role is None:
                update["$unset"] = {"roleId": ""}
            writes.append(UpdateMany(key, update, upsert=True))
        await self._stored.bulk_write(writes, ordered=False)

    async def revoke(
        self, kind: str, resource: ObjectId, parties: Collection[Party], tenant: str | None
    ) -> set[ObjectId]:
        """Remove the entries of principals. Returns the users who had one."""
        place = {"resourceType": kind, "resourceId": resource, "tenantId": tenant}
        by_type: dict[str, list[Any]] = {}
        for principal, identity in parties:
            by_type.setdefault(principal, []).append(identity)
        users: set[ObjectId] = set()
        for principal, identities in by_type.items():
            chosen = {**place, "principalType": principal}
            if principal != PUBLIC:
                chosen["principalId"] = {"$in": identities}
            if principal == USER:
                found = self._stored.find(chosen, {"_id": 0, "principalId": 1})
                users.update([entry["principalId"] async for entry in found])
            await self._stored.delete_many(chosen)
        return users

    async def forget(self, kind: str, resources: Sequence[ObjectId]) -> int:
        """Delete every entry of resources; return their number."""
        key = {"resourceId": {"$in": list(resources)}, "resourceType": kind}
        return (await self._stored.delete_many(key)).deleted_count

    async def remove_user(self, user: ObjectId) -> int:
        """Delete every entry of an account, and its id from those that it gave to others; return
        the number of deleted ones."""
        await self._stored.update_many({"grantedBy": user}, {"$unset": {"grantedBy": ""}})
        outcome = await self._stored.delete_many({"principalId": user, "principalType": USER})
        return int(outcome.deleted_count)


def _age(entry: Raw) -> tuple[datetime, ObjectId]:
    """For sorting: ids alone do not do, those of one second come from several machines."""
    identity: ObjectId = entry["_id"]
    created = entry.get("createdAt")
    return created if isinstance(created, datetime) else identity.generation_time, identity


def _living() -> dict[str, Any]:
    return {"expiredAt": {"$not": {"$lte": now()}}}
