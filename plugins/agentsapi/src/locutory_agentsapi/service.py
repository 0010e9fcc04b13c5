"""Stored API keys (contract api-keys §2)."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId

from locutory import Database, now
from locutory_agentsapi.documents import AgentApiKey

PREFIX = "sk-"
USE_NOTED_EVERY = timedelta(minutes=1)
"""The minimum interval between two writes of a key's last use."""

_SHOWN = ("name", "keyPrefix", "scopes", "lastUsedAt", "expiresAt", "createdAt")
_PROJECTION = dict.fromkeys(_SHOWN, 1)


class TooManyKeys(Exception):
    """The user has as many keys as they may."""


@dataclass(frozen=True, slots=True)
class UsableKey:
    """A key that was found and has not expired. ``scopes``: ``None`` means all."""

    user: ObjectId
    scopes: frozenset[str] | None


def fingerprint(key: str) -> str:
    """SHA-256 of the whole text of a key, its prefix included, as lower-case hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """A key as lists show it; unset members are absent."""
    item: dict[str, Any] = {"id": document["_id"]}
    item.update((name, document[name]) for name in _SHOWN if document.get(name) is not None)
    return item


class Keys:
    """The keys of a deployment.

    Args:
        max_keys: keys that a user may have.
    """

    def __init__(self, database: Database, max_keys: int) -> None:
        self._database = database
        self._max_keys = max_keys

    async def create(
        self,
        user: ObjectId,
        name: str,
        *,
        expires: datetime | None = None,
        scopes: Sequence[str] | None = None,
        tenant: str | None = None,
    ) -> tuple[Mapping[str, Any], str]:
        """Create a key: its document and its text, which is not stored. `TooManyKeys` when the user
        has the maximum."""
        rows, own = self._database[AgentApiKey], {"userId": user}
        if await rows.count_documents(own, limit=self._max_keys) >= self._max_keys:
            raise TooManyKeys
        key, moment = PREFIX + secrets.token_hex(32), now()
        document: dict[str, Any] = {
            "_id": ObjectId(),
            "userId": user,
            "name": name,
            "keyHash": fingerprint(key),
            "keyPrefix": key[:8],
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
        }
        optional = {
            "expiresAt": expires,
            "scopes": None if scopes is None else list(scopes),
            "tenantId": tenant,
        }
        document |= {field: value for field, value in optional.items() if value is not None}
        await rows.insert_one(document)
        # Several requests at once may each have counted before the others wrote.
        if await rows.count_documents(own, limit=self._max_keys + 1) > self._max_keys:
            await rows.delete_one({"_id": document["_id"]})
            raise TooManyKeys
        return document, key

    async def list(self, user: ObjectId) -> Sequence[Mapping[str, Any]]:
        """The keys of a user, newest first."""
        found = self._database[AgentApiKey].find({"userId": user}, _PROJECTION)
        return await found.sort([("createdAt", -1), ("_id", -1)]).to_list()

    async def find(self, user: ObjectId, key_id: ObjectId) -> Mapping[str, Any] | None:
        """A key of a user."""
        return await self._database[AgentApiKey].find_one(
            {"_id": key_id, "userId": user}, _PROJECTION
        )

    async def delete(self, user: ObjectId, key_id: ObjectId) -> bool:
        """Delete a key of a user; false when they have none such."""
        gone = await self._database[AgentApiKey].delete_one({"_id": key_id, "userId": user})
        return gone.deleted_count > 0

    async def delete_all(self, user: ObjectId) -> None:
        """Delete every key of a user."""
        await self._database[AgentApiKey].delete_many({"userId": user})

    async def use(self, key: str) -> UsableKey | None:
        """The key with this text, noted as used; ``None`` when it is unknown or expired. Found by
        its hash, so that the duration of the search reveals nothing about the text."""
        hashed, moment = fingerprint(key), now()
        fields = {"userId": 1, "keyHash": 1, "expiresAt": 1, "scopes": 1, "lastUsedAt": 1}
        found = await self._database[AgentApiKey].find_one({"keyHash": hashed}, fields)
        if found is None or not hmac.compare_digest(str(found["keyHash"]), hashed):
            return None
        expires = found.get("expiresAt")
        # The database removes expired keys only once a minute.
        if expires is not None and expires <= moment:
            return None
        before = found.get("lastUsedAt")
        if before is None or moment - before >= USE_NOTED_EVERY:
            await self._database[AgentApiKey].update_one(
                {"_id": found["_id"], "lastUsedAt": before}, {"$set": {"lastUsedAt": moment}}
            )
        scopes = found.get("scopes")
        return UsableKey(found["userId"], None if scopes is None else frozenset(scopes))
