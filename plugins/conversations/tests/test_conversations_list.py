"""The list (contract convos §2.1), one conversation (§2.2)."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from locutory import Provide
from locutory_contracts.conversations import SHARED_CONVERSATIONS

ROW = {
    *("_id", "conversationId", "endpoint", "title", "createdAt", "updatedAt", "user"),
    *("chatProjectId", "isShared"),
}


async def titles(world: Any, **query: Any) -> list[str]:
    answer = await world.alice.get("/api/convos", **query)
    assert answer.status_code == 200, answer.text
    return [row["title"] for row in answer.json()["conversations"]]


async def test_rows_show_the_sidebar_fields_only(world: Any) -> None:
    await world.conversation(world.alice.id, tags=["a"], messages=[], model=...)
    body = (await world.alice.get("/api/convos")).json()
    assert body["nextCursor"] is None
    (row,) = body["conversations"]
    assert set(row) == ROW
    assert row["isShared"] is False
    assert row["user"] == world.alice.id
    assert row["updatedAt"].endswith("Z")
    assert len(row["updatedAt"]) == len("2026-01-31T12:00:00.000Z")


async def test_newest_first_and_only_the_callers(world: Any) -> None:
    await world.conversation(world.alice.id, title="old", updatedAt=world.ago(days=900))
    await world.conversation(world.alice.id, title="new", updatedAt=world.ago(minutes=1))
    await world.conversation(world.alice.id, title="mid", updatedAt=world.ago(days=3))
    await world.conversation(world.bob.id, title="bob's")
    assert await titles(world) == ["new", "mid", "old"]
    assert await titles(world, sortDirection="asc") == ["old", "mid", "new"]
    assert await titles(world, sortDirection="ASC") == ["new", "mid", "old"]


async def test_titles_compare_by_code_point(world: Any) -> None:
    for title in ("b", "B", "ä", "a"):
        await world.conversation(world.alice.id, title=title)
    assert await titles(world, sortBy="title", sortDirection="asc") == ["B", "a", "b", "ä"]


async def test_archived_pinned_and_absent_flags(world: Any) -> None:
    await world.conversation(world.alice.id, title="plain", updatedAt=world.ago(days=1))
    await world.conversation(
        world.alice.id, title="legacy", isArchived=..., updatedAt=world.ago(days=2)
    )
    await world.conversation(
        world.alice.id, title="gone", isArchived=True, archivedAt=world.ago(days=1), pinned=True
    )
    await world.conversation(world.alice.id, title="pin", pinned=True, updatedAt=world.ago(days=3))
    assert await titles(world) == ["plain", "legacy", "pin"]
    assert await titles(world, isArchived="true") == ["gone"]
    assert await titles(world, isArchived=" TRUE ") == ["gone"]
    assert await titles(world, isArchived="1") == ["plain", "legacy", "pin"]
    assert await titles(world, pinned="true") == ["pin"]
    assert await titles(world, pinned="true", isArchived="true") == ["gone"]


async def test_temporary_and_expired_chats_are_hidden(world: Any) -> None:
    later, before = world.ago(days=-5), world.ago(days=5)
    cases: dict[str, dict[str, Any]] = {
        "kept": {"isTemporary": False, "expiredAt": None},
        "expiring": {"isTemporary": False, "expiredAt": later},
        "expired": {"isTemporary": False, "expiredAt": before},
        "temporary": {"isTemporary": True, "expiredAt": later},
        "temporary for ever": {"isTemporary": True, "expiredAt": None},
        "legacy": {"isTemporary": ..., "expiredAt": ...},
        "legacy temporary": {"isTemporary": ..., "expiredAt": later},
        "null": {"isTemporary": None, "expiredAt": None},
    }
    for title, fields in cases.items():
        await world.conversation(world.alice.id, title=title, **fields)
    assert sorted(await titles(world)) == ["expiring", "kept", "legacy", "null"]
    hidden = await world.stored("conversations", title="temporary")
    assert hidden is not None
    answer = await world.alice.get(f"/api/convos/{hidden['conversationId']}")
    assert answer.json()["isTemporary"] is True


async def test_tags_are_alternatives(world: Any) -> None:
    for title, tags in (("ab", ["a", "b"]), ("c", ["c"]), ("none", [])):
        await world.conversation(world.alice.id, title=title, tags=tags)
    assert await titles(world, tags="a") == ["ab"]
    assert sorted(await titles(world, tags=["b", "c"])) == ["ab", "c"]
    assert await titles(world, tags="zzz") == []
    assert await titles(world, tags=["b", "a", "zzz"]) == ["ab"]  # it has both, and comes once


async def test_tags_go_with_every_other_filter(world: Any) -> None:
    project = "a" * 24
    for title, fields in (
        ("plain", {}),
        ("pinned", {"pinned": True}),
        ("archived", {"isArchived": True}),
        ("project", {"chatProjectId": project}),
        ("temporary", {"isTemporary": True, "expiredAt": world.ago(days=-1)}),
    ):
        await world.conversation(world.alice.id, title=title, tags=["a"], **fields)
        await world.conversation(world.alice.id, title="other", tags=["b"], **fields)
    assert sorted(await titles(world, tags="a")) == ["pinned", "plain", "project"]
    assert await titles(world, tags="a", pinned="true") == ["pinned"]
    assert await titles(world, tags="a", isArchived="true") == ["archived"]
    assert await titles(world, tags="a", projectId=project) == ["project"]
    assert sorted(await titles(world, tags="a", projectId="unassigned")) == ["pinned", "plain"]
    ordered = await titles(world, tags="a", sortBy="title", sortDirection="asc")
    assert ordered == ["pinned", "plain", "project"]


async def test_projects(world: Any) -> None:
    project, other = "a" * 24, "b" * 24
    await world.conversation(world.alice.id, title="in", chatProjectId=project)
    await world.conversation(world.alice.id, title="out")
    await world.conversation(world.alice.id, title="legacy", chatProjectId=...)
    assert await titles(world, projectId=project) == ["in"]
    assert await titles(world, projectId=other) == []
    assert sorted(await titles(world, projectId="unassigned")) == ["legacy", "out"]
    for wrong in ("x", "a" * 23, "a" * 25, "Unassigned", "{}"):
        answer = await world.alice.get("/api/convos", projectId=wrong)
        assert answer.status_code == 400
        assert answer.json() == {"error": "projectId must be a valid project id or unassigned"}
    answer = await world.alice.get("/api/convos", projectId=[project, "x"])
    assert [row["title"] for row in answer.json()["conversations"]] == ["in"]


async def test_search_is_not_configured(world: Any) -> None:
    answer = await world.alice.get("/api/convos", search="hello")
    assert (answer.status_code, answer.json()) == (200, {"conversations": [], "nextCursor": None})
    assert (await world.alice.get("/api/convos", search="  ")).status_code == 200


async def test_limits_and_cursors_that_make_no_sense(world: Any) -> None:
    for number in range(30):
        await world.conversation(
            world.alice.id, title=f"{number}", updatedAt=world.ago(minutes=number)
        )
    for limit in ("abc", "0", "-3", ""):
        assert len(await titles(world, limit=limit)) == 25
    assert len(await titles(world, limit="2x")) == 2
    assert len(await titles(world, limit="99999999999999999999")) == 30
    assert len(await titles(world, limit="100")) == 30
    first = await titles(world, limit="3")
    # neither base64 of JSON nor JSON of an object
    for cursor in ("%%%", "undefined", "null", "!!!!", "W10=", "IngiCg=="):
        assert await titles(world, limit="3", cursor=cursor) == first
    # {"primary":"x","secondary":"x","id":"x"}, a bad date, an operator as a date
    for text in (
        '{"primary":"x","secondary":"x","id":"x"}',
        '{"primary":"yesterday","secondary":null,"id":"%s"}' % ("a" * 24),
        '{"primary":{"$gt":""},"secondary":null,"id":"%s"}' % ("a" * 24),
        '{"primary":"9999-12-31T23:59:59-14:00","secondary":null,"id":"%s"}' % ("a" * 24),
        "{}",
    ):
        answer = await world.alice.get("/api/convos", cursor=b64encode(text.encode()).decode())
        assert answer.status_code == 400, text
    old = '{"primary":"0001-01-01T00:00:00.000Z","secondary":null,"id":"%s"}' % ("a" * 24)
    assert await titles(world, cursor=b64encode(old.encode()).decode()) == []
    assert (await world.alice.get("/api/convos", sortBy="user")).status_code == 400
    assert (await world.alice.get("/api/convos", sortBy="$where")).status_code == 400


async def test_cursor_is_the_contracts(world: Any) -> None:
    for number in range(3):
        await world.conversation(
            world.alice.id, title=f"t{number}", updatedAt=world.ago(minutes=number)
        )
    body = (await world.alice.get("/api/convos", limit="2")).json()
    last = body["conversations"][-1]
    assert json.loads(b64decode(body["nextCursor"])) == {
        "primary": last["updatedAt"],
        "secondary": last["updatedAt"],
        "id": last["_id"],
    }
    body = (await world.alice.get("/api/convos", limit="2", sortBy="title")).json()
    last = body["conversations"][-1]
    assert json.loads(b64decode(body["nextCursor"])) == {
        "primary": last["title"],
        "secondary": last["updatedAt"],
        "id": last["_id"],
    }
    archived = (await world.alice.get("/api/convos", limit="2", sortBy="archivedAt")).json()
    last = archived["conversations"][-1]
    assert json.loads(b64decode(archived["nextCursor"])) == {
        "primary": None,
        "secondary": last["createdAt"],
        "id": last["_id"],
    }


async def test_an_unescaped_plus_in_a_cursor(world: Any) -> None:
    """A client that does not percent-encode the cursor still gets the next page."""
    for number in range(4):
        await world.conversation(world.alice.id, title=f"~~~~>>>>????{number}")
    page = (await world.alice.get("/api/convos?sortBy=title&limit=2")).json()
    assert "+" in page["nextCursor"]
    following = await world.alice.get(
        f"/api/convos?sortBy=title&limit=2&cursor={page['nextCursor']}"
    )
    assert [row["title"][-1] for row in following.json()["conversations"]] == ["1", "0"]


class Links:
    def __init__(self) -> None:
        self.broken = False

    async def shared(self, user: str, conversation_ids: Sequence[str]) -> set[str]:
        if self.broken:
            raise RuntimeError("links are down")
        return {conversation_ids[0]}


async def test_shared_flag(open_world: Any, offer: Any) -> None:
    links = Links()
    async with open_world(offer(Provide(SHARED_CONVERSATIONS, links))) as world:
        await world.conversation(world.alice.id, updatedAt=world.ago(days=1))
        await world.conversation(world.alice.id)
        rows = (await world.alice.get("/api/convos")).json()["conversations"]
        assert [row["isShared"] for row in rows] == [True, False]
        links.broken = True
        rows = (await world.alice.get("/api/convos")).json()["conversations"]
        assert all("isShared" not in row for row in rows)


async def test_shared_flag_without_shared_links(open_world: Any) -> None:
    async with open_world(environment={"ALLOW_SHARED_LINKS": "false"}) as world:
        await world.conversation(world.alice.id)
        (row,) = (await world.alice.get("/api/convos")).json()["conversations"]
        assert "isShared" not in row


async def test_the_window_widens_and_is_left_again(world: Any) -> None:
    """Few recent rows and many old ones, then the reverse: every page is whole."""
    for number in range(40):
        await world.conversation(
            world.alice.id, title=f"old{number:02}", updatedAt=world.ago(days=400 + number)
        )
    expected = [f"old{number:02}" for number in range(25)]
    assert await titles(world) == expected
    assert await titles(world) == expected
    for number in range(60):
        await world.conversation(
            world.alice.id, title=f"new{number:02}", updatedAt=world.ago(seconds=number)
        )
    assert await titles(world) == [f"new{number:02}" for number in range(25)]
    assert await titles(world, limit="500") == [
        *(f"new{number:02}" for number in range(60)),
        *(f"old{number:02}" for number in range(40)),
    ]
    ahead = world.ago(days=0) + timedelta(days=2)
    await world.conversation(world.alice.id, title="ahead", updatedAt=ahead)
    assert (await titles(world))[:2] == ["ahead", "new00"]


async def test_one_conversation(world: Any) -> None:
    stored = await world.conversation(
        world.alice.id,
        subagentThreadLease={"token": "t", "taskId": "t", "expiresAt": world.ago(days=1)},
        _meiliIndex=True,
        tags=["x"],
        pinned=True,
    )
    path = f"/api/convos/{stored['conversationId']}"
    document = (await world.alice.get(path)).json()
    assert document["_id"] == str(stored["_id"])
    assert document["__v"] == 0
    assert document["messages"] == []
    assert document["tags"] == ["x"]
    assert "subagentThreadLease" not in document
    assert "_meiliIndex" not in document
    assert "isShared" not in document
    for answer in (
        await world.bob.get(path),
        await world.alice.get("/api/convos/not-a-uuid"),
        await world.alice.get("/api/convos/%24ne"),
    ):
        assert answer.status_code == 404
        assert answer.content == b""


async def test_dates_at_the_ends_of_time(world: Any) -> None:
    """Windows of dates never leave the range of dates."""
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    for number, moment in enumerate((first, first, last, last, world.ago(days=1))):
        await world.conversation(world.alice.id, title=f"{number}", updatedAt=moment)
    expected = ["3", "2", "4", "1", "0"]
    for limit in ("1", "2", "4"):
        for _ in range(2):
            found: list[str] = []
            cursor: dict[str, str] = {}
            while True:
                answer = await world.alice.get("/api/convos", limit=limit, **cursor)
                assert answer.status_code == 200
                found += [row["title"] for row in answer.json()["conversations"]]
                if answer.json()["nextCursor"] is None:
                    break
                cursor = {"cursor": answer.json()["nextCursor"]}
            assert found == expected
