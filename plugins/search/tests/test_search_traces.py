"""What was deleted is not in the file any more."""

import random
from pathlib import Path
from typing import Any

import pytest

from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import MessagesDeleted
from locutory_search.backend import now_ms
from locutory_search.embedded import writing
from locutory_search.embedded.file import IndexFile
from locutory_testing import Serve

SECRET = "xylophonequartz"


def traces(folder: Path, *words: str) -> set[str]:
    """Which words stand in any file of a folder, whole or without their first letters, which
    FTS5 shares between neighbours."""
    content = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    return {word for word in words if word[3:].encode() in content}


async def test_nothing_is_left_of_a_deleted_user(
    serve: Serve, history: Any, kit: Any, user: str, tmp_path: Path
) -> None:
    other, chance = "f" * 24, random.Random(3)
    async with serve("search", history) as server:
        for number in range(300):
            noise = " ".join(f"word{chance.randrange(2000)}" for _ in range(30))
            owner = (user, other)[number % 2]
            await history.say(owner, f"{noise} {SECRET if owner == user else 'ordinary'}")
        await history.name_it(user, f"About {SECRET}", tags=[SECRET])
        await kit.until(lambda: _count(kit, server, user), 150)
        await kit.until(lambda: _chats(kit, server, user), 1)
        assert traces(tmp_path / "search", SECRET, user) == {SECRET, user}
        await history.tell(AccountDeleted(user))
        assert traces(tmp_path / "search", SECRET, user, "ordinary") == {"ordinary"}
        assert len(await kit.ids(server, other, "ordinary", 500)) == 150


async def _count(kit: Any, server: Any, user: str) -> int:
    return len(await kit.ids(server, user, SECRET, 500))


async def _chats(kit: Any, server: Any, user: str) -> int:
    return len(await kit.search_of(server).conversations(user, SECRET, 5))


async def test_deleted_messages_leave_no_trace_after_a_while(
    serve: Serve, history: Any, kit: Any, user: str, tmp_path: Path
) -> None:
    yaml = {"plugins": {"search": {"follow_seconds": 0.1, "purge_hours": 0.5 / 3600}}}
    async with serve("search", history, yaml=yaml) as server:
        said = await history.say(user, f"my {SECRET}")
        await history.say(user, "something else")
        await kit.until(lambda: _count(kit, server, user), 1)
        history.changed["messages"][0] = {"user": None}
        await history.tell(MessagesDeleted(user, said["conversationId"], [said["messageId"]]))

        async def look() -> set[str]:
            return traces(tmp_path / "search", SECRET)

        await kit.until(look, set())


def test_hashes_of_deletions_do_not_stay(tmp_path: Path) -> None:
    connection = IndexFile(tmp_path).open(make=True).connection
    writing.add_pending(connection, "conversation", "ann", ["c1", "c2"], kept_ms=-1)
    writing.add_pending(connection, "user", "bob", (), kept_ms=60_000)
    while writing.apply_deletions(connection):
        pass
    writing.expire(connection)
    assert connection.execute(
        "SELECT count(*), min(until) > ? FROM gone", (now_ms(),)
    ).fetchone() == (1, 1)
    assert connection.execute("SELECT count(*) FROM pending").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("rounds", [1, 2])
def test_deletions_during_a_purge_are_purged_by_the_next(tmp_path: Path, rounds: int) -> None:
    connection = IndexFile(tmp_path).open(make=True).connection
    writing.add_pending(connection, "user", "bob", (), kept_ms=60_000)
    while writing.apply_deletions(connection):
        pass
    for _ in range(rounds):
        writing.begin_purge(connection)
        writing.add_pending(connection, "user", "ann", (), kept_ms=60_000)
        while writing.apply_deletions(connection) or writing.purge(connection):
            pass
        assert writing.end_purge(connection)
        assert writing.purge_is_due(connection, 1e9)
    writing.begin_purge(connection)
    assert writing.end_purge(connection)
    assert not writing.purge_is_due(connection, 1e9)
    connection.close()
