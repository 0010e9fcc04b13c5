"""One-time tokens sent by mail (contract auth §7, §9, §10; collection ``tokens``)."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bson import ObjectId

from locutory import Database, now
from locutory_auth.documents import Token
from locutory_auth.hashing import Passwords

LIFE = timedelta(seconds=900)
PASSWORD_RESET = "password_reset"
EMAIL_VERIFICATION = "email_verification"


class OneTimeTokens:
    """Issues tokens and uses them up. Only a hash is stored."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def issue(self, user: ObjectId, kind: str, email: str | None = None) -> str:
        """A new token of an account; earlier ones of the kind are void."""
        token = secrets.token_hex(32)
        issued = now()
        row: dict[str, Any] = {
            "_id": ObjectId(),
            "userId": user,
            "type": kind,
            "token": await self._passwords.hash_token(token),
            "createdAt": issued,
            "expiresAt": issued + LIFE,
            "__v": 0,
        }
        if email is not None:
            row["email"] = email
        await self.void(user, kind)
        await self._database[Token].insert_one(row)
        return token

    async def pretend(self) -> None:
        """The work of `issue`, for an account that does not exist."""
        await self._passwords.hash_token(secrets.token_hex(32))

    async def find(
        self, user: ObjectId | None, kind: str, token: str, email: str | None = None
    ) -> ObjectId | None:
        """The row of a token that is good; ``None`` for any other, after as much work. Rows
        that LibreChat wrote long ago have no type."""
        row: Mapping[str, Any] | None = None
        if user is not None:
            own: dict[str, Any] = {"userId": user, "expiresAt": {"$gt": now()}}
            if email is not None:
                own["email"] = email
            for each in (kind, None):
                rows = self._database[Token].find({**own, "type": each}, {"token": 1})
                row = next(iter(await rows.sort("createdAt", -1).limit(1).to_list()), None)
                if row is not None:
                    break
        stored = None if row is None else row.get("token")
        fits = await self._passwords.verify(token, stored if isinstance(stored, str) else None)
        return row["_id"] if row is not None and fits else None

    async def use_up(self, row: ObjectId) -> bool:
        """Take a token away: true for the one caller that did."""
        return (await self._database[Token].delete_one({"_id": row})).deleted_count > 0

    async def void(self, user: ObjectId, kind: str) -> None:
        """Take every token of a kind away, those without a type too."""
        await self._database[Token].delete_many({"userId": user, "type": kind})
        if kind == PASSWORD_RESET:
            untyped = {"userId": user, "type": None, "email": None, "identifier": None}
            await self._database[Token].delete_many(untyped)
