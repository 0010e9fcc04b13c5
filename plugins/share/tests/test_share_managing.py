"""Making, renewing and deleting links (contract share §5)."""

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook
from locutory_contracts.access import ACCESS
from locutory_contracts.conversations import NO_PARENT


async def test_a_new_link(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    answer = await world.alice.call("POST", f"/api/share/{chat}", {"snapshotFiles": True})
    assert answer.status_code == 200
    made = answer.json()
    assert list(made) == ["_id", "shareId", "conversationId"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{21}", made["shareId"])
    stored = await world.link(made["shareId"])
    messages = await world.messages(chat)
    assert stored == {
        "_id": ObjectId(made["_id"]),
        "shareId": made["shareId"],
        "conversationId": chat,
        "title": "A chat",
        "user": world.alice.id,
        "messages": [message["_id"] for message in messages],
        "snapshotFiles": True,
        "fileSnapshots": [],
        "createdAt": stored["createdAt"],
        "updatedAt": stored["createdAt"],
        "__v": 0,
    }
    entries = await world.entries(made["_id"])
    held = {(entry["principalType"], entry.get("principalId")): entry for entry in entries}
    assert held.keys() == {("user", ObjectId(world.alice.id)), ("public", None)}
    assert held["user", ObjectId(world.alice.id)]["permBits"] == 15
    assert held["public", None]["permBits"] == 1
    assert all("expiredAt" not in entry for entry in entries)


async def test_the_body_may_be_missing(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi")
    answer = await world.alice.call("POST", f"/api/share/{chat}")
    assert answer.status_code == 200
    assert (await world.alice.call("PATCH", f"/api/share/{answer.json()['shareId']}")).is_success


async def test_one_link_a_chat_and_target(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello", "More")
    first, second, _ = await world.messages(chat)
    exists = {"message": "Share already exists"}
    at_first = await world.alice.share(chat, targetMessageId=first["messageId"])
    assert at_first["targetMessageId"] == first["messageId"]
    for body in ({}, {"targetMessageId": first["messageId"]}):
        answer = await world.alice.call("POST", f"/api/share/{chat}", body)
        assert (answer.status_code, answer.json()) == (409, exists)
    await world.alice.share(chat, targetMessageId=second["messageId"])
    # What is over does not count.
    over = first["createdAt"] - timedelta(days=1)
    await world.collection("sharedlinks").update_many({}, {"$set": {"expiredAt": over}})
    await world.alice.share(chat)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"targetMessageId": ""}, "targetMessageId must be a non-empty string"),
        ({"targetMessageId": "  "}, "targetMessageId must be a non-empty string"),
        ({"targetMessageId": None}, "targetMessageId must be a non-empty string"),
        ({"targetMessageId": 3}, "targetMessageId must be a non-empty string"),
        ({"targetMessageId": ["x"]}, "targetMessageId must be a non-empty string"),
        ({"targetMessageId": {"$ne": ""}}, "targetMessageId must be a non-empty string"),
        ({"snapshotFiles": "true"}, "snapshotFiles must be a boolean"),
        ({"snapshotFiles": None}, "snapshotFiles must be a boolean"),
        ({"snapshotFiles": 1}, "snapshotFiles must be a boolean"),
        ({"targetMessageId": "unknown"}, "Target message not found"),
    ],
)
async def test_wrong_bodies(world: Any, body: dict[str, Any], text: str) -> None:
    chat = await world.chat(world.alice.id, "Hi")
    answer = await world.alice.call("POST", f"/api/share/{chat}", body)
    assert (answer.status_code, answer.json()) == (400, {"message": text})
    assert await world.links() == []
    made = await world.alice.share(chat)
    answer = await world.alice.call("PATCH", f"/api/share/{made['shareId']}", body)
    assert (answer.status_code, answer.json()) == (400, {"message": text})


async def test_chats_that_cannot_be_shared(world: Any) -> None:
    empty = await world.chat(world.alice.id)
    foreign = await world.chat(world.bob.id, "Hi")
    for chat, status, text in (
        (str(uuid4()), 404, "Conversation not found or access denied"),
        (foreign, 404, "Conversation not found or access denied"),
        (empty, 400, "No messages to share"),
    ):
        answer = await world.alice.call("POST", f"/api/share/{chat}", {})
        assert (answer.status_code, answer.json()) == (status, {"message": text})
    assert await world.links() == []


