"""What happens to resources when an account is deleted."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from beanie import Document
from bson import ObjectId

from locutory import Collection, Context, Plugin, Principal, Provide, Services, hook
from locutory_contracts.access import ACCESS, OWNER
from locutory_resources import OwnershipTransfer
from locutory_testing import Serve

ANN, BOB, CID = (ObjectId() for _ in range(3))


class Thing(Document):
    author: Any

    class Settings:
        name = "things"


class Pending(Document):
    user: str

    class Settings:
        name = "things_leaving"


class Entries:
    """Owners by entries."""

    def __init__(self) -> None:
        self.of: dict[str, set[str]] = {}

    async def reachable(self, principal: Principal, kind: str, needed: int) -> Mapping[str, int]:
        assert (kind, needed) == ("thing", OWNER)
        return {key: OWNER for key, users in self.of.items() if principal.id in users}

    async def owners(self, kind: str, resource_ids: Sequence[str]) -> Mapping[str, set[str]]:
        return {key: set(self.of.get(key, ())) for key in resource_ids}


class ThingsPlugin(Plugin):
    """Keeps things; implements `locutory_resources.OwnedResources`."""

    name = "things"
    summary = "Things; for tests"

    def __init__(self, entries: Entries | None) -> None:
        self.anonymised: list[ObjectId] = []
        services = Services()
        if entries is not None:
            services.provide(Provide(ACCESS, entries), "tests")
        self.ownership_transfer = OwnershipTransfer(
            "thing", self, lambda: self.database[Pending], services
        )

    @hook
    def setup(self, ctx: Context) -> None:
        self.database = ctx.database

    @hook
    def documents(self) -> list[type[Document]]:
        return [Thing, Pending]

    @property
    def collection(self) -> Collection:
        return self.database[Thing]

    async def remove(self, resource_ids: Sequence[ObjectId]) -> None:
        await self.collection.delete_many({"_id": {"$in": list(resource_ids)}})

    async def transfer(self, resource_id: ObjectId, user: ObjectId, heir: ObjectId) -> None:
        key = {"_id": resource_id, "author": user}
        await self.collection.update_one(key, {"$set": {"author": heir}})

    async def anonymise(self, user: ObjectId) -> None:
        self.anonymised.append(user)

    async def add(self, author: ObjectId) -> ObjectId:
        return ObjectId((await self.collection.insert_one({"author": author})).inserted_id)

    async def authors(self) -> dict[ObjectId, ObjectId]:
        return {row["_id"]: row["author"] for row in await self.collection.find().to_list()}


@pytest.fixture
def entries() -> Entries:
    return Entries()


@pytest.fixture
async def things(serve: Serve, entries: Entries) -> AsyncIterator[ThingsPlugin]:
    plugin = ThingsPlugin(entries)
    async with serve(plugin):
        yield plugin


async def test_what_nobody_else_owns_goes(things: ThingsPlugin, entries: Entries) -> None:
    own, shared, foreign, others = [await things.add(who) for who in (ANN, ANN, BOB, BOB)]
    entries.of = {
        str(own): {str(ANN)},
        str(shared): {str(ANN), str(BOB), str(CID)},
        str(foreign): {str(ANN)},  # its author has given it away
        str(others): {str(ANN), str(BOB)},
    }
    await things.ownership_transfer.note(str(ANN))
    pending = things.database[Pending]
    assert await pending.find().to_list() == [{"_id": foreign, "user": str(ANN)}]
    for users in entries.of.values():  # another plugin may be faster
        users.discard(str(ANN))
    for _ in range(2):
        await things.ownership_transfer.carry_out(str(ANN))
        assert await things.authors() == {shared: min(BOB, CID), others: BOB}
    assert await pending.find_one() is None
    assert things.anonymised == [ANN, ANN]


async def test_entries_may_still_be_there(things: ThingsPlugin, entries: Entries) -> None:
    own, shared = [await things.add(who) for who in (ANN, ANN)]
    entries.of = {str(own): {str(ANN)}, str(shared): {str(ANN), str(BOB)}}
    await things.ownership_transfer.carry_out(str(ANN))
    assert await things.authors() == {shared: BOB}


async def test_while_nothing_can_be_shared(serve: Serve) -> None:
    plugin = ThingsPlugin(None)
    async with serve(plugin):
        await plugin.add(ANN)
        kept = await plugin.add(BOB)
        await plugin.ownership_transfer.note(str(ANN))
        await plugin.ownership_transfer.carry_out(str(ANN))
        assert await plugin.authors() == {kept: BOB}
