"""The built-in index keeps in step with the history."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import (
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
    MessageSaved,
    MessagesDeleted,
)
from locutory_search.embedded import index_sync
from locutory_search.indexing_queue import MAX_DOCUMENTS
from locutory_testing import Serve


async def test_what_is_saved_is_found_at_once(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    # The feed would bring them only after a day.
    never = {"plugins": {"search": {"follow_seconds": 86_400}}}
    async with serve("search", history, yaml=never) as server:
        said = await history.say(user, "Where is the lighthouse?")
        chat = await history.name_it(user, "Lighthouses of Norway", tags=["travel"])
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])
        search = kit.search_of(server)

        async def chats() -> list[str]:
            return list(await search.conversations(user, "travel", 5))

        await kit.until(chats, [chat["conversationId"]])
        (hit,) = await search.messages(user, "lighthouse", 5)
        assert hit.conversation_id == said["conversationId"]
        assert await search.messages("0" * 24, "lighthouse", 5) == []
        assert list(await search.messages(user, "lighthouse", 0)) == []


async def test_what_was_there_before_is_indexed_in_the_background(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    for number in range(2 * index_sync.PAGE + 7):
        history.put("messages", kit.message(user, f"old words number{number}"))
    history.put("conversations", kit.conversation(user, "An old chat"))
    async with serve("search", history, yaml=kit.FAST) as server:
        expected = [document["messageId"] for document in history.changed["messages"]]
        await kit.until(lambda: _count(kit, server, user, "old words"), len(expected))
        positions = [place for kind, place in history.read if kind == "messages"]
        assert positions[:3] == [None, "200", "400"]  # pages, never everything
        assert len(await kit.search_of(server).conversations(user, "old", 5)) == 1
    again = len(history.read)
    async with serve("search", history, yaml=kit.FAST) as server:
        # Another database: its index is made anew.
        await kit.until(lambda: _has_begun(history, again), True)
        await kit.until(lambda: _count(kit, server, user, "old words"), len(expected))


async def _has_begun(history: Any, again: int) -> bool:
    return ("messages", None) in history.read[again:]


async def _count(kit: Any, server: Any, user: str, text: str) -> int:
    return len(await kit.ids(server, user, text, 1000))


async def test_the_position_outlives_the_server(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    database = f"test_{uuid4().hex}"
    first = history.put("messages", kit.message(user, "remembered"))
    async with serve("search", history, yaml=kit.FAST, database=database) as server:
        await kit.until_found(server, user, "remembered", [first["messageId"]])
        await kit.until(lambda: _has_read(history, "messages", "1"), True)
    seen = len(history.read)
    second = history.put("messages", kit.message(user, "remembered too"))
    async with serve("search", history, yaml=kit.FAST, database=database) as server:
        expected = [first["messageId"], second["messageId"]]
        await kit.until_found(server, user, "remembered", expected)
        assert ("messages", None) not in history.read[seen:]
        await server.kernel.database.client.drop_database(database)


async def _has_read(history: Any, kind: str, position: str | None) -> bool:
    return (kind, position) in history.read


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, True),
        ({"isTemporary": True}, False),
        ({"isTemporary": True, "expiredAt": NOW + timedelta(hours=1)}, False),
        ({"isTemporary": False, "expiredAt": NOW + timedelta(hours=1)}, True),
        ({"isTemporary": False, "expiredAt": NOW - timedelta(hours=1)}, False),
        ({"isTemporary": None}, True),
        ({"isTemporary": None, "expiredAt": NOW + timedelta(hours=1)}, False),
        ({"unfinished": True}, False),
        ({"text": "", "content": [{"type": "text", "text": "a lighthouse"}]}, True),
        ({"text": "", "content": [{"type": "text", "text": {"value": "lighthouse"}}]}, True),
        ({"text": "", "content": [None, {"type": "think", "think": "lighthouse"}]}, True),
        ({"text": "", "content": [{"type": "steer", "steer": "lighthouse"}]}, True),
        ({"text": "", "content": [{"type": "tool_call", "tool_call": "lighthouse"}]}, False),
        ({"text": None, "content": "lighthouse"}, False),
        ({"text": {"$ne": "lighthouse"}, "content": [3, "x", []]}, False),
        ({"updatedAt": None}, True),
        ({"conversationId": 5}, False),
    ],
)
async def test_what_is_searchable(
    serve: Serve, history: Any, kit: Any, user: str, fields: dict[str, Any], found: bool
) -> None:
    """Contract search §3; told and read by the feed alike."""
    document = {**kit.message(user, "the lighthouse"), **fields}
    if fields.get("isTemporary", False) is None:
        del document["isTemporary"]
    expected = [document["messageId"]] if found else []
    async with serve("search", history) as server:
        await history.tell(MessageSaved(user, document))
        marker = kit.message(user, "marker")
        await history.tell(MessageSaved(user, marker))
        await kit.until_found(server, user, "marker", [marker["messageId"]])
        assert await kit.ids(server, user, "lighthouse") == expected
    for told in (document, marker, kit.message(user, "marker")):
        history.put("messages", told)
    async with serve("search", history, yaml=kit.FAST) as server:
        await kit.until(lambda: _count(kit, server, user, "marker"), 2)
        assert await kit.ids(server, user, "lighthouse") == expected


async def test_what_becomes_temporary_or_unfinished_is_removed(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    async with serve("search", history) as server:
        for change in ({"isTemporary": True}, {"unfinished": True}):
            said = await history.say(user, "the lighthouse")
            await kit.until_found(server, user, "lighthouse", [said["messageId"]])
            later = said["updatedAt"] + timedelta(milliseconds=5)
            await history.tell(MessageSaved(user, {**said, **change, "updatedAt": later}))
            await kit.until_found(server, user, "lighthouse", [])
        chat = await history.name_it(user, "Lighthouses")
        search = kit.search_of(server)
        await kit.until(lambda: _chats(search, user), [chat["conversationId"]])
        await history.tell(ConversationSaved(user, {**chat, "isTemporary": True}, created=False))
        await kit.until(lambda: _chats(search, user), [])


async def _chats(search: Any, user: str) -> list[str]:
    return list(await search.conversations(user, "lighthouses", 5))


async def test_edits_replace(serve: Serve, history: Any, kit: Any, user: str) -> None:
    async with serve("search", history) as server:
        said = await history.say(user, "first thought")
        said["text"], said["updatedAt"] = "second idea", NOW + timedelta(minutes=1)
        await history.tell(MessageSaved(user, said))
        await kit.until_found(server, user, "idea", [said["messageId"]])
        assert await kit.ids(server, user, "thought") == []


async def test_a_burst_is_brought_by_the_feed(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    """More than may wait: the rest is not kept, and comes with the feed."""
    async with serve("search", history) as server:
        for _ in range(MAX_DOCUMENTS + 200):
            await history.say(user, "flood")
        await kit.until(lambda: _count(kit, server, user, "flood"), 1000)
        rows = await _rows(server.kernel.data_dir)
        assert rows <= MAX_DOCUMENTS + 200
        await kit.until(lambda: _rows(server.kernel.data_dir), MAX_DOCUMENTS + 200)


async def _rows(folder: Path, kind: str = "messages") -> int:
    connection = sqlite3.connect(folder / "search" / "index-1.sqlite3")
    try:
        return int(connection.execute(f"SELECT count(*) FROM {kind}").fetchone()[0])  # noqa: S608
    finally:
        connection.close()


async def test_added_conversations_are_indexed(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    """They keep old dates, so the feed may never bring them."""
    async with serve("search", history, yaml=kit.FAST) as server:
        await kit.until(lambda: _has_read(history, "messages", "0"), True)
        chat = kit.conversation(user, "Imported lighthouse", updatedAt=NOW - timedelta(days=900))
        own = chat["conversationId"]
        said = kit.message(user, "imported words", conversationId=own)
        history.find = _always(chat)
        history.messages = _always([said])
        await history.tell(ConversationsAdded(user, [own], []))
        await kit.until_found(server, user, "imported", [said["messageId"]])
        assert len(await kit.search_of(server).conversations(user, "lighthouse", 5)) == 1
        await history.tell(ConversationsAdded(user, [], []))


def _always(value: Any) -> Any:
    async def answer(*_: Any) -> Any:
        return value

    return answer


async def test_deleted_things_are_not_found_when_the_deletion_returns(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    other = "f" * 24
    async with serve("search", history) as server:
        chat = await history.name_it(user, "Lighthouse chat")
        own = chat["conversationId"]
        said = [await history.say(user, f"lighthouse {n}", conversationId=own) for n in range(3)]
        left = await history.say(user, "lighthouse elsewhere")
        theirs = await history.say(other, "lighthouse", conversationId=own)
        await kit.until(lambda: _count(kit, server, user, "lighthouse"), 4)
        await kit.until_found(server, other, "lighthouse", [theirs["messageId"]])

        await history.tell(MessagesDeleted(user, own, [said[0]["messageId"], "unknown"]))
        assert await _count(kit, server, user, "lighthouse") == 3
        await history.tell(ConversationsDeleted(user, [own, "unknown"], all=False))
        assert await kit.ids(server, user, "lighthouse") == [left["messageId"]]
        assert list(await kit.search_of(server).conversations(user, "lighthouse", 5)) == []
        assert await kit.ids(server, other, "lighthouse") == [theirs["messageId"]]
        for _ in range(2):  # at least once
            await history.tell(AccountDeleted(user))
        assert await kit.ids(server, user, "lighthouse") == []
        assert await kit.ids(server, other, "lighthouse") == [theirs["messageId"]]


async def test_late_copies_of_deleted_things_stay_away(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    """A page of the feed was read before a deletion and is written after it; a fact told
    before it arrives after it."""
    said = history.put("messages", kit.message(user, "lighthouse"))
    deleted: list[Any] = []

    async def delete_while_reading() -> None:
        if not deleted:
            deleted.append(said)
            await history.tell(ConversationsDeleted(user, [said["conversationId"]], all=False))

    history.before = delete_while_reading
    async with serve("search", history, yaml=kit.FAST) as server:
        await kit.until(lambda: _has_read(history, "messages", "1"), True)
        marker = kit.message(user, "marker")
        await history.tell(MessageSaved(user, said), MessageSaved(user, marker))
        await kit.until_found(server, user, "marker", [marker["messageId"]])
        assert await kit.ids(server, user, "lighthouse") == []
        # What is said there later is found: the conversation lives again.
        again = await history.say(user, "lighthouse", conversationId=said["conversationId"])
        await kit.until_found(server, user, "lighthouse", [again["messageId"]])
        # Whoever is gone stays gone.
        await history.tell(AccountDeleted(user))
        await history.tell(MessageSaved(user, {**again, "updatedAt": NOW + timedelta(hours=1)}))
        other = "e" * 24
        await history.tell(MessageSaved(other, kit.message(other, "marker")))
        await kit.until(lambda: _count(kit, server, other, "marker"), 1)
        assert await kit.ids(server, user, "lighthouse") == []


async def test_many_deletions_go_on_after_a_crash(
    serve: Serve, history: Any, kit: Any, user: str, tmp_path: Path
) -> None:
    database = f"test_{uuid4().hex}"
    own = str(uuid4())
    for n in range(450):
        history.put("messages", kit.message(user, f"lighthouse {n}", conversationId=own))
    async with serve("search", history, yaml=kit.FAST, database=database) as server:
        await kit.until(lambda: _rows(tmp_path), 450)
    connection = sqlite3.connect(tmp_path / "search" / "index-1.sqlite3")
    connection.execute("INSERT INTO pending VALUES ('conversation', ?, ?)", (user, own))
    connection.commit()
    connection.close()
    async with serve("search", history, yaml=kit.FAST, database=database) as server:
        await kit.until(lambda: _rows(tmp_path), 0)
        await server.kernel.database.client.drop_database(database)


async def test_a_feed_that_fails_is_tried_again(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    said = history.put("messages", kit.message(user, "lighthouse"))
    history.broken = True
    async with serve("search", history, yaml=kit.FAST) as server:
        await kit.until(lambda: _has_read(history, "conversations", None), True)
        assert await kit.ids(server, user, "lighthouse") == []
        history.broken = False
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])


async def test_without_a_history_nothing_is_found(serve: Serve, kit: Any, user: str) -> None:
    async with serve("search", yaml=kit.FAST) as server:
        assert await kit.ids(server, user, "lighthouse") == []


async def test_a_broken_file_is_built_anew(
    serve: Serve, history: Any, kit: Any, user: str, tmp_path: Path
) -> None:
    database = f"test_{uuid4().hex}"
    said = history.put("messages", kit.message(user, "lighthouse"))
    async with serve("search", history, yaml=kit.FAST, database=database) as server:
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])
    path = tmp_path / "search" / "index-1.sqlite3"
    path.write_bytes(b"this is no database " * 1000)
    old = tmp_path / "search" / "index-0.sqlite3"
    old.write_text("of another version")
    async with serve("search", history, yaml=kit.FAST, database=database) as server:
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])
        assert not old.exists()
        path.unlink()  # while it is used
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])
        assert path.stat().st_mode & 0o077 == 0
        await server.kernel.database.client.drop_database(database)


async def test_tags_change_without_the_date(
    serve: Serve, history: Any, kit: Any, user: str
) -> None:
    async with serve("search", history) as server:
        chat = await history.name_it(user, "Plans", tags=["lighthouses"])
        search = kit.search_of(server)
        await kit.until(lambda: _chats(search, user), [chat["conversationId"]])
        await history.tell(ConversationSaved(user, {**chat, "tags": []}, created=False))
        await kit.until(lambda: _chats(search, user), [])
        assert list(await search.conversations(user, "plans", 5)) == [chat["conversationId"]]
