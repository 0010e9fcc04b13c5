"""Links of old servers, and links where nobody keeps access entries (contract share §2)."""

from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

LEGACY = {"message": "Legacy shared link requires migration"}


async def old_link(world: Any, **fields: Any) -> str:
    """A link as LibreChat stored it before it had access entries; its public id."""
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    messages = [message["_id"] for message in await world.messages(chat)]
    made = await world.alice.share(chat)
    await world.collection("aclentries").delete_many({"resourceId": ObjectId(made["_id"])})
    await world.collection("sharedlinks").update_one(
        {"shareId": made["shareId"]},
        {
            "$set": {"messages": messages, **fields},
            "$unset": {"snapshotFiles": "", "fileSnapshots": ""},
        },
    )
    return str(made["shareId"])


@pytest.mark.parametrize(("value", "public"), [(True, True), (None, True), (False, False)])
async def test_old_links_get_entries_when_they_are_seen(
    world: Any, kit: Any, value: Any, public: bool
) -> None:
    ends = kit.moment(hours=-1)
    share_id = await old_link(world, isPublic=value, expiredAt=ends)
    answer = await world.bob.get(f"/api/share/{share_id}")
    assert answer.status_code == (200 if public else 403)
    stored = await world.link(share_id)
    assert "isPublic" not in stored
    entries = await world.entries(stored["_id"])
    held = {entry["principalType"]: entry for entry in entries}
    assert held.keys() == ({"user", "public"} if public else {"user"})
    assert held["user"]["permBits"] == 15
    assert all(entry["expiredAt"] == ends for entry in entries)
    await world.bob.get(f"/api/share/{share_id}")
    assert await world.entries(stored["_id"]) == entries


async def test_old_links_get_entries_when_their_owner_looks(world: Any) -> None:
    share_id = await old_link(world, isPublic=True)
    stored = await world.link(share_id)
    await world.alice.get(f"/api/share/link/{stored['conversationId']}")
    assert "isPublic" not in await world.link(share_id)
    assert len(await world.entries(stored["_id"])) == 2


async def test_an_old_link_of_nobody(world: Any) -> None:
    share_id = await old_link(world, isPublic=True, user="not an id")
    assert (await world.bob.read(share_id))["messages"] == []
    assert "isPublic" not in await world.link(share_id)


async def test_a_very_old_link_does_not_name_its_owner(world: Any) -> None:
    share_id = await old_link(world, isPublic=True)
    await world.collection("sharedlinks").update_one({}, {"$unset": {"user": ""}})
    shown = (await world.bob.read(share_id))["messages"]
    assert [message["text"] for message in shown] == ["Hi", "Hello"]
    assert (await world.bob.get(f"/api/share/{share_id}/files/x")).status_code == 404


async def test_migration_may_be_left_to_the_operator(make_world: Any) -> None:
    async with make_world(environment={"SHARED_LINKS_AUTO_MIGRATE": "false"}) as world:
        share_id = await old_link(world, isPublic=True)
        for person in (world.alice, world.bob, world.stranger):
            answer = await person.get(f"/api/share/{share_id}")
            assert (answer.status_code, answer.json()) == (403, LEGACY)
        stored = await world.link(share_id)
        assert stored["isPublic"] is True
        await world.alice.get(f"/api/share/link/{stored['conversationId']}")
        assert [e["principalType"] for e in await world.entries(stored["_id"])] == ["user"]
        check = next(
            check
            for _, check in world.server.kernel.contributions.checks
            if check.name == "old shared links"
        )
        assert "'locutory migrate'" in await check.run()
        for _ in range(2):
            assert await check.migrate() == "every link has access entries"
        assert await check.run() is None
        assert (await world.bob.get(f"/api/share/{share_id}")).status_code == 200


@pytest.mark.parametrize("strangers", [True, False])
async def test_without_roles_new_links_say_themselves_who_may_read(
    make_world: Any, strangers: bool
) -> None:
    environment = {"ALLOW_SHARED_LINKS_PUBLIC": str(strangers).lower()}
    async with make_world(without={"roles"}, environment=environment) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        share = f"/api/share/{made['shareId']}"
        assert (await world.link(made["shareId"]))["isPublic"] is True
        assert (await world.bob.get(share)).status_code == 200
        assert (await world.stranger.get(share)).status_code == (200 if strangers else 401)
        private = {"$set": {"isPublic": False}}
        await world.collection("sharedlinks").update_one({}, private)
        assert (await world.alice.get(share)).status_code == 200
        assert (await world.bob.get(share)).status_code == 403
        assert (await world.stranger.get(share)).status_code == 401
        # A link that has entries somewhere: nobody knows them now.
        await world.collection("sharedlinks").update_one({}, {"$unset": {"isPublic": ""}})
        assert (await world.alice.get(share)).status_code == 200
        assert (await world.bob.get(share)).status_code == 403
        assert (await world.alice.call("PATCH", share, {})).status_code == 200
        assert (await world.alice.get(f"/api/share/link/{made['conversationId']}")).is_success
        assert (await world.alice.call("DELETE", share)).status_code == 200


async def test_roles_switched_on_later_take_over(make_world: Any) -> None:
    name = f"test_{uuid4().hex}"
    async with make_world(database=name, without={"roles"}) as world:
        alice, bob = world.alice, world.bob
        made = await alice.share(await world.chat(alice.id, "Hi"))
        assert (await bob.get(f"/api/share/{made['shareId']}")).status_code == 200
    async with make_world(database=name) as world:
        bob.client = world.server.client
        assert (await bob.get(f"/api/share/{made['shareId']}")).status_code == 200
        assert "isPublic" not in await world.link(made["shareId"])
        assert len(await world.entries(made["_id"])) == 2
        await world.server.kernel.database.client.drop_database(name)


async def test_without_conversations_links_cannot_be_read(make_world: Any) -> None:
    async with make_world(without={"conversations"}) as world:
        link = {"shareId": "s" * 21, "conversationId": "c", "user": world.alice.id}
        await world.collection("sharedlinks").insert_one(link)
        path = f"/api/share/{'s' * 21}"
        for method, at in (
            ("GET", path),
            ("POST", f"{path}/fork"),
            ("POST", "/api/share/c"),
            ("PATCH", path),
        ):
            answer = await world.alice.call(method, at, {} if method != "GET" else None)
            assert answer.status_code == 503, at
        assert (await world.alice.get("/api/share")).status_code == 200
        assert (await world.alice.get(f"{path}/config")).status_code == 200
        assert (await world.alice.call("DELETE", path)).status_code == 200
