"""Files of a link (contract share §3)."""

import hashlib
from typing import Any

import pytest

from locutory_share.links import LinkStore
from locutory_share.snapshots import Snapshots
from locutory_testing.waiting import until

NOT_IN_LINK = {"message": "File not found in shared link"}
GONE = {"message": "File no longer available"}
PNG = b"\x89PNG" + b"x" * 5000


async def shared_file(world: Any, body: bytes = PNG, **fields: Any) -> tuple[dict[str, Any], str]:
    """A link to a chat with one file; the link and the file's id."""
    file_id = await world.files.put(world.alice.id, body, **fields)
    chat = await world.chat(world.alice.id)
    file = {"file_id": file_id, "filename": "picture.png", "filepath": f"/uploads/{file_id}"}
    await world.say(world.alice.id, chat, "", files=[file])
    return await world.alice.share(chat), file_id


def path_of(made: dict[str, Any], file_id: str) -> str:
    return f"/api/share/{made['shareId']}/files/{file_id}"


async def test_files_are_shown_under_the_link(world: Any) -> None:
    made, file_id = await shared_file(world)
    (message,) = (await world.bob.read(made["shareId"]))["messages"]
    assert message["files"] == [
        {"file_id": file_id, "filename": "picture.png", "filepath": path_of(made, file_id)}
    ]
    answer = await world.bob.get(message["files"][0]["filepath"])
    assert (answer.status_code, answer.content) == (200, PNG)
    stored = (await world.link(made["shareId"]))["fileSnapshots"]
    filepath = f"/uploads/{world.alice.id}/{file_id}"
    assert stored == [
        {
            "file_id": file_id,
            "source": "local",
            "filepath": filepath,
            "type": "image/png",
            "filename": "picture.png",
            "bytes": len(PNG),
        }
    ]
    identity = "\0".join((file_id, "", str(len(PNG)), "", filepath))
    tag = f'"share-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"'
    headers = dict(answer.headers)
    assert headers["etag"] == tag
    assert headers["cache-control"] == "private, no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(len(PNG))
    assert headers["content-disposition"] == (
        "inline; filename=\"picture.png\"; filename*=UTF-8''picture.png"
    )
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        path = path_of(made, file_id)
        again = await world.bob.call("GET", path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    other = await world.bob.call("GET", path_of(made, file_id), headers={"if-none-match": '"x"'})
    assert other.status_code == 200
    head = await world.bob.call("HEAD", path_of(made, file_id))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(PNG)))
    assert world.files.opened == 0


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "image/svg+xml",
        "image/svg",
        "application/xhtml+xml",
        "text/xml",
        "text/javascript",
        "IMAGE/PNG",
        "image/png; charset=text/html",
        "",
        None,
    ],
)
async def test_what_could_run_is_never_inline(world: Any, kind: str | None) -> None:
    body = b"<script>alert(1)</script>"
    made, file_id = await shared_file(world, body, type=kind, filename="x.html")
    answer = await world.bob.get(path_of(made, file_id))
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("kind", ["image/jpeg", "image/gif", "image/x-icon", "application/pdf"])
async def test_downloads_are_attachments(world: Any, kind: str) -> None:
    made, file_id = await shared_file(world, type=kind)
    shown = await world.bob.get(path_of(made, file_id))
    assert shown.headers["content-type"] == kind
    answer = await world.bob.get(f"{path_of(made, file_id)}/download")
    assert answer.content == PNG
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            'f8b0c2a1-0000-4000-8000-000000000000__Ä "q"\\\r\n.png',
            "inline; filename=\"A_ _q____.png\"; filename*=UTF-8''%C3%84%20%22q%22%5C%0D%0A.png",
        ),
        ("日本.png", "inline; filename=\"__.png\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.png"),
        ("", "inline; filename=\"file\"; filename*=UTF-8''file"),
    ],
)
async def test_names_of_files(world: Any, name: str, shown: str) -> None:
    made, file_id = await shared_file(world, filename=name)
    answer = await world.bob.get(path_of(made, file_id))
    assert answer.headers["content-disposition"] == shown


