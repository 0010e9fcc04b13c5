"""New accounts, and who becomes the administrator (contract auth §6)."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import ADMIN_ROLE, Database, Events, now
from locutory_auth.documents import Claim, User
from locutory_contracts.accounts import AccountCreated

_FIRST_ACCOUNT = "first-account"
_CLAIM_LIFE = timedelta(seconds=15)
_CLAIM_PAUSE = 0.05


def new_account(email: str, **fields: Any) -> dict[str, Any]:
    """A new account as LibreChat writes it, defaults and all."""
    moment = now()
    password = {"password": fields.pop("password")} if "password" in fields else {}
    return {
        "_id": ObjectId(),
        "name": fields.pop("name", None),
        "username": fields.pop("username", ""),
        "email": email,
        "emailVerified": fields.pop("emailVerified", False),
        **password,
        "avatar": fields.pop("avatar", None),
        "provider": fields.pop("provider", "local"),
        "role": fields.pop("role", "USER"),
        "plugins": [],
        "twoFactorEnabled": False,
        "backupCodes": [],
        "termsAccepted": False,
        "termsAcceptedAt": None,
        "personalization": {
            "memories": True,
            "statefulCodeEnvironment": "user",
            "_id": ObjectId(),
        },
        "refreshToken": [],
        "favorites": [],
        "skillStates": {},
        **fields,
        "createdAt": moment,
        "updatedAt": moment,
        "__v": 0,
    }


class NotTheFirst(Exception):
    """There is an account already, or somebody is making one at the moment."""


class Creation:
    """Stores new accounts."""

    def __init__(
        self, database: Database, events: Events, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._database = database
        self._events = events
        self._log = log

    async def create(
        self, document: dict[str, Any], *, may_administer: bool, only_first: bool = False
    ) -> Mapping[str, Any] | None:
        """Store an account and publish that; ``None`` when another one has its address or its id at
        a provider. ``may_administer``: it becomes the administrator when it is the first;
        ``only_first``: otherwise it is not stored, and `NotTheFirst` is raised."""
        try:
            return await self.store(document, may_administer=may_administer, only_first=only_first)
        except DuplicateKeyError:
            return None

    async def store(
        self, document: dict[str, Any], *, may_administer: bool, only_first: bool = False
    ) -> Mapping[str, Any]:
        """`create`, but ``DuplicateKeyError`` when the account is not the only one."""
        first = may_administer and await self._claim_first(document["_id"])
        if only_first and not first:
            raise NotTheFirst
        try:
            if first:
                document["role"] = ADMIN_ROLE
            await self._database[User].insert_one(document)
        finally:
            if first:
                await self._release(document["_id"])
        self._log.info("account.created", user=str(document["_id"]), role=document["role"])
        await self._events.publish(AccountCreated(str(document["_id"])))
        return document

    async def _claim_first(self, user: ObjectId) -> bool:
        """``True`` when this account may be the administrator: at most one at a time, and only
        while there is no account, across all servers.

        A second registration waits for the first: if its account were stored in between, the first
        one would find that it is not alone, and nobody would become the administrator.
        """
        users = self._database[User]
        while await users.find_one({}, {"_id": 1}) is None:
            if await self._claim(user):
                if await users.find_one({}, {"_id": 1}) is None:
                    return True
                await self._release(user)
                return False
            await asyncio.sleep(_CLAIM_PAUSE)
        return False

    async def _claim(self, user: ObjectId) -> bool:
        """Take the claim, also from a server that died between claim and account."""
        claims, moment = self._database[Claim], now()
        try:
            await claims.insert_one({"_id": _FIRST_ACCOUNT, "user": user, "at": moment})
        except DuplicateKeyError:
            left_behind = {"_id": _FIRST_ACCOUNT, "at": {"$lt": moment - _CLAIM_LIFE}}
            taken = await claims.update_one(left_behind, {"$set": {"user": user, "at": moment}})
            return taken.modified_count == 1
        return True

    async def _release(self, user: ObjectId) -> None:
        await self._database[Claim].delete_one({"_id": _FIRST_ACCOUNT, "user": user})
