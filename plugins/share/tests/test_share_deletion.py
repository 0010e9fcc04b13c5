"""Links go with what they show, and with their owner (contract share §6)."""

from typing import Any
from uuid import uuid4

from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import ConversationsDeleted, MessagesDeleted


async def test_deleting_a_chat_deletes_its_links(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    first = (await world.messages(chat))[0]
    one = await world.alice.share(chat, targetMessageId=first["messageId"])
    two = await world.alice.share(
        chat, targetMessageId=(await world.messages(chat))[1]["messageId"]
    )
    other = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    await world.grant(one["_id"], world.bob)
    answer = await world.alice.call("DELETE", "/api/convos", {"arg": {"conversationId": chat}})
    assert answer.status_code == 201
    assert [link["shareId"] for link in await world.links()] == [other["shareId"]]
    assert await world.entries(one["_id"]) == await world.entries(two["_id"]) == []
    assert len(await world.entries(other["_id"])) == 2
    for made in (one, two):
        assert (await world.bob.get(f"/api/share/{made['shareId']}")).status_code == 404


async def test_the_same_chat_id_of_somebody_else_is_another(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi")
    await world.chat(world.bob.id, "Hi", conversationId=chat)
    made = await world.alice.share(chat)
    await world.server.kernel.events.publish(ConversationsDeleted(world.bob.id, [chat], False))
    assert [link["shareId"] for link in await world.links()] == [made["shareId"]]


async def test_deleting_all_chats_deletes_all_links(world: Any) -> None:
    made = [await world.alice.share(await world.chat(world.alice.id, "Hi")) for _ in range(3)]
    stray = {"shareId": "stray", "conversationId": str(uuid4()), "user": world.alice.id}
    await world.collection("sharedlinks").insert_one(stray)
    bobs = await world.bob.share(await world.chat(world.bob.id, "Hi"))
    assert (await world.alice.call("DELETE", "/api/convos/all")).status_code == 201
    assert [link["shareId"] for link in await world.links()] == [bobs["shareId"]]
    for one in made:
        assert await world.entries(one["_id"]) == []


async def test_a_late_fact_spares_what_was_made_since(world: Any) -> None:
    old = str(uuid4())
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    fact = ConversationsDeleted(world.alice.id, [old], True)
    for _ in range(2):
        await world.server.kernel.events.publish(fact)
    assert [link["shareId"] for link in await world.links()] == [made["shareId"]]


async def test_deleting_an_account_deletes_its_links(world: Any, kit: Any) -> None:
    made = [await world.alice.share(await world.chat(world.alice.id, "Hi")) for _ in range(2)]
    over = {"$set": {"expiredAt": kit.moment(seconds=1)}}
    await world.collection("sharedlinks").update_one({"shareId": made[0]["shareId"]}, over)
    bobs = await world.bob.share(await world.chat(world.bob.id, "Hi"))
    await world.grant(made[0]["_id"], world.bob)
    for _ in range(2):
        await world.server.kernel.events.publish(AccountDeleted(world.alice.id))
    assert [link["shareId"] for link in await world.links()] == [bobs["shareId"]]
    for one in made:
        assert await world.entries(one["_id"]) == []
    assert len(await world.entries(bobs["_id"])) == 2


async def test_an_account_that_was_deleted_meanwhile(make_world: Any) -> None:
    """The plugin was off when it happened; when it is on again, nothing is left."""
    name = f"test_{uuid4().hex}"
    async with make_world(database=name) as world:
        alice, bob = world.alice, world.bob
        made = await alice.share(await world.chat(alice.id, "Hi"))
        await world.grant(made["_id"], bob, grantedBy=alice.id)
    async with make_world(database=name, without={"share"}) as world:
        await world.server.kernel.events.publish(AccountDeleted(alice.id))
        assert len(await world.links()) == 1
    async with make_world(database=name) as world:
        await world.server.kernel.events.outbox.deliver_pending()
        assert await world.links() == []
        assert await world.entries(made["_id"]) == []
        await world.server.kernel.database.client.drop_database(name)


async def test_a_deleted_message_takes_its_files_along(world: Any) -> None:
    chat = await world.chat(world.alice.id)
    kept, gone = [await world.files.put(world.alice.id, b"x") for _ in range(2)]
    first = await world.say(world.alice.id, chat, "", files=[{"file_id": kept}])
    second = await world.say(world.alice.id, chat, first, files=[{"file_id": gone}])
    made = await world.alice.share(chat)
    revision = (await world.bob.read(made["shareId"]))["updatedAt"]
    files = f"/api/share/{made['shareId']}/files"
    assert (await world.bob.get(f"{files}/{gone}")).status_code == 200
    deleted = await world.alice.call("DELETE", f"/api/messages/{chat}/{second}")
    assert deleted.status_code == 204
    await world.server.kernel.events.publish(MessagesDeleted(world.alice.id, chat, [second]))
    assert (await world.bob.get(f"{files}/{kept}")).status_code == 200
    assert (await world.bob.get(f"{files}/{gone}")).status_code == 404
    shown = await world.bob.read(made["shareId"])
    assert len(shown["messages"]) == 1
    assert shown["updatedAt"] > revision  # places in the list have changed
    body = {"shareRevision": revision, "targetMessageIndex": 0}
    fork = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", body)
    assert fork.status_code == 409


async def test_entries_go_when_somebody_can_remove_them(make_world: Any) -> None:
    name = f"test_{uuid4().hex}"
    async with make_world(database=name) as world:
        alice, bob = world.alice, world.bob
        old = await alice.share(await world.chat(alice.id, "Hi"))
        await world.grant(old["_id"], bob)
    async with make_world(database=name, without={"roles"}) as world:
        alice.client = world.server.client
        new = await alice.share(await world.chat(alice.id, "Hi"))
        for _ in range(2):
            await world.server.kernel.events.publish(AccountDeleted(alice.id))
        assert await world.links() == []
        assert len(await world.entries(old["_id"])) == 3
        left = await world.collection("locutory_share_leftovers").find().to_list()
        assert [str(note["_id"]) for note in left] == [old["_id"]]
    async with make_world(database=name) as world:
        assert await world.entries(old["_id"]) == await world.entries(new["_id"]) == []
        assert await world.collection("locutory_share_leftovers").count_documents({}) == 0
        await world.server.kernel.database.client.drop_database(name)
