"""Provider keys that users brought (keys.md): written encrypted, never given back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from locutory import Credentials, Database
from locutory_contracts.models import ModelRefused
from locutory_endpoints.documents import UserKey

INVALID_KEY = '{"type":"invalid_user_key"}'
NO_KEY = '{"type":"no_user_key"}'


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """Key and address that a user stored for an endpoint; neither part is ever shown or logged."""

    api_key: str = field(default="", repr=False)
    base_url: str = field(default="", repr=False)


class KeyStore:
    """The collection ``keys``; every call is about one user."""

    def __init__(self, database: Database, credentials: Credentials) -> None:
        self._database = database
        self._credentials = credentials

    async def expiry(self, user: str, name: str) -> datetime | str | None:
        """The expiry of a key: a date, ``"never"``, or ``None`` without a key."""
        found = await self._database[UserKey].find_one(
            {"userId": ObjectId(user), "name": name}, {"_id": 0, "expiresAt": 1}
        )
        if found is None:
            return None
        expires = found.get("expiresAt")
        return expires if isinstance(expires, datetime) else "never"

    async def put(self, user: str, name: str, value: str, expires: datetime | None) -> None:
        """Store or replace a key; without ``expires`` a stored expiry is removed."""
        change: dict[str, Any] = {
            "$set": {"value": self._credentials.encrypt_v1(value)},
            "$setOnInsert": {"__v": 0},
        }
        if expires is None:
            change["$unset"] = {"expiresAt": ""}
        else:
            change["$set"]["expiresAt"] = expires
        await self._database[UserKey].update_one(
            {"userId": ObjectId(user), "name": name}, change, upsert=True
        )

    async def delete(self, user: str, name: str | None = None) -> None:
        """Delete one key of a user, or all of them."""
        condition: dict[str, Any] = {"userId": ObjectId(user)}
        if name is not None:
            condition["name"] = name
        await self._database[UserKey].delete_many(condition)

    async def text(self, user: str, name: str) -> str | None:
        """The stored text, decrypted; ``None`` without one or when it has expired.
        `ModelRefused` ``invalid_user_key`` when it was encrypted with other secrets."""
        found = await self._database[UserKey].find_one(
            {"userId": ObjectId(user), "name": name}, {"_id": 0, "value": 1, "expiresAt": 1}
        )
        if found is None:
            return None
        expires = found.get("expiresAt")
        if isinstance(expires, datetime) and expires <= datetime.now(UTC):
            return None
        try:
            return self._credentials.decrypt(str(found.get("value", "")))
        except ValueError:
            raise ModelRefused(INVALID_KEY) from None

    async def values(self, user: str, name: str) -> UserCredentials | None:
        """The stored key and base URL. `ModelRefused` ``invalid_user_key`` when the text is
        not the JSON object that the client sends."""
        text = await self.text(user, name)
        if text is None:
            return None
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        if not isinstance(parsed, Mapping):
            raise ModelRefused(INVALID_KEY)
        key, url = parsed.get("apiKey"), parsed.get("baseURL")
        return UserCredentials(
            key if isinstance(key, str) else "", url if isinstance(url, str) else ""
        )


def refuse_expired(expires: object, endpoint: str) -> None:
    """Check the expiry that a chat request carries; ``"never"`` and nonsense pass.

    Raises `ModelRefused` ``expired_user_key`` when the moment has passed.
    """
    if not isinstance(expires, str) or not expires or expires == "never":
        return
    try:
        moment = datetime.fromisoformat(expires)
    except ValueError:
        return
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment >= datetime.now(UTC):
        return
    local = moment.astimezone()
    hour = local.hour % 12 or 12
    shown = (
        f"{local.month}/{local.day}/{local.year}, "
        f"{hour}:{local:%M:%S} {'AM' if local.hour < 12 else 'PM'}"
    )
    payload = {"type": "expired_user_key", "expiredAt": shown, "endpoint": endpoint}
    raise ModelRefused(json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