async def test_only_files_of_the_link_are_served(world: Any) -> None:
    made, _ = await shared_file(world)
    other = await world.files.put(world.alice.id, b"other chat")
    for name in (other, "unknown", "..%2F..%2Fetc", "%00"):
        for end in ("", "/download", "/preview"):
            answer = await world.bob.get(f"{path_of(made, name)}{end}")
            assert (answer.status_code, answer.json()) == (404, NOT_IN_LINK), name
    foreign = await world.files.put(world.bob.id, b"bob's")
    chat = await world.chat(world.alice.id)
    await world.say(world.alice.id, chat, "", files=[{"file_id": foreign, "filepath": "/x"}])
    mine = await world.alice.share(chat)
    answer = await world.bob.get(path_of(mine, foreign))
    assert (answer.status_code, answer.json()) == (404, NOT_IN_LINK)
    (message,) = (await world.bob.read(mine["shareId"]))["messages"]
    assert message["files"] == [{"file_id": foreign}]


async def test_a_file_must_be_the_one_that_was_published(world: Any) -> None:
    made, file_id = await shared_file(world, previewRevision="one")
    path = path_of(made, file_id)
    assert (await world.bob.get(path)).status_code == 200
    for fields in ({"previewRevision": "two"}, {"previewRevision": None}, {"bytes": 7}):
        await world.files.change(file_id, **fields)
        for end in ("", "/download", "/preview"):
            answer = await world.bob.get(f"{path}{end}")
            assert (answer.status_code, answer.json()) == (404, GONE)
        await world.files.change(file_id, previewRevision="one", bytes=len(PNG))
    await world.files.change(file_id, bytes=None)
    assert (await world.bob.get(path)).status_code == 200
    world.files.lose(file_id)
    assert (await world.bob.get(path)).json() == GONE
    await world.files.drop(file_id)
    assert (await world.bob.get(path)).json() == GONE
    assert (await world.bob.get(f"{path}/preview")).json() == GONE


async def test_links_without_files(world: Any) -> None:
    file_id = await world.files.put(world.alice.id, PNG)
    chat = await world.chat(world.alice.id)
    files = [{"file_id": file_id, "filename": "a.png"}]
    content = [{"type": "steer", "steer": "x", "files": files}]
    shown = {"files": files, "attachments": files, "content": content}
    await world.say(world.alice.id, chat, "", **shown)
    made = await world.alice.share(chat, snapshotFiles=False)
    assert "fileSnapshots" not in await world.link(made["shareId"])
    (message,) = (await world.bob.read(made["shareId"]))["messages"]
    assert "files" not in message
    assert "attachments" not in message
    assert message["content"] == [{"type": "steer", "steer": "x"}]
    answer = await world.bob.get(path_of(made, file_id))
    assert (answer.status_code, answer.json()) == (404, NOT_IN_LINK)
    # A publication that says nothing includes them again, one that says no stops serving.
    await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {})
    assert (await world.bob.get(path_of(made, file_id))).status_code == 200
    await world.alice.call("PATCH", f"/api/share/{made['shareId']}", {"snapshotFiles": False})
    assert (await world.bob.get(path_of(made, file_id))).json() == NOT_IN_LINK
    assert "fileSnapshots" not in await world.link(made["shareId"])


@pytest.mark.parametrize(
    ("environment", "given", "included"),
    [
        ({}, None, True),
        ({}, {"snapshotFiles": False}, False),
        ({}, True, True),
        ({"SHARED_LINKS_SNAPSHOT_FILES": "true"}, {"snapshotFiles": False}, True),
        ({"SHARED_LINKS_SNAPSHOT_FILES": "false"}, {"snapshotFiles": True}, False),
    ],
)
async def test_whether_new_links_include_files(
    make_world: Any, environment: dict[str, str], given: Any, included: bool
) -> None:
    yaml = {} if given is None else {"interface": {"sharedLinks": given}}
    async with make_world("webclient", environment=environment, yaml=yaml) as world:
        made, _ = await shared_file(world)
        assert (await world.link(made["shareId"]))["snapshotFiles"] is included
        config = (await world.alice.get("/api/config")).json()
        assert config["sharedLinksSnapshotFilesEnabled"] is included


async def test_the_kill_switch(make_world: Any) -> None:
    off = {"SHARED_LINKS_SNAPSHOT_FILES": "false"}
    async with make_world(environment=off) as world:
        made, file_id = await shared_file(world)
        as_before = {"$set": {"snapshotFiles": True, "fileSnapshots": [{"file_id": file_id}]}}
        await world.collection("sharedlinks").update_one({}, as_before)
        (message,) = (await world.bob.read(made["shareId"]))["messages"]
        assert "files" not in message
        for end in ("", "/download", "/preview"):
            answer = await world.bob.get(f"{path_of(made, file_id)}{end}")
            assert answer.status_code == 404
            assert answer.json() == {"message": "Shared file access is disabled"}
        forked = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
        assert "files" not in forked.json()["messages"][0]


