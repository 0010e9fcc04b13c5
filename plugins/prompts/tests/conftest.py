"""A server with this plugin, with or without roles, and people who use it."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook
from locutory_contracts.access import ACCESS
from locutory_contracts.accounts import ACCOUNTS, Account, AccountDeleted, AccountDeleting
from locutory_contracts.people import PEOPLE
from locutory_testing import Serve, Server, SignIn

ANN, BEN, EVE = ("a" * 24, "b" * 24, "e" * 24)
NAMES = {ANN: "Ann", BEN: "Ben", EVE: "Eve"}
GROUPS = "/api/prompts/groups"
GREETING = {
    "prompt": {"prompt": "Say hi to {{name}}", "type": "text"},
    "group": {"name": "Greeter", "category": "", "oneliner": "greets", "command": "greet"},
}
SHARING = {"interface": {"prompts": {"use": True, "create": True, "share": True, "public": True}}}


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
    """Everybody whom the tests name exists."""

    name = "community"
    summary = "Accounts of the tests"
    provides = (PEOPLE, ACCOUNTS)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(PEOPLE, self), Provide(ACCOUNTS, self)]

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

    async def make(self, client: httpx2.AsyncClient | None = None, **group: Any) -> dict[str, Any]:
        """A prompt; returns its group as the answer shows it."""
        body = {**GREETING, "group": {**GREETING["group"], **group}}
        answer = await (client or self.ann).post("/api/prompts", json=body)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()["group"]
        return made

    async def names(
        self, client: httpx2.AsyncClient, where: str = "all", **query: Any
    ) -> list[str]:
        """Names in a list, in order."""
        answer = await client.get(f"/api/prompts/{where}", params=query)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        rows = found if isinstance(found, list) else found["promptGroups"]
        return [row["name"] for row in rows]

    async def add(self, group: str, text: str, client: httpx2.AsyncClient | None = None) -> str:
        """A version; returns its id."""
        body = {"prompt": {"prompt": text, "type": "text"}}
        answer = await (client or self.ann).post(f"{GROUPS}/{group}/prompts", json=body)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["prompt"]["_id"]
        return found

    async def share(
        self, group: str, user: str, level: str, client: httpx2.AsyncClient | None = None
    ) -> None:
        """Grant an access role through the permissions route."""
        granted = {"type": "user", "id": user, "accessRoleId": f"promptGroup_{level}"}
        await self.permissions(group, {"updated": [granted], "removed": []}, client)

    async def unshare(
        self, group: str, user: str, client: httpx2.AsyncClient | None = None
    ) -> None:
        """Take it away."""
        body = {"updated": [], "removed": [{"type": "user", "id": user}]}
        await self.permissions(group, body, client)

    async def permissions(
        self, group: str, body: dict[str, Any], client: httpx2.AsyncClient | None = None
    ) -> None:
        path = f"/api/permissions/promptGroup/{group}"
        answer = await (client or self.ann).put(path, json=body)
        assert answer.status_code == 200, answer.text

    async def delete_account(self, user: str) -> None:
        """What happens when an account is deleted."""
        events = self.server.kernel.events
        await events.check(AccountDeleting(user))
        await events.publish(AccountDeleted(user))

    @property
    def access(self) -> Any:
        return self.server.kernel.services.get(ACCESS)


Opened = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def stage(serve: Serve) -> Opened:
    """``async with stage() as s``; ``roles=False`` leaves out who keeps the entries."""

    @asynccontextmanager
    async def opened(*, roles: bool = True, **options: Any) -> AsyncIterator[Stage]:
        signin = SignIn({user: account(user) for user in NAMES})
        plugins: list[str | Plugin] = ["prompts", signin, Community()]
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