async def test_the_role_must_allow_it(make_world: Any) -> None:
    yaml = {"interface": {"sharedLinks": {"create": False, "share": True, "public": True}}}
    refused = {"message": "Forbidden: Insufficient permissions"}
    async with make_world(yaml=yaml) as world:
        chat = await world.chat(world.alice.id, "Hi")
        link = {"shareId": "s" * 21, "conversationId": chat, "user": world.alice.id}
        await world.collection("sharedlinks").insert_one(link)
        for method, path in (("POST", chat), ("PATCH", link["shareId"])):
            answer = await world.alice.call(method, f"/api/share/{path}", {})
            assert (answer.status_code, answer.json()) == (403, refused)
        assert (await world.alice.call("DELETE", f"/api/share/{link['shareId']}")).is_success


async def test_links_are_public_only_where_the_role_allows_it(make_world: Any) -> None:
    yaml = {"interface": {"sharedLinks": {"create": True, "share": True, "public": False}}}
    async with make_world(yaml=yaml) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        entries = await world.entries(made["_id"])
        assert [entry["principalType"] for entry in entries] == ["user"]
        assert (await world.bob.get(f"/api/share/{made['shareId']}")).status_code == 403


async def test_of_two_links_made_at_once_one_stays(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    answers = await asyncio.gather(
        *(world.alice.call("POST", f"/api/share/{chat}", {}) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    (stored,) = await world.links()
    made = next(answer.json() for answer in answers if answer.status_code == 200)
    assert stored["shareId"] == made["shareId"]
    assert {
        entry["resourceId"] for entry in await world.collection("aclentries").find().to_list()
    } == {stored["_id"]}


async def test_publishing_anew(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    made = await world.alice.share(chat)
    before = await world.link(made["shareId"])
    last = (await world.messages(chat))[-1]
    await world.say(world.alice.id, chat, last["messageId"], text="New")
    answer = await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert (answer.status_code, answer.json()) == (200, made)
    after = await world.link(made["shareId"])
    assert after["updatedAt"] > before["updatedAt"]
    assert after["createdAt"] == before["createdAt"]
    shown = await world.bob.read(made["shareId"])
    assert [message["text"] for message in shown["messages"]] == ["Hi", "Hello", "New"]


async def test_publishing_twice_in_a_millisecond_moves_the_revision(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    future = (await world.link(made["shareId"]))["updatedAt"] + timedelta(hours=1)
    await world.collection("sharedlinks").update_one({}, {"$set": {"updatedAt": future}})
    await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert (await world.link(made["shareId"]))["updatedAt"] == future + timedelta(milliseconds=1)


async def test_publishing_anew_without_messages(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    first = (await world.messages(chat))[0]
    made = await world.alice.share(chat, targetMessageId=first["messageId"])
    await world.collection("messages").delete_one({"_id": first["_id"]})
    answer = await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert (answer.status_code, answer.json()) == (400, {"message": "Target message not found"})
    await world.collection("messages").delete_many({})
    answer = await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert (answer.status_code, answer.json()) == (400, {"message": "No messages to share"})


async def test_a_link_is_its_owners(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    missing = {"message": "Share not found"}
    for method in ("PATCH", "DELETE"):
        for share in (made["shareId"], "x" * 21):
            answer = await world.bob.call(method, f"/api/share/{share}", {})
            assert (answer.status_code, answer.json()) == (404, missing)
    link = (await world.bob.get(f"/api/share/link/{made['conversationId']}")).json()
    assert link["success"] is False
    assert len(await world.links()) == 1


async def test_deleting_a_link(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    answer = await world.alice.call("DELETE", f"/api/share/{made['shareId']}")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "_id": made["_id"],
            "success": True,
            "shareId": made["shareId"],
            "message": "Share deleted successfully",
        },
    )
    assert await world.links() == []
    assert await world.entries(made["_id"]) == []
    answer = await world.alice.call("DELETE", f"/api/share/{made['shareId']}")
    assert (answer.status_code, answer.json()) == (404, {"message": "Share not found"})


async def test_the_link_of_a_chat(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    first, second = await world.messages(chat)
    one = await world.alice.share(chat, targetMessageId=first["messageId"], snapshotFiles=False)
    two = await world.alice.share(chat, targetMessageId=second["messageId"])
    path = f"/api/share/link/{chat}"
    assert (await world.alice.get(path)).json() == {
        "_id": two["_id"],
        "success": True,
        "shareId": two["shareId"],
        "targetMessageId": second["messageId"],
        "snapshotFiles": True,
        "conversationId": chat,
    }
    patch = {"snapshotFiles": False, "targetMessageId": first["messageId"]}
    await world.alice.call("PATCH", f"/api/share/{one['shareId']}", patch)
    found = (await world.alice.get(path)).json()
    assert (found["shareId"], found["snapshotFiles"]) == (one["shareId"], False)


async def test_the_owner_gets_the_entry_that_he_lacks(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi")
    made = await world.alice.share(chat)
    await world.collection("aclentries").delete_many({})
    assert (await world.alice.get(f"/api/share/{made['shareId']}")).is_success
    await world.alice.get(f"/api/share/link/{chat}")
    (entry,) = await world.entries(made["_id"])
    assert (entry["principalId"], entry["permBits"]) == (ObjectId(world.alice.id), 15)
    await world.alice.get(f"/api/share/link/{chat}")
    assert await world.entries(made["_id"]) == [entry]


async def test_people_are_let_in_by_the_dialog(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    path = f"/api/permissions/sharedLink/{made['_id']}"
    before = (await world.alice.get(path)).json()
    assert (before["public"], before["publicAccessRoleId"]) == (True, "sharedLink_viewer")
    answer = await world.alice.call("PUT", path, {"updated": [], "removed": [], "public": False})
    assert answer.status_code == 200
    assert (await world.bob.get(f"/api/share/{made['shareId']}")).status_code == 403
    assert (await world.bob.get(path)).status_code == 403
    effective = (await world.alice.get(f"{path}/effective")).json()
    assert effective == {"permissionBits": 15}
    missing = await world.alice.get(f"/api/permissions/sharedLink/{ObjectId()}")
    assert missing.status_code == 403


class BrokenAccess(Plugin):
    """Access entries that cannot be written."""

    name = "brokenaccess"
    summary = "For tests only"

    provides = (ACCESS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCESS, self)]

    async def grant_owner(self, user: str, kind: str, resource_id: str) -> None:
        raise RuntimeError("the entries are down")

    async def forget(self, kind: str, resource_ids: Any) -> None:
        raise RuntimeError("the entries are down")


async def test_without_its_entries_a_link_is_not_made(make_world: Any) -> None:
    async with make_world(BrokenAccess(), without={"roles"}) as world:
        chat = await world.chat(world.alice.id, "Hi")
        answer = await world.alice.call("POST", f"/api/share/{chat}", {})
        assert (answer.status_code, answer.json()) == (
            500,
            {"message": "Error creating shared link"},
        )
        assert await world.links() == []


async def test_a_link_can_be_deleted_whatever_becomes_of_its_entries(make_world: Any) -> None:
    async with make_world(BrokenAccess(), without={"roles"}) as world:
        link = {"shareId": "s" * 21, "conversationId": "c", "user": world.alice.id}
        await world.collection("sharedlinks").insert_one(link)
        answer = await world.alice.call("DELETE", f"/api/share/{'s' * 21}")
        assert answer.status_code == 200
        assert await world.links() == []


async def test_temporary_chats_have_links_that_end(world: Any, kit: Any) -> None:
    ends = kit.moment(hours=-1)
    chat = await world.chat(world.alice.id, "Hi", isTemporary=True, expiredAt=ends)
    made = await world.alice.share(chat)
    stored = await world.link(made["shareId"])
    assert stored["expiredAt"] > kit.moment(hours=-719)  # now + retention, not the chat's date
    entries = await world.entries(made["_id"])
    assert [entry["expiredAt"] for entry in entries] == [stored["expiredAt"]] * 2
    # The chat is kept after all.
    keep = {"$set": {"expiredAt": None, "isTemporary": False}}
    await world.collection("conversations").update_one({}, keep)
    assert (await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})).is_success
    assert "expiredAt" not in await world.link(made["shareId"])
    assert all("expiredAt" not in entry for entry in await world.entries(made["_id"]))
    # And not after all.
    await world.collection("conversations").update_one({}, {"$set": {"expiredAt": ends}})
    assert (await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})).is_success
    stored = await world.link(made["shareId"])
    entries = await world.entries(made["_id"])
    assert [entry["expiredAt"] for entry in entries] == [stored["expiredAt"]] * 2


async def test_expired_chats_are_not_shared(world: Any, kit: Any) -> None:
    over = kit.moment(seconds=1)
    chat = await world.chat(world.alice.id, "Hi", expiredAt=over)
    answer = await world.alice.call("POST", f"/api/share/{chat}", {})
    assert (answer.status_code, answer.content) == (404, b"")
    other = await world.chat(world.alice.id, "Hi")
    made = await world.alice.share(other)
    change = {"$set": {"expiredAt": over}}
    await world.collection("conversations").update_one({"conversationId": other}, change)
    answer = await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert (answer.status_code, answer.content) == (404, b"")


async def test_where_everything_ends_so_do_links(make_world: Any, kit: Any) -> None:
    yaml = {"interface": {"retentionMode": "all", "temporaryChatRetention": 2}}
    async with make_world(yaml=yaml) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        stored = await world.link(made["shareId"])
        assert kit.moment(hours=-1.9) < stored["expiredAt"] < kit.moment(hours=-2.1)


async def tree(world: Any, chat: str, kit: Any) -> dict[str, str]:
    """root → a, b; a → a1; b → b1 → b2; and an orphan."""
    ids: dict[str, str] = {}
    order = ("root", "a", "a1", "b", "b1", "b2", "orphan")
    parents = {"a": "root", "a1": "a", "b": "root", "b1": "b", "b2": "b1"}
    for number, name in enumerate(order):
        parent = ids[parents[name]] if name in parents else NO_PARENT
        ids[name] = await world.say(
            world.alice.id,
            chat,
            "nowhere" if name == "orphan" else parent,
            text=name,
            createdAt=kit.moment(seconds=60 - number),
        )
    return ids


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("root", ["root"]),
        ("a", ["root", "a", "b"]),
        ("b1", ["root", "a", "a1", "b", "b1"]),
        ("b2", ["root", "a", "a1", "b", "b1", "b2"]),
        ("orphan", []),
    ],
)
async def test_a_target_shows_whole_levels(
    world: Any, kit: Any, target: str, shown: list[str]
) -> None:
    chat = await world.chat(world.alice.id)
    ids = await tree(world, chat, kit)
    made = await world.alice.share(chat, targetMessageId=ids[target])
    found = (await world.bob.read(made["shareId"]))["messages"]
    assert [message["text"] for message in found] == shown
    await world.collection("messages").delete_one({"messageId": ids[target]})
    if target != "orphan":
        assert (await world.bob.read(made["shareId"]))["messages"] == []


async def test_the_target_moves_on_with_its_branch(world: Any, kit: Any) -> None:
    chat = await world.chat(world.alice.id)
    ids = await tree(world, chat, kit)
    made = await world.alice.share(chat, targetMessageId=ids["root"])
    path = f"/api/share/{made['shareId']}"
    # root's newest child is b, then b1, then b2.
    answer = await world.alice.call("PATCH", path, {})
    assert answer.json()["targetMessageId"] == ids["b2"]
    sent = await world.alice.call("PATCH", path, {"targetMessageId": ids["a"]})
    assert sent.json()["targetMessageId"] == ids["a"]
    assert (await world.alice.call("PATCH", path, {})).json()["targetMessageId"] == ids["a1"]
    # a1 has no child, its parent's later sibling b was continued.
    assert (await world.alice.call("PATCH", path, {})).json()["targetMessageId"] == ids["b2"]
    # b2 has neither: it stays.
    assert (await world.alice.call("PATCH", path, {})).json()["targetMessageId"] == ids["b2"]
    shown = (await world.bob.read(made["shareId"]))["messages"]
    assert [message["text"] for message in shown] == ["root", "a", "a1", "b", "b1", "b2"]


async def test_cycles_end(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    first, second = await world.messages(chat)
    made = await world.alice.share(chat, targetMessageId=second["messageId"])
    loop = {"$set": {"parentMessageId": second["messageId"]}}
    await world.collection("messages").update_one({"_id": first["_id"]}, loop)
    answer = await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert answer.status_code == 200
    assert len((await world.bob.read(made["shareId"]))["messages"]) <= 2