async def test_old_links_are_filled_in(world: Any) -> None:
    made, file_id = await shared_file(world)
    never = {"$unset": {"fileSnapshots": "", "snapshotFiles": ""}}
    await world.collection("sharedlinks").update_one({}, never)
    before = await world.link(made["shareId"])
    assert (await world.bob.get(path_of(made, file_id))).status_code == 200
    after = await world.link(made["shareId"])
    assert [one["file_id"] for one in after["fileSnapshots"]] == [file_id]
    assert after["updatedAt"] == before["updatedAt"]
    await world.collection("sharedlinks").update_one({}, never)
    (message,) = (await world.bob.read(made["shareId"]))["messages"]
    assert message["files"][0]["filepath"] == path_of(made, file_id)
    link = await world.link(made["shareId"])
    assert (len(link["fileSnapshots"]), link["updatedAt"]) == (1, before["updatedAt"])


async def test_files_come_when_somebody_provides_them(make_world: Any) -> None:
    async with make_world(without={"files"}) as world:
        chat = await world.chat(world.alice.id)
        await world.say(world.alice.id, chat, "", files=[{"file_id": "f", "filepath": "/x"}])
        made = await world.alice.share(chat)
        assert "fileSnapshots" not in await world.link(made["shareId"])
        (message,) = (await world.bob.read(made["shareId"]))["messages"]
        assert message["files"] == [{"file_id": "f"}]
        assert (await world.bob.get(path_of(made, "f"))).json() == NOT_IN_LINK
        assert "fileSnapshots" not in await world.link(made["shareId"])
        there = {"$set": {"fileSnapshots": [{"file_id": "f"}]}}
        await world.collection("sharedlinks").update_one({}, there)
        assert (await world.bob.get(path_of(made, "f"))).json() == GONE


async def test_files_anywhere_in_what_is_shown(world: Any) -> None:
    names = [await world.files.put(world.alice.id, PNG) for _ in range(6)]
    chat = await world.chat(world.alice.id)
    inner = [{"type": "image_file", "image_file": {"file_id": names[4]}}]
    message = {
        "files": [{"file_id": names[0], "preview": "/x"}],
        "attachments": [{"file_id": names[1]}],
        "content": [
            {"type": "steer", "steer": "x", "files": [{"file_id": names[2]}]},
            {"type": "image_file", "image_file": {"file_id": names[3], "filepath": "/x"}},
            {"type": "tool_call", "tool_call": {"name": "subagent", "subagent_content": inner}},
        ],
    }
    first = await world.say(world.alice.id, chat, "", **message)
    await world.say(world.alice.id, chat, first, files=[{"file_id": names[5]}])
    made = await world.alice.share(chat, targetMessageId=first)
    (shown,) = (await world.bob.read(made["shareId"]))["messages"]
    routes = [path_of(made, name) for name in names]
    assert shown["files"][0] == {
        "file_id": names[0],
        "filepath": routes[0],
        "preview": routes[0],
    }
    assert shown["attachments"][0]["filepath"] == routes[1]
    assert shown["content"][0]["files"][0]["filepath"] == routes[2]
    assert shown["content"][1]["image_file"]["filepath"] == routes[3]
    last = shown["content"][2]["tool_call"]["subagent_content"][0]
    assert last["image_file"]["filepath"] == routes[4]
    for route in routes[:5]:
        assert (await world.bob.get(route)).status_code == 200
    # Not shown, so not served.
    assert (await world.bob.get(routes[5])).json() == NOT_IN_LINK


@pytest.mark.parametrize("source", ["openai", "execute_code", "text", "vectordb", "unheard-of"])
async def test_stores_that_only_the_owner_can_read(world: Any, source: str) -> None:
    made, file_id = await shared_file(world, source=source)
    assert (await world.link(made["shareId"]))["fileSnapshots"] == []
    assert (await world.bob.get(path_of(made, file_id))).json() == NOT_IN_LINK


async def test_stores_without_streams(world: Any) -> None:
    made, file_id = await shared_file(world, source="azure_blob")
    answer = await world.bob.get(path_of(made, file_id))
    assert (answer.status_code, answer.text) == (501, "Not Implemented")


