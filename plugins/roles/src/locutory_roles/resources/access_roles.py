"""Stored access roles: the sets of rights that can be granted (contract roles §4.2)."""

from collections.abc import Collection, Iterable

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from locutory import Database, Raw, now
from locutory_roles.documents import AccessRole
from locutory_roles.resources.resource_types import ResourceType

_DUPLICATE = 11000


class AccessRoleStore:
    """Access roles of one database; a few dozen small documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seed(self, kinds: Iterable[ResourceType]) -> int:
        """Add the missing access roles; stored ones are not changed. Return the number of added
        ones. Safe for several servers that start together."""
        collection = self._database[AccessRole]
        stored = collection.find({"tenantId": None}, {"_id": 0, "accessRoleId": 1})
        present = {row["accessRoleId"] async for row in stored}
        moment = now()
        writes = [
            UpdateOne(
                {"accessRoleId": role.id, "tenantId": {"$exists": False}},
                {
                    "$setOnInsert": {
                        "name": role.name,
                        "description": role.description,
                        "resourceType": kind.name,
                        "permBits": role.bits,
                        "createdAt": moment,
                        "updatedAt": moment,
                        "__v": 0,
                    }
                },
                upsert=True,
            )
            for kind in kinds
            for role in kind.access_roles
            if role.id not in present
        ]
        if not writes:
            return 0
        try:
            outcome = await collection.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if any(item["code"] != _DUPLICATE for item in details.get("writeErrors", ())):
                raise
            # Another server seeds at the same moment, and has written what is missing here.
            return int(details.get("nUpserted", 0))
        return outcome.upserted_count

    async def of_kind(self, kind: str, tenant: str | None) -> dict[str, Raw]:
        """Access roles of one type by id, fewest rights first. A tenant's own replace the
        common ones of the same id."""
        places = [None] if tenant is None else [None, tenant]
        found = await (
            self._database[AccessRole]
            .find(
                {"resourceType": kind, "tenantId": {"$in": places}},
                {"accessRoleId": 1, "name": 1, "description": 1, "permBits": 1, "tenantId": 1},
            )
            .to_list()
        )
        found.sort(key=lambda role: (role["permBits"], role.get("tenantId") is not None))
        return {role["accessRoleId"]: role for role in found}

    async def ids(self, role_ids: Collection[ObjectId]) -> dict[ObjectId, str]:
        """``accessRoleId`` of access roles by their ``_id``; unknown ones are left out."""
        if not role_ids:
            return {}
        found = self._database[AccessRole].find(
            {"_id": {"$in": list(role_ids)}}, {"accessRoleId": 1}
        )
        return {role["_id"]: role["accessRoleId"] async for role in found}
