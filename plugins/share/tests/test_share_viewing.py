"""Reading a link: who may, and what is shown (contract share §2, §3)."""

from typing import Any

import pytest
from bson import ObjectId

from locutory_contracts.conversations import NO_PARENT

GONE = {"message": "Shared link not found"}
SIGN_IN = {"message": "Authentication required"}


async def test_a_public_link_needs_a_login(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
    share = f"/api/share/{made['shareId']}"
    assert (await world.bob.get(share)).status_code == 200
    answer = await world.stranger.get(share)
    assert (answer.status_code, answer.json()) == (401, SIGN_IN)
    answer = await world.stranger.call("GET", share, headers={"authorization": "Bearer junk"})
    assert (answer.status_code, answer.json()) == (401, SIGN_IN)
    assert (await world.stranger.get(f"{share}/config")).status_code == 401


async def test_strangers_read_public_links_where_that_is_allowed(make_world: Any) -> None:
    async with make_world(environment={"ALLOW_SHARED_LINKS_PUBLIC": "true"}) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
        share = f"/api/share/{made['shareId']}"
        answer = await world.stranger.get(share)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, no-store"
        bad = await world.stranger.call("GET", share, headers={"authorization": "Bearer junk"})
        assert bad.status_code == 200
        await world.make_private(made["_id"])
        assert (await world.stranger.get(share)).status_code == 401


async def test_a_private_link_is_for_those_whom_an_entry_names(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
    await world.make_private(made["_id"])
    share = f"/api/share/{made['shareId']}"
    for path in (share, f"{share}/config", f"{share}/files/x"):
        answer = await world.bob.get(path)
        assert (answer.status_code, answer.content) == (403, b""), path
        assert (await world.stranger.get(path)).status_code == 401
    assert (await world.bob.call("POST", f"{share}/fork", {})).status_code == 403
    assert (await world.alice.get(share)).status_code == 200
    # Administrators manage links, they do not read them.
    assert (await world.person("ADMIN").get(share)).status_code == 403
    await world.grant(made["_id"], world.bob)
    assert (await world.bob.get(share)).status_code == 200


@pytest.mark.parametrize(("trusted", "hidden"), [("true", 404), ("false", 200)])
async def test_strangers_see_the_links_of_the_tenant_that_the_proxy_names(
    make_world: Any, trusted: str, hidden: int
) -> None:
    environment = {"TRUST_TENANT_HEADER": trusted, "ALLOW_SHARED_LINKS_PUBLIC": "true"}
    async with make_world(environment=environment) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
        for collection in ("sharedlinks", "aclentries"):
            tenant = {"$set": {"tenantId": "acme"}}
            await world.collection(collection).update_many({}, tenant)
        for path in (f"/api/share/{made['shareId']}", f"/api/share/{made['shareId']}/config"):
            for name, status in (("acme", 200), ("other", hidden), ("", 200)):
                answer = await world.stranger.call("GET", path, headers={"x-tenant-id": name})
                assert answer.status_code == status, (path, name)


async def test_a_role_counts_in_the_tenant_of_the_link_only(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
    await world.make_private(made["_id"])
    share = f"/api/share/{made['shareId']}"
    role = {"principalType": "role", "principalId": "USER", "principalModel": "Role"}
    entry = {"resourceType": "sharedLink", "resourceId": ObjectId(made["_id"]), "permBits": 1}
    await world.collection("aclentries").insert_one({**role, **entry})
    assert (await world.bob.get(share)).status_code == 200
    tenant = {"$set": {"tenantId": "other"}}
    await world.collection("sharedlinks").update_many({}, tenant)
    await world.collection("aclentries").update_many({}, tenant)
    assert (await world.bob.get(share)).status_code == 403
    await world.grant(made["_id"], world.bob, tenantId="other")
    assert (await world.bob.get(share)).status_code == 200


async def test_what_is_over_is_gone(world: Any, kit: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi", "Hello"))
    over = {"$set": {"expiredAt": kit.moment(seconds=1)}}
    await world.collection("sharedlinks").update_many({}, over)
    share = f"/api/share/{made['shareId']}"
    for path in (share, f"{share}/config", f"{share}/files/x", "/api/share/nope"):
        answer = await world.alice.get(path)
        assert (answer.status_code, answer.json()) == (404, GONE)
    assert (await world.alice.call("POST", f"{share}/fork", {})).json() == GONE
    assert (await world.alice.get("/api/share")).json() == {"links": [], "hasNextPage": False}
    link = (await world.alice.get(f"/api/share/link/{made['conversationId']}")).json()
    assert link == {"success": False, "shareId": None, "conversationId": made["conversationId"]}


async def test_what_a_reader_sees(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello", "More", "Well")
    made = await world.alice.share(chat)
    shown = await world.bob.read(made["shareId"])
    stored = await world.messages(chat)
    assert list(shown) == [
        "shareId",
        "title",
        "createdAt",
        "updatedAt",
        "conversationId",
        "messages",
    ]
    assert shown["shareId"] == made["shareId"]
    assert shown["title"] == "A chat"
    assert [message["text"] for message in shown["messages"]] == ["Hi", "Hello", "More", "Well"]
    ids = [message["messageId"] for message in shown["messages"]]
    parents = [message["parentMessageId"] for message in shown["messages"]]
    assert parents == [NO_PARENT, *ids[:-1]]
    assert all(len(name) == len("msg_") + 21 and name.startswith("msg_") for name in ids)
    assert shown["conversationId"].startswith("convo_")
    assert {message["conversationId"] for message in shown["messages"]} == {shown["conversationId"]}
    again = await world.bob.read(made["shareId"])
    assert not set(ids) & {message["messageId"] for message in again["messages"]}
    assert again["conversationId"] != shown["conversationId"]
    assert chat not in str(shown)
    assert not any(message["messageId"] in str(shown) for message in stored)


async def test_old_roots_have_no_parent(world: Any, kit: Any) -> None:
    chat = await world.chat(world.alice.id)
    for number, parent in enumerate((None, "", NO_PARENT)):
        created = kit.moment(seconds=10 - number)
        await world.say(world.alice.id, chat, parent, text=str(number), createdAt=created)
    made = await world.alice.share(chat)
    shown = await world.bob.read(made["shareId"])
    assert [message["parentMessageId"] for message in shown["messages"]] == [NO_PARENT] * 3


async def test_texts_are_live_and_the_list_is_not(world: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello", "More", "Well")
    made = await world.alice.share(chat)
    first, second, third, fourth = await world.messages(chat)
    messages = world.collection("messages")
    await messages.update_one({"_id": first["_id"]}, {"$set": {"text": "Edited"}})
    await messages.delete_one({"_id": third["_id"]})
    await world.say(world.alice.id, chat, fourth["messageId"], text="New")
    shown = await world.bob.read(made["shareId"])
    assert [message["text"] for message in shown["messages"]] == ["Edited", "Hello", "Well"]
    assert shown["messages"][2]["parentMessageId"] not in {
        message["messageId"] for message in shown["messages"]
    }
    # The order is that of the link, not of dates.
    later = {"$set": {"createdAt": fourth["createdAt"]}}
    await messages.update_one({"_id": second["_id"]}, later)
    again = await world.bob.read(made["shareId"])
    assert [message["text"] for message in again["messages"]] == ["Edited", "Hello", "Well"]


async def test_expired_messages_are_not_shown(world: Any, kit: Any) -> None:
    chat = await world.chat(world.alice.id, "Hi", "Hello")
    made = await world.alice.share(chat)
    last = (await world.messages(chat))[1]
    over = {"$set": {"expiredAt": kit.moment(seconds=1)}}
    await world.collection("messages").update_one({"_id": last["_id"]}, over)
    shown = await world.bob.read(made["shareId"])
    assert [message["text"] for message in shown["messages"]] == ["Hi"]


async def test_a_row_without_conversation_has_no_body(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    await world.collection("sharedlinks").update_one({}, {"$set": {"conversationId": ""}})
    answer = await world.alice.get(f"/api/share/{made['shareId']}")
    assert (answer.status_code, answer.content) == (404, b"")


async def test_the_page_of_a_link(make_world: Any) -> None:
    environment = {
        "ANALYTICS_GTM_ID": "GTM-1",
        "SANDPACK_BUNDLER_URL": "https://bundler.example",
        "CUSTOM_FOOTER": "",
        "APP_TITLE": "Ours",
    }
    policy = {"externalUrl": "https://example.com", "openNewTab": True}
    yaml = {"interface": {"privacyPolicy": policy, "customWelcome": "no"}}
    async with make_world("webclient", environment=environment, yaml=yaml) as world:
        made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
        answer = await world.bob.get(f"/api/share/{made['shareId']}/config")
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.json() == {
            "appTitle": "Ours",
            "analyticsGtmId": "GTM-1",
            "bundlerURL": "https://bundler.example",
            "customFooter": "",
            "interface": {"privacyPolicy": policy},
        }
        config = (await world.bob.get("/api/config")).json()
        assert config["sharedLinksEnabled"] is True
        assert config["publicSharedLinksEnabled"] is False
        assert config["sharedLinksSnapshotFilesEnabled"] is True


async def test_the_smallest_page(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    answer = await world.bob.get(f"/api/share/{made['shareId']}/config")
    assert answer.json() == {"appTitle": "LibreChat"}


async def test_links_switched_off(make_world: Any) -> None:
    missing = {"message": "Endpoint not found"}
    async with make_world("webclient", environment={"ALLOW_SHARED_LINKS": "false"}) as world:
        chat = await world.chat(world.alice.id, "Hi")
        made = await world.alice.share(chat)
        share = f"/api/share/{made['shareId']}"
        for method, path in (
            ("GET", share),
            ("GET", f"{share}/config"),
            ("POST", f"{share}/fork"),
            ("GET", f"{share}/files/x"),
            ("GET", f"{share}/files/x/download"),
            ("GET", f"{share}/files/x/preview"),
        ):
            answer = await world.alice.call(method, path)
            assert (answer.status_code, answer.json()) == (404, missing), path
        assert len((await world.alice.get("/api/share")).json()["links"]) == 1
        assert (await world.alice.get(f"/api/share/link/{chat}")).json()["success"] is True
        assert (await world.alice.call("PATCH", share, {})).status_code == 200
        assert (await world.alice.call("DELETE", share)).status_code == 200
        config = (await world.bob.get("/api/config")).json()
        assert config["sharedLinksEnabled"] is False
        rows = (await world.alice.get("/api/convos")).json()["conversations"]
        assert "isShared" not in rows[0]


async def test_the_list_of_chats_marks_shared_ones(world: Any) -> None:
    shared = await world.chat(world.alice.id, "Hi")
    other = await world.chat(world.alice.id, "Hi")
    made = await world.alice.share(shared)
    rows = (await world.alice.get("/api/convos")).json()["conversations"]
    assert {row["conversationId"]: row["isShared"] for row in rows} == {
        shared: True,
        other: False,
    }
    await world.alice.call("DELETE", f"/api/share/{made['shareId']}")
    rows = (await world.alice.get("/api/convos")).json()["conversations"]
    assert [row["isShared"] for row in rows] == [False, False]
