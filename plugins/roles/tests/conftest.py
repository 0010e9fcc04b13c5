"""A stage for the tests of resource access: people, groups, resources, entries."""

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from beanie import Document
from bson import ObjectId

from locutory import Context, On, Plugin, Provide, hook
from locutory.data.database import Raw
from locutory_contracts.access import (
    ACCESS,
    OWNER,
    RESOURCE_KINDS,
    VIEW,
    AccessRevoked,
    AccessRole,
    ResourceAccess,
)
from locutory_contracts.accounts import ACCOUNTS, Account
from locutory_contracts.people import PEOPLE
from locutory_testing import Serve, Server, SignIn
from locutory_testing.programs import redis_server

SECRETS = {"password": "hash", "totpSecret": "totp"}


class Person(Document):
    """An account of the tests."""

    name: str

    class Settings:
        name = "test_people"


class Thing(Document):
    """A resource of the tests."""

    kind: str

    class Settings:
        name = "test_things"


class Community(Plugin):
    """Provides PEOPLE and ACCOUNTS over its own collection, as the auth plugin does."""

    name = "community"
    summary = "People of the tests"
    provides = (PEOPLE, ACCOUNTS)

    @hook
    def documents(self) -> list[type[Document]]:
        return [Person]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self._database = ctx.database
        return [Provide(PEOPLE, self), Provide(ACCOUNTS, self)]

    @property
    def _people(self) -> Any:
        return self._database[Person]

    async def search(
        self, text: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[Account]:
        pattern = {"$regex": re.escape(text), "$options": "i"}
        found: dict[ObjectId, Account] = {}
        for name in ("name", "email", "username"):
            matching = self._people.find(
                {name: pattern, "tenantId": tenant}, dict.fromkeys(SECRETS, 0), limit=limit
            )
            found.update({person["_id"]: person async for person in matching})
        return list(found.values())[:limit]

    async def find_many(self, ids: Collection[str]) -> Mapping[str, Account]:
        known = [ObjectId(user) for user in ids if ObjectId.is_valid(user)]
        found = self._people.find({"_id": {"$in": known}}, dict.fromkeys(SECRETS, 0))
        return {str(person["_id"]): person async for person in found}

    async def by_source_id(self, source_id: str, *, tenant: str | None = None) -> Account | None:
        return await self._one({"idOnTheSource": source_id, "tenantId": tenant})

    async def by_email(self, email: str, *, tenant: str | None = None) -> Account | None:
        return await self._one({"email": email.lower(), "tenantId": tenant})

    async def find(self, user_id: str) -> Account | None:
        return (await self.find_many([user_id])).get(user_id)

    async def _one(self, wanted: Mapping[str, Any]) -> Account | None:
        found: Account | None = await self._people.find_one(wanted, dict.fromkeys(SECRETS, 0))
        return found


@dataclass
class ThingKind:
    """A resource type of the tests over its own collection."""

    name: str
    permission: str
    capability: str
    missing_is_404: bool
    access_roles: Sequence[AccessRole]
    database: Any = None

    async def exists(self, resource_id: str) -> bool:
        wanted = {"_id": ObjectId(resource_id), "kind": self.name}
        return await self.database[Thing].find_one(wanted) is not None


def _kinds() -> list[ThingKind]:
    table = (
        ("agent", "AGENTS", "manage:agents", False),
        ("promptGroup", "PROMPTS", "manage:prompts", False),
        ("mcpServer", "MCP_SERVERS", "manage:mcpservers", True),
        ("remoteAgent", "REMOTE_AGENTS", "manage:agents", False),
        ("skill", "SKILLS", "manage:skills", True),
        ("sharedLink", "SHARED_LINKS", "manage:sharedlinks", False),
    )
    return [
        ThingKind(
            name,
            permission,
            capability,
            missing,
            (
                AccessRole(f"{name}_viewer", VIEW, "v", "v_desc"),
                AccessRole(f"{name}_owner", OWNER, "o", "o_desc"),
            ),
        )
        for name, permission, capability, missing in table
    ]


class Things(Plugin):
    """Offers LibreChat's six types, and one of its own."""

    name = "things"
    summary = "Resources of the tests"
    provides = (RESOURCE_KINDS,)

    def __init__(self) -> None:
        self.revoked: list[AccessRevoked] = []

    @hook
    def documents(self) -> list[type[Document]]:
        return [Thing]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        own = ThingKind(
            "report",
            "REPORTS",
            "manage:reports",
            True,
            (
                AccessRole("report_reader", VIEW, "reader", "reads"),
                AccessRole("report_boss", OWNER, "boss", "owns"),
            ),
        )
        kinds = [*_kinds(), own]
        for kind in kinds:
            kind.database = ctx.database
        return [Provide(RESOURCE_KINDS, kind, kind.name) for kind in kinds]

    @hook
    def subscriptions(self) -> list[On]:
        async def revoked(fact: AccessRevoked) -> None:
            self.revoked.append(fact)

        return [On(AccessRevoked, revoked)]


@dataclass
class Stage:
    """A running server with people and resources."""

    server: Server
    revoked: list[AccessRevoked]
    roles: dict[str, str] = field(default_factory=dict)

    def collection(self, name: str) -> Any:
        return self.server.kernel.database.collection(name)

    @property
    def access(self) -> ResourceAccess:
        return self.server.kernel.services.get(ACCESS)

    async def person(self, name: str, **more: Any) -> str:
        """A new account; returns its id."""
        first = name.partition(" ")[0].lower()
        person: Raw = {
            "name": name,
            "username": first,
            "email": f"{first}@example.com",
            "avatar": None,
            "provider": "local",
            "role": "USER",
            **SECRETS,
            **more,
        }
        await self.collection("test_people").insert_one(person)
        return str(person["_id"])

    async def thing(self, kind: str) -> str:
        """A new resource; returns its id."""
        thing: Raw = {"kind": kind}
        await self.collection("test_things").insert_one(thing)
        return str(thing["_id"])

    async def group(self, name: str, *members: str, **more: Any) -> ObjectId:
        """A new group; returns its id."""
        moment = datetime.now(UTC)
        group: Raw = {
            "name": name,
            "memberIds": list(members),
            "source": "local",
            "createdAt": moment,
            "updatedAt": moment,
            **more,
        }
        await self.collection("groups").insert_one(group)
        identity: ObjectId = group["_id"]
        return identity

    async def role(self, name: str, permissions: Mapping[str, Any], **more: Any) -> None:
        await self.collection("roles").insert_one(
            {"name": name, "permissions": permissions, **more}
        )

    async def entry(
        self, party: tuple[str, Any], kind: str, resource: str, bits: Any, **more: Any
    ) -> None:
        """An entry as LibreChat writes it."""
        moment = datetime.now(UTC)
        entry: Raw = {
            "principalType": party[0],
            "resourceType": kind,
            "resourceId": ObjectId(resource),
            "permBits": bits,
            "grantedAt": moment,
            "createdAt": moment,
            "updatedAt": moment,
            **more,
        }
        if party[0] != "public":
            entry |= {"principalId": party[1], "principalModel": party[0].title()}
        await self.collection("aclentries").insert_one(entry)

    async def entries(self, kind: str, resource: str) -> list[Raw]:
        found: list[Raw] = (
            await self.collection("aclentries")
            .find({"resourceType": kind, "resourceId": ObjectId(resource)})
            .to_list()
        )
        return found

    async def owned(self, kind: str, owner: str) -> str:
        """A new resource with an owner."""
        resource = await self.thing(kind)
        await self.access.grant_owner(owner, kind, resource)
        return resource

    async def call(
        self, method: str, path: str, who: str, role: str = "USER", json: Any = None
    ) -> httpx2.Response:
        return await self.server.client.request(
            method,
            f"/api/permissions/{path}",
            headers={"Authorization": f"Bearer {who}:{role}"},
            json=json,
        )

    async def get(self, path: str, who: str, role: str = "USER") -> httpx2.Response:
        return await self.call("GET", path, who, role)

    async def put(self, path: str, who: str, body: Any, role: str = "USER") -> httpx2.Response:
        return await self.call("PUT", path, who, role, body)


Stages = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def stage(serve: Serve) -> Stages:
    """``async with stage() as s: ...``; ``things=False`` without plugins for resources,
    ``people=False`` without accounts."""

    @asynccontextmanager
    async def start(
        *,
        things: bool = True,
        people: bool = True,
        accounts: Mapping[str, Mapping[str, Any]] | None = None,
        others: Sequence[Plugin] = (),
        **options: Any,
    ) -> AsyncIterator[Stage]:
        offered = Things()
        plugins: list[Plugin] = [SignIn(accounts), *others]
        plugins += [offered] if things else []
        plugins += [Community()] if people else []
        async with serve("roles", *plugins, **options) as server:
            yield Stage(server, offered.revoked)

    return start


@pytest.fixture
def redis_address(tmp_path: Path) -> Iterator[str]:
    """A Redis server of our own."""
    with redis_server(tmp_path) as (url, _):
        yield url
