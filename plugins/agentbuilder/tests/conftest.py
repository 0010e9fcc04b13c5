"""A server with this plugin, with or without roles, and people who use it."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook
from locutory_contracts.accounts import ACCOUNTS, Account, AccountDeleted, AccountDeleting
from locutory_contracts.files import FILES
from locutory_contracts.people import PEOPLE
from locutory_testing import Serve, Server, SignIn

ANN, BEN, EVE = ("a" * 24, "b" * 24, "e" * 24)
NAMES = {ANN: "Ann", BEN: "Ben", EVE: "Eve"}
SHARING = {"interface": {"agents": {"use": True, "create": True, "share": True, "public": True}}}
WHOLE = {"provider": "Fake", "model": "fake", "tools": []}


def account(user: str) -> dict[str, Any]:
    """A stored account."""
    return {
        "_id": ObjectId(user),
        "name": NAMES.get(user, "Somebody"),
        "username": "somebody",
        "email": f"{user}@example.com",
        "role": "USER",
        "provider": "local",
    }


class Community(Plugin):
    """Everybody whom the tests name exists, and each has the files that begin with his name."""

    name = "community"
    summary = "Accounts and files of the tests"
    provides = (PEOPLE, ACCOUNTS, FILES)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(PEOPLE, self), Provide(ACCOUNTS, self), Provide(FILES, Drawer())]

    async def find(self, user_id: str) -> Account | None:
        return account(user_id) if user_id in NAMES else None

    async def find_many(self, ids: Collection[str]) -> Mapping[str, Account]:
        return {user: account(user) for user in ids if user in NAMES}

    async def search(
        self, text: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[Account]:
        return []

    async def by_source_id(self, source_id: str, *, tenant: str | None = None) -> Account | None:
        return None

    async def by_email(self, email: str, *, tenant: str | None = None) -> Account | None:
        return None


class Drawer:
    """Files of the tests: ``ann-1`` is Ann's."""

    async def find(self, user: str, file_ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        mine = f"{NAMES[user].lower()}-"
        return {name: {"file_id": name} for name in file_ids if name.startswith(mine)}


@dataclass
class Stage:
    """A running server and its people."""

    server: Server
    ann: httpx2.AsyncClient
    ben: httpx2.AsyncClient
    eve: httpx2.AsyncClient
    admin: httpx2.AsyncClient

    def collection(self, name: str) -> Any:
        return self.server.kernel.database.collection(name)

    async def make(self, client: httpx2.AsyncClient | None = None, **fields: Any) -> dict[str, Any]:
        """An agent, as the answer shows it."""
        answer = await (client or self.ann).post("/api/agents", json={**WHOLE, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def names(self, client: httpx2.AsyncClient, **query: Any) -> list[str]:
        """Names in the list, in order."""
        answer = await client.get("/api/agents", params=query)
        assert answer.status_code == 200, answer.text
        return [row["name"] for row in answer.json()["data"]]

    async def share(self, agent: Mapping[str, Any], user: str, level: str) -> None:
        """Grant an access role through the permissions route."""
        granted = {"type": "user", "id": user, "accessRoleId": f"agent_{level}"}
        path = f"/api/permissions/agent/{agent['_id']}"
        answer = await self.ann.put(path, json={"updated": [granted], "removed": []})
        assert answer.status_code == 200, answer.text

    async def delete_account(self, user: str) -> None:
        """What happens when an account is deleted."""
        events = self.server.kernel.events
        await events.check(AccountDeleting(user))
        await events.publish(AccountDeleted(user))


Opened = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def stage(serve: Serve) -> Opened:
    """``async with stage() as s``; ``roles=False`` leaves out who keeps the entries."""

    @asynccontextmanager
    async def opened(
        *, roles: bool = True, others: Sequence[Plugin] = (), **options: Any
    ) -> AsyncIterator[Stage]:
        signin = SignIn({user: account(user) for user in NAMES})
        plugins: list[str | Plugin] = ["agentbuilder", signin, Community(), *others]
        if roles:
            plugins.insert(1, "roles")
            options.setdefault("yaml", SHARING)
        async with (
            serve(*plugins, **options) as server,
            server.connect(ANN) as ann,
            server.connect(BEN) as ben,
            server.connect(EVE) as eve,
            server.connect(f"{'d' * 24}:ADMIN") as admin,
        ):
            yield Stage(server, ann, ben, eve, admin)

    return opened
