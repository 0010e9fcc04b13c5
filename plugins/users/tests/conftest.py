"""Signed-in users for the tests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx2
import jwt
import pytest
from bson import ObjectId

from locutory import Principal
from locutory_contracts.accounts import ACCOUNTS
from locutory_testing import Serve, Server


class Caller:
    """One signed-in user of a server: his id and a client that sends his token."""

    def __init__(self, server: Server, user: ObjectId, client: httpx2.AsyncClient) -> None:
        self.server = server
        self.user = user
        self.id = str(user)
        self.client = client

    async def account(self) -> Mapping[str, Any]:
        found = await self.server.kernel.database.collection("users").find_one({"_id": self.user})
        assert found is not None
        return found

    async def rows(self, collection: str) -> list[dict[str, Any]]:
        return await self.server.kernel.database.collection(collection).find({}).to_list()

    async def principal(self) -> Principal:
        account = await self.server.kernel.services.get(ACCOUNTS).find(self.id)
        return Principal(self.id, account=account or {})

    async def another(self, **fields: Any) -> "Caller":
        """Another user of the same server."""
        return await signed_in(self.server, **fields)


async def signed_in(server: Server, **fields: Any) -> Caller:
    user, moment = ObjectId(), datetime.now(UTC)
    document = {
        "_id": user,
        "name": "Ann Example",
        "username": "ann",
        "email": f"{user}@example.com",
        "emailVerified": True,
        "password": "$2b$10$hidden",
        "avatar": None,
        "provider": "local",
        "role": "USER",
        "plugins": [],
        "twoFactorEnabled": False,
        "backupCodes": [],
        "termsAccepted": False,
        "termsAcceptedAt": None,
        "personalization": {"memories": True, "statefulCodeEnvironment": "user"},
        "refreshToken": [],
        "favorites": [],
        "skillStates": {},
        "createdAt": moment,
        "updatedAt": moment,
        "__v": 0,
        **fields,
    }
    await server.kernel.database.collection("users").insert_one(document)
    claims = {"id": str(user), "exp": int(moment.timestamp()) + 900}
    token = jwt.encode(claims, server.kernel.credentials.jwt_secret)
    client = server.connect(token)
    return Caller(server, user, client)


class SignedIn(Protocol):
    def __call__(
        self, *plugins: Any, fields: Mapping[str, Any] | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Caller]: ...


@pytest.fixture
def caller(serve: Serve) -> SignedIn:
    """``async with caller() as ann:`` — a server with this plugin and accounts, and a user."""

    @asynccontextmanager
    async def start(
        *plugins: Any, fields: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Caller]:
        async with serve("auth", "users", *plugins, **options) as server:
            found = await signed_in(server, **(fields or {}))
            async with found.client:
                yield found

    return start


@pytest.fixture
async def ann(caller: SignedIn) -> AsyncIterator[Caller]:
    """A user of a server of her own."""
    async with caller() as found:
        yield found
