"""Finding the accounts of others: the service `PEOPLE` (contract roles §4)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bson import ObjectId

from locutory import Database
from locutory_auth.accounts.stored import WITHOUT_SECRETS, public
from locutory_auth.documents import User
from locutory_contracts.accounts import Account

_SEARCHED = ("name", "email", "username")
_LONGEST = 200


class StoredPeople:
    """Implements `locutory_contracts.people.People`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self, text: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[Account]:
        """At most ``limit`` accounts of the tenant whose searched fields contain ``text``, without
        secrets."""
        if not text or limit < 1:
            return []
        pattern = {"$regex": re.escape(text[:_LONGEST]), "$options": "i"}
        chosen = {"$or": [{field: pattern} for field in _SEARCHED], "tenantId": tenant}
        found = self._database[User].find(chosen, WITHOUT_SECRETS).limit(limit)
        return [public(document) for document in await found.to_list()]

    async def find_many(self, ids: Collection[str]) -> Mapping[str, Account]:
        """The accounts with these ids, by id; malformed and unknown ids are left out."""
        chosen = [ObjectId(user) for user in set(ids) if ObjectId.is_valid(user)]
        if not chosen:
            return {}
        found = self._database[User].find({"_id": {"$in": chosen}}, WITHOUT_SECRETS)
        return {str(document["_id"]): public(document) for document in await found.to_list()}

    async def by_source_id(self, source_id: str, *, tenant: str | None = None) -> Account | None:
        """The account of the tenant with this id in a directory, or ``None``."""
        return await self._one({"idOnTheSource": source_id, "tenantId": tenant})

    async def by_email(self, email: str, *, tenant: str | None = None) -> Account | None:
        """The account of the tenant with this e-mail address, or ``None``."""
        return await self._one({"email": email.strip().lower(), "tenantId": tenant})

    async def _one(self, chosen: Mapping[str, Any]) -> Account | None:
        document = await self._database[User].find_one(chosen, WITHOUT_SECRETS)
        return None if document is None else public(document)