async def test_signed_addresses(world: Any) -> None:
    made, file_id = await shared_file(world, source="s3", storageKey="k")
    path = path_of(made, file_id)
    assert (await world.bob.get(path)).content == PNG
    answer = await world.bob.get(path, direct="true")
    assert answer.status_code == 302
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"].startswith(f"https://store.example/{file_id}")
    local, other = await shared_file(world)
    assert (await world.bob.get(path_of(local, other), direct="true")).status_code == 200
    await world.make_private(made["_id"])
    assert (await world.bob.get(path, direct="true")).status_code == 403


async def test_previews(world: Any) -> None:
    made, file_id = await shared_file(world, textFormat="html")
    path = f"{path_of(made, file_id)}/preview"
    ready = {"file_id": file_id, "status": "ready", "text": "secret text", "textFormat": "html"}
    assert (await world.bob.get(path)).json() == ready
    await world.files.change(file_id, textFormat=None)
    assert (await world.bob.get(path)).json() == {**ready, "textFormat": None}
    await world.files.change(file_id, text=None)
    assert (await world.bob.get(path)).json() == {"file_id": file_id, "status": "ready"}
    await world.files.change(file_id, status="pending", text="x")
    assert (await world.bob.get(path)).json() == {"file_id": file_id, "status": "pending"}
    await world.files.change(file_id, status="failed", previewError="timeout")
    assert (await world.bob.get(path)).json() == {
        "file_id": file_id,
        "status": "failed",
        "previewError": "timeout",
    }
    await world.make_private(made["_id"])
    assert (await world.bob.get(path)).status_code == 403


async def test_images_may_come_with_a_cookie(make_world: Any, kit: Any) -> None:
    async with make_world(kit.cookies()) as world:
        made, file_id = await shared_file(world)
        path = path_of(made, file_id)
        assert (await world.stranger.get(path)).status_code == 401
        for end in ("", "/download", "/preview"):
            cookie = {"cookie": f"refreshToken={world.bob.id}"}
            answer = await world.stranger.call("GET", f"{path}{end}", headers=cookie)
            assert answer.status_code == 200
        await world.make_private(made["_id"])
        for who, status in ((world.alice.id, 200), (world.bob.id, 403), ("junk", 401)):
            cookie = {"cookie": f"refreshToken={who}"}
            answer = await world.stranger.call("GET", path, headers=cookie)
            assert answer.status_code == status
        # Files only: other routes want the header.
        cookie = {"cookie": f"refreshToken={world.alice.id}"}
        answer = await world.stranger.call("GET", f"/api/share/{made['shareId']}", headers=cookie)
        assert answer.status_code == 401


async def test_without_cookie_sign_in_only_the_header_counts(world: Any) -> None:
    made, file_id = await shared_file(world)
    cookie = {"cookie": f"refreshToken={world.alice.id}"}
    answer = await world.stranger.call("GET", path_of(made, file_id), headers=cookie)
    assert answer.status_code == 401


async def test_a_reader_who_leaves_does_not_keep_the_file_open(world: Any) -> None:
    made, file_id = await shared_file(world, b"x" * 30_000_000)
    headers = {"authorization": f"Bearer {world.bob.id}"}
    async with (
        world.server.connect() as client,
        client.stream("GET", path_of(made, file_id), headers=headers) as answer,
    ):
        async for chunk in answer.aiter_raw():
            assert chunk
            assert world.files.opened == 1
            break
    await until(lambda: not world.files.opened)


async def test_a_publication_wins_over_a_first_read(world: Any) -> None:
    """A reader's first look at an old link must not bring back what its owner took out."""
    made, _ = await shared_file(world)
    never = {"$unset": {"fileSnapshots": "", "snapshotFiles": ""}}
    await world.collection("sharedlinks").update_one({}, never)
    seen = await world.link(made["shareId"])
    database = world.server.kernel.database
    snapshots = Snapshots(LinkStore(database), world.server.kernel.services)
    messages = await world.messages(made["conversationId"])
    without = {"snapshotFiles": False}
    await world.alice.call("PATCH", f"/api/share/{made['shareId']}", without)
    assert await snapshots.fill_in(seen, messages) == []
    assert "fileSnapshots" not in await world.link(made["shareId"])
    stored = {"$set": {"snapshotFiles": True, "fileSnapshots": [{"file_id": "newer"}]}}
    await world.collection("sharedlinks").update_one({}, stored)
    assert await snapshots.fill_in(seen, messages) == [{"file_id": "newer"}]
    await world.collection("sharedlinks").delete_many({})
    assert await snapshots.fill_in(seen, messages) == []
