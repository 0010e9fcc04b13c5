"""Meilisearch as the index (contract search §3 to §5), against a stand-in over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner
from plugins.search.tests.fake_meilisearch import KEY, FakeMeilisearch

from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import (
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
    MessageSaved,
    MessagesDeleted,
)
from locutory_contracts.search import SEARCH, MessageHit, SearchFailed
from locutory_search.meilisearch import index as meilisearch
from locutory_search.plugin import SearchPlugin
from locutory_testing import Serve, Server, SignIn
from locutory_testing.server import SECRETS, listening

NOW = datetime.now(UTC)


class Set:
    """A Meilisearch, and servers that use it."""

    def __init__(self, meili: FakeMeilisearch, url: str, serve: Serve, kit: Any) -> None:
        self.meili, self.url = meili, url
        self._serve, self._kit = serve, kit

    @asynccontextmanager
    async def server(
        self, history: Any, database: str | None = None, **environment: str
    ) -> AsyncIterator[Server]:
        chosen = {
            "SEARCH": "true",
            "MEILI_HOST": self.url,
            "MEILI_MASTER_KEY": KEY,
            "MEILI_SYNC_DELAY_MS": "0",
            **environment,
        }
        async with self._serve(
            "search",
            SignIn(),
            history,
            environment=chosen,
            yaml={"plugins": {"search": {"follow_seconds": 0.1}}},
            database=database,
        ) as server:
            yield server
            if database is not None:
                await server.kernel.database.client.drop_database(database)

    async def has(self, uid: str, *ids: str) -> None:
        """Wait until an index holds exactly these."""

        async def look() -> set[str]:
            return set(self.meili.documents(uid))

        await self._kit.until(look, set(ids))


@pytest.fixture
async def scaled(serve: Serve, kit: Any) -> AsyncIterator[Set]:
    meili = FakeMeilisearch()
    async with listening(meili) as url:  # type: ignore[arg-type]  # any application
        yield Set(meili, url, serve, kit)


async def test_indexes_and_documents_are_those_of_librechat(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    content = [
        {"type": "think", "think": "hm"},
        {"type": "text", "text": {"value": "a lighthouse"}},
    ]
    said = kit.message(user, "", sender="GPT", content=content)
    chat = kit.conversation(user, "Lighthouses", tags=["sea", 5])
    async with scaled.server(history, MEILI_NO_SYNC="true"):
        await kit.until(lambda: _filterable(scaled), [["user"], ["user"]])
        scaled.meili.requests.clear()
        await history.tell(MessageSaved(user, said), ConversationSaved(user, chat, created=True))
        await scaled.has("messages", said["messageId"])
        await scaled.has("convos", chat["conversationId"])
        assert scaled.meili.sent("POST", "/indexes/messages/documents") == [
            [
                {
                    "messageId": said["messageId"],
                    "conversationId": said["conversationId"],
                    "user": user,
                    "sender": "GPT",
                    "text": "hm a lighthouse",
                }
            ]
        ]
        assert scaled.meili.sent("POST", "/indexes/convos/documents") == [
            [
                {
                    "conversationId": chat["conversationId"],
                    "title": "Lighthouses",
                    "user": user,
                    "tags": ["sea"],
                }
            ]
        ]
    assert {uid: index["key"] for uid, index in scaled.meili.indexes.items()} == {
        "convos": "conversationId",
        "messages": "messageId",
    }
    assert all(headers["authorization"] == f"Bearer {KEY}" for headers in scaled.meili.headers)


async def _filterable(scaled: Set) -> list[Any]:
    found = [scaled.meili.indexes.get(uid, {}) for uid in ("convos", "messages")]
    return [index.get("filterable") for index in found]


async def test_indexes_are_made_as_documented(scaled: Set, history: Any, kit: Any) -> None:
    async with scaled.server(history, MEILI_NO_SYNC="true"):
        await kit.until(lambda: _filterable(scaled), [["user"], ["user"]])
    meili = scaled.meili
    assert meili.sent("POST", "/indexes") == [
        {"uid": "convos", "primaryKey": "conversationId"},
        {"uid": "messages", "primaryKey": "messageId"},
    ]
    assert meili.sent("PUT", "/indexes/convos/settings/filterable-attributes") == [["user"]]
    # Nothing of it again for a server that comes later.
    meili.requests.clear()
    async with scaled.server(history, MEILI_NO_SYNC="true"):
        path = "/indexes/messages/settings/filterable-attributes"
        await kit.until(lambda: _asked(meili, path), True)
    assert {method for method, _, _ in meili.requests} == {"GET"}


async def _asked(meili: FakeMeilisearch, path: str) -> bool:
    return ("GET", path, None) in meili.requests


async def test_search_on_the_wire(scaled: Set, history: Any, kit: Any, user: str) -> None:
    odd = 'x" OR user != "\\'
    async with scaled.server(history) as server:
        await kit.until(lambda: _filterable(scaled), [["user"], ["user"]])
        mine = await history.say(user, "the lighthouse")
        theirs = await history.say(odd, "the lighthouse")
        chat = await history.name_it(user, "Lighthouses")
        await scaled.has("messages", mine["messageId"], theirs["messageId"])
        await scaled.has("convos", chat["conversationId"])
        search = server.kernel.services.get(SEARCH)
        assert list(await search.messages(user, "light", 7)) == [
            MessageHit(mine["messageId"], mine["conversationId"])
        ]
        assert list(await search.messages(odd, "light", 7)) == [
            MessageHit(theirs["messageId"], theirs["conversationId"])
        ]
        assert list(await search.conversations(user, "light", 3)) == [chat["conversationId"]]
        bodies = scaled.meili.sent("POST", "/indexes/messages/search")
        assert bodies[0] == {
            "q": "light",
            "filter": f'user = "{user}"',
            "limit": 7,
            "attributesToRetrieve": ["messageId", "conversationId"],
        }
        assert bodies[1]["filter"] == 'user = "x\\" OR user != \\"\\\\"'
        count = len(scaled.meili.requests)
        assert await search.messages(user, "  ", 7) == await search.messages(user, "a", 0) == []
        assert len(scaled.meili.requests) == count
        for text in ("\ud800", "x" * 100_000, '"', "a\x00"):
            await search.messages(user, "a " + text, 7)


async def test_enable_follows_its_health(scaled: Set, history: Any, user: str) -> None:
    bearer = {"authorization": f"Bearer {user}"}
    async with scaled.server(history) as server:
        found = await server.client.get("/api/search/enable", headers=bearer)
        assert found.content == b"true"
    scaled.meili.down = True
    async with scaled.server(history) as server:
        found = await server.client.get("/api/search/enable", headers=bearer)
        assert found.content == b"false"
        with pytest.raises(SearchFailed):
            await server.kernel.services.get(SEARCH).messages(user, "a", 5)


async def test_the_key_is_not_sent_elsewhere(scaled: Set, history: Any, user: str) -> None:
    async with listening(other := FakeMeilisearch()) as url:  # type: ignore[arg-type]
        scaled.meili.redirect = f"{url}/health"
        async with scaled.server(history) as server:
            with pytest.raises(SearchFailed):
                await server.kernel.services.get(SEARCH).messages(user, "a", 5)
        assert other.headers == []


async def test_everything_is_sent_in_batches_and_not_again(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    said = [history.put("messages", kit.message(user, f"old {n}")) for n in range(45)]
    chat = history.put("conversations", kit.conversation(user, "Old"))
    database = f"test_{uuid4().hex}"
    expected = [document["messageId"] for document in said]
    async with scaled.server(history, database, MEILI_SYNC_BATCH_SIZE="20") as server:
        await scaled.has("messages", *expected)
        await scaled.has("convos", chat["conversationId"])
        sent = scaled.meili.sent("POST", "/indexes/messages/documents")
        assert [len(batch) for batch in sent] == [20, 20, 5]
        await kit.until(lambda: _position(server), "45")
        # Another Meilisearch, or one that lost its data: everything again.
        scaled.meili.forget()
        await scaled.has("messages", *expected)


async def _position(server: Server) -> Any:
    rows = server.kernel.database.collection("locutory_search")
    return (await rows.find_one({"_id": "meilisearch"}) or {}).get("messages")


async def test_the_sync_goes_on_where_it_was(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    said = [history.put("messages", kit.message(user, f"old {n}")) for n in range(30)]
    async with scaled.server(history, MEILI_SYNC_BATCH_SIZE="10") as server:
        await scaled.has("messages", *(document["messageId"] for document in said))
        await kit.until(lambda: _position(server), "30")
        scaled.meili.requests.clear()
        scaled.meili.down = True
        late = history.put("messages", kit.message(user, "late"))
        start = len(history.read)
        await kit.until(lambda: _tried(scaled), True)
        scaled.meili.down = False
        await scaled.has("messages", *(row["messageId"] for row in [*said, late]))
        assert ("messages", None) not in history.read[start:]
        assert scaled.meili.sent("POST", "/indexes/messages/documents")[-1][0]["text"] == "late"


async def _tried(scaled: Set) -> bool:
    return bool(scaled.meili.requests)


async def test_no_sync(scaled: Set, history: Any, kit: Any, user: str) -> None:
    history.put("messages", kit.message(user, "old"))
    async with scaled.server(history, MEILI_NO_SYNC="true"):
        await kit.until(lambda: _filterable(scaled), [["user"], ["user"]])
        said = await history.say(user, "new")
        await scaled.has("messages", said["messageId"])
        assert history.read == []


async def test_what_is_not_searchable_is_removed(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    async with scaled.server(history, MEILI_NO_SYNC="true"):
        for change in ({"isTemporary": True}, {"unfinished": True}):
            said = await history.say(user, "the lighthouse")
            await scaled.has("messages", said["messageId"])
            await history.tell(MessageSaved(user, {**said, **change}))
            await scaled.has("messages")
        await history.say(user, "child", messageId="task:assistant")  # no id for Meilisearch
        said = await history.say(user, "after it")
        await scaled.has("messages", said["messageId"])


async def test_what_has_ended_is_removed(scaled: Set, history: Any, kit: Any, user: str) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    async with scaled.server(history) as server:
        said = await history.say(user, "the lighthouse", expiredAt=end)
        await scaled.has("messages", said["messageId"])
        # One that was to end, and then was kept.
        kept = await history.say(user, "the lighthouse", expiredAt=end)
        await scaled.has("messages", said["messageId"], kept["messageId"])
        history.put("messages", kept := {**kept, "expiredAt": None})
        await history.tell(MessageSaved(user, kept))
        history.remove(user)
        rows = server.kernel.database.collection("locutory_search")
        await kit.until(lambda: rows.count_documents({"what": "end"}), 1)
        await rows.update_many({"what": "end"}, {"$set": {"endsAt": datetime.now(UTC)}})
        await scaled.has("messages", kept["messageId"])
        await kit.until(lambda: rows.count_documents({"what": "end"}), 0)


async def test_deletions(scaled: Set, history: Any, kit: Any, user: str) -> None:
    other = "f" * 24
    scaled.meili.delay = 0.01
    async with scaled.server(history, MEILI_NO_SYNC="true") as server:
        chat = await history.name_it(user, "Lighthouse chat")
        own = chat["conversationId"]
        said = [await history.say(user, f"lighthouse {n}", conversationId=own) for n in range(3)]
        left = await history.say(user, "elsewhere", expiredAt=NOW + timedelta(days=1))
        theirs = await history.say(other, "lighthouse", conversationId=own)
        ids = [document["messageId"] for document in (*said, left, theirs)]
        await scaled.has("messages", *ids)
        await history.tell(MessagesDeleted(user, own, [said[0]["messageId"], "not:valid"]))
        assert set(scaled.meili.documents("messages")) == set(ids[1:])
        await history.tell(ConversationsDeleted(user, [own], all=False))
        assert set(scaled.meili.documents("messages")) == set(ids[3:])
        assert scaled.meili.documents("convos") == {}
        for _ in range(2):
            await history.tell(AccountDeleted(user))
        assert set(scaled.meili.documents("messages")) == {theirs["messageId"]}
        assert (
            scaled.meili.sent("POST", "/indexes/messages/documents/delete")
            == [{"filter": f'user = "{user}"'}] * 2
        )
        rows = server.kernel.database.collection("locutory_search")
        assert await rows.count_documents({"user": user}) == 0
        assert user not in str([row async for row in rows.find({})])


async def test_late_copies_of_deleted_things_are_removed_again(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    said = history.put("messages", kit.message(user, "lighthouse"))
    deleted: list[Any] = []

    async def delete_while_reading() -> None:
        if not deleted:
            deleted.append(said)
            await history.tell(ConversationsDeleted(user, [said["conversationId"]], all=False))

    history.before = delete_while_reading
    async with scaled.server(history) as server:
        await kit.until(lambda: _position(server), "1")
        await scaled.has("messages")
        again = await history.say(user, "lighthouse", conversationId=said["conversationId"])
        await scaled.has("messages", again["messageId"])


async def test_a_deletion_is_tried_again_until_meilisearch_answers(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    async with scaled.server(history, MEILI_NO_SYNC="true") as server:
        said = await history.say(user, "lighthouse")
        await scaled.has("messages", said["messageId"])
        scaled.meili.down = True
        await history.tell(AccountDeleted(user))
        scaled.meili.down = False
        assert scaled.meili.documents("messages")
        # The kernel may be about to try again by itself, and nobody else does meanwhile.
        await server.kernel.events.outbox.deliver_pending()  # type: ignore[union-attr]
        await scaled.has("messages")


async def test_added_conversations_are_sent(scaled: Set, history: Any, kit: Any, user: str) -> None:
    chats = [kit.conversation(user, f"Imported {n}") for n in range(25)]
    said = kit.message(user, "imported", conversationId=chats[0]["conversationId"])

    async def find(_: str, own: str) -> Any:
        return next((chat for chat in chats if chat["conversationId"] == own), None)

    async def messages(_: str, own: str) -> Any:
        return [said] if own == said["conversationId"] else []

    history.find, history.messages = find, messages
    async with scaled.server(history) as server:
        ids = [chat["conversationId"] for chat in chats]
        await history.tell(ConversationsAdded(user, [*ids, "gone"], []))
        await scaled.has("convos", *ids)
        await scaled.has("messages", said["messageId"])
        rows = server.kernel.database.collection("locutory_search")
        await kit.until(lambda: rows.count_documents({"what": "add"}), 0)


async def test_a_save_is_tried_again(
    scaled: Set, history: Any, kit: Any, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meilisearch, "ATTEMPTS", (0.0, 0.2, 0.4))
    async with scaled.server(history, MEILI_NO_SYNC="true"):
        await kit.until(lambda: _filterable(scaled), [["user"], ["user"]])
        scaled.meili.requests.clear()
        scaled.meili.down = True
        said = await history.say(user, "lighthouse")
        await kit.until(lambda: _tried(scaled), True)
        scaled.meili.down = False
        await scaled.has("messages", said["messageId"])


async def test_two_servers_share_one(scaled: Set, history: Any, kit: Any, user: str) -> None:
    """One of them syncs, each sends what it is told."""
    other = kit.history()
    other.changed = history.changed
    database = f"test_{uuid4().hex}"
    async with scaled.server(history, database), scaled.server(other, database):
        told = [await part.say(user, "lighthouse") for part in (history, other) for _ in range(20)]
        await scaled.has("messages", *(document["messageId"] for document in told))


async def test_commands(scaled: Set, history: Any, kit: Any, user: str, tmp_path: Path) -> None:
    said = history.put("messages", kit.message(user, "lighthouse"))

    async def run(server: Server, *words: str) -> Any:
        environment = {
            **SECRETS,
            "SEARCH": "true",
            "MEILI_HOST": scaled.url,
            "MEILI_MASTER_KEY": KEY,
            "MONGO_URI": str(server.kernel.config.mongo_uri),
        }
        kernel = Kernel(Sources(environment, {}), [SearchPlugin()], data_dir=tmp_path)
        found = kernel.contributions.commands["search"]
        group = click.Group("search", {command.name: command for command in found})
        return await asyncio.to_thread(CliRunner().invoke, group, list(words))

    async with scaled.server(history) as server:
        await kit.until(lambda: _position(server), "1")
        shown = json.loads((await run(server, "status", "--json")).output)
        assert shown["engine"] == "Meilisearch"
        assert (shown["messages"], shown["position"]["messages"]) == (1, "1")
        start = len(history.read)
        assert (await run(server, "rebuild", "--yes")).exit_code == 0
        await kit.until(lambda: _begun(history, start), True)
        await scaled.has("messages", said["messageId"])
        scaled.meili.down = True
        shown = await run(server, "status")
        assert shown.exit_code == 0
        assert "503" in shown.output
        assert (await run(server, "rebuild", "--yes")).exit_code == 1


async def _begun(history: Any, start: int) -> bool:
    return ("messages", None) in history.read[start:]


async def test_a_sync_under_way_does_not_undo_a_new_beginning(
    scaled: Set, history: Any, kit: Any, user: str
) -> None:
    """The position is forgotten while a page is being sent."""
    said = [history.put("messages", kit.message(user, f"old {n}")) for n in range(3)]
    forgotten: list[int] = []

    async def forget() -> None:
        kind, position = history.read[-1]
        if kind == "messages" and position == "1" and not forgotten:
            forgotten.append(1)
            rows = server.kernel.database.collection("locutory_search")
            await rows.delete_one({"_id": "meilisearch"})

    history.before = forget
    async with scaled.server(history, MEILI_SYNC_BATCH_SIZE="1") as server:
        await kit.until(lambda: _position(server), "3")
        assert forgotten
        read = [position for kind, position in history.read if kind == "messages"]
        assert read[:4] == [None, "1", None, "1"]
        await scaled.has("messages", *(document["messageId"] for document in said))


async def test_a_wrong_key_is_told(scaled: Set, tmp_path: Path) -> None:
    environment = {
        **SECRETS,
        "SEARCH": "true",
        "MEILI_HOST": scaled.url + "/",
        "MEILI_MASTER_KEY": "wrong",
    }
    kernel = Kernel(Sources(environment, {}), [SearchPlugin()], data_dir=tmp_path)
    ((_, check),) = [found for found in kernel.contributions.checks if found[0] == "search"]
    told = await check.run() or ""
    assert "403" in told
    assert "wrong" not in told
