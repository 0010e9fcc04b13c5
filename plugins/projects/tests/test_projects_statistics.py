"""Counts and last conversations (contract projects §3)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from locutory_contracts.conversations import (
    PROJECTS,
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
)


def debounced_recount(world: Any) -> Any:
    return world.server.kernel.services.get(PROJECTS)._statistics.debounced_recount


async def test_a_conversation_born_in_a_project(world: Any) -> None:
    project, other = [await world.alice.create(name) for name in ("one", "other")]
    foreign = await world.bob.create("theirs")
    first, second = str(uuid4()), str(uuid4())
    for talk in (first, second):
        fields = {"title": "t", "chatProjectId": project["_id"]}
        await world.conversations.save(world.alice.id, talk, fields, temporary=False)
    assert await world.alice.counted(project["_id"]) == (2, second)
    assert await world.alice.counted(other["_id"]) == (0, None)
    stray = str(uuid4())
    await world.conversations.save(world.alice.id, stray, {"chatProjectId": foreign["_id"]})
    assert await world.bob.counted(foreign["_id"]) == (0, None)


async def test_an_ordinary_save_moves_the_last(world: Any) -> None:
    project = await world.alice.create("one")
    talks = [str(uuid4()) for _ in range(3)]
    for talk in talks:
        await world.conversations.save(
            world.alice.id, talk, {"chatProjectId": project["_id"]}, temporary=False
        )
    for talk in (talks[0], talks[1], talks[0]):
        await asyncio.sleep(0.002)
        saved = await world.conversations.save(world.alice.id, talk, {"title": "again"})
        row = await world.alice.project(project["_id"])
        assert (row["conversationCount"], row["lastConversationId"]) == (3, talk)
        stored = await world.collection.find_one()
        assert stored["lastConversationAt"] == saved["updatedAt"]
        assert stored["updatedAt"] >= saved["updatedAt"]


async def test_an_older_save_does_not_move_it_back(world: Any) -> None:
    """Facts may overtake each other."""
    project = await world.alice.create("one")
    older, newer = [await world.conversation(world.alice.id) for _ in range(2)]
    for talk in (older, newer):
        await world.alice.assign(talk, project["_id"])
    for _ in range(2):
        document = await world.stored(older)
        document["updatedAt"] -= timedelta(seconds=5)
        await world.tell(ConversationSaved(world.alice.id, document, created=False))
        assert await world.alice.counted(project["_id"]) == (2, newer)


async def test_a_save_told_after_its_conversation_was_hidden(world: Any) -> None:
    """The statistics never name a conversation that lists do not show."""
    project = await world.alice.create("one")
    kept, hidden = [await world.conversation(world.alice.id) for _ in range(2)]
    for talk in (kept, hidden):
        await world.alice.assign(talk, project["_id"])
    late = await world.stored(hidden) | {"updatedAt": datetime.now(UTC) + timedelta(seconds=1)}
    body = {"arg": {"conversationId": hidden, "isArchived": True}}
    assert (await world.alice.call("POST", "/api/convos/archive", body)).status_code == 200
    await world.tell(ConversationSaved(world.alice.id, late, created=False))
    assert await world.alice.counted(project["_id"]) == (1, kept)


async def test_archiving_and_bringing_back(world: Any) -> None:
    project = await world.alice.create("one")
    talks = [await world.conversation(world.alice.id) for _ in range(3)]
    for talk in talks:
        await world.alice.assign(talk, project["_id"])
    last = talks[2]
    for archived, counted in ((True, (2, talks[1])), (False, (3, last))):
        body = {"arg": {"conversationId": last, "isArchived": archived}}
        assert (await world.alice.call("POST", "/api/convos/archive", body)).status_code == 200
        assert await world.alice.counted(project["_id"]) == counted
    assert (await world.alice.call("POST", "/api/convos/archive/all")).status_code == 200
    assert await world.alice.counted(project["_id"]) == (0, None)


async def test_deleting_conversations(world: Any) -> None:
    projects = [await world.alice.create(name) for name in ("one", "two")]
    talks = [await world.conversation(world.alice.id) for _ in range(4)]
    for number, talk in enumerate(talks):
        await world.alice.assign(talk, projects[number % 2]["_id"])
    body = {"arg": {"conversationId": talks[3], "source": "button"}}
    assert (await world.alice.call("DELETE", "/api/convos", body)).status_code == 201
    assert await world.alice.counted(projects[0]["_id"]) == (2, talks[2])
    assert await world.alice.counted(projects[1]["_id"]) == (1, talks[1])
    assert (await world.alice.call("DELETE", "/api/convos/all")).status_code == 201
    for project in projects:
        assert await world.alice.counted(project["_id"]) == (0, None)


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, True),
        ({"isArchived": None, "isTemporary": False}, True),
        ({"expiredAt": datetime(2999, 1, 1, tzinfo=UTC)}, True),
        ({"isTemporary": None}, True),
        ({"isArchived": True}, False),
        ({"isTemporary": True, "expiredAt": datetime(2999, 1, 1, tzinfo=UTC)}, False),
        ({"expiredAt": datetime(2020, 1, 1, tzinfo=UTC)}, False),
        ({"isTemporary": None, "expiredAt": datetime(2999, 1, 1, tzinfo=UTC)}, False),
    ],
    ids=str,
)
async def test_what_counts_is_what_lists_show(world: Any, fields: Any, counts: bool) -> None:
    project = await world.alice.create("one")
    talk = await world.conversation(world.alice.id, **fields)
    await world.alice.assign(talk, project["_id"])
    expected = (1, talk) if counts else (0, None)
    assert await world.alice.counted(project["_id"]) == expected
    await world.tell(ConversationSaved(world.alice.id, await world.stored(talk), created=False))
    assert await world.alice.counted(project["_id"]) == expected


async def test_facts_that_come_twice(world: Any) -> None:
    """Counted anew, so a repeated fact changes nothing and drift heals."""
    project, foreign = await world.alice.create("one"), await world.bob.create("two")
    talk = await world.conversation(world.alice.id)
    await world.alice.assign(talk, project["_id"])
    wrong = {"conversationCount": 9, "lastConversationAt": None, "lastConversationId": "x"}
    projects = [project["_id"], foreign["_id"], "no id", ""]
    for _ in range(2):
        await world.collection.update_many({"user": world.alice.id}, {"$set": wrong})
        await world.tell(
            ConversationsAdded(world.alice.id, ["x"], projects),
            ConversationsDeleted(world.alice.id, ["x"], False, projects),
        )
        assert await world.alice.counted(project["_id"]) == (1, talk)
    assert await world.bob.project(foreign["_id"]) == foreign


async def test_many_moves_at_the_same_time(world: Any) -> None:
    projects = [(await world.alice.create(name))["_id"] for name in "abc"]
    talks = [await world.conversation(world.alice.id) for _ in range(12)]
    await asyncio.gather(
        *(
            world.alice.assign(talk, projects[(number + turn) % 3])
            for turn in range(3)
            for number, talk in enumerate(talks)
        )
    )
    found = [(await world.stored(talk))["chatProjectId"] for talk in talks]
    counts = [(await world.alice.counted(project))[0] for project in projects]
    assert counts == [found.count(project) for project in projects]


async def test_two_servers_on_one_database(open_world: Any) -> None:
    """The last writer leaves the statistics right."""
    name = f"test_{uuid4().hex}"
    async with open_world(database=name) as first, open_world(database=name) as second:
        second.alice.id = first.alice.id
        project = (await first.alice.create("one"))["_id"]
        talks = [await first.conversation(first.alice.id) for _ in range(8)]
        await asyncio.gather(
            *(world.alice.assign(talk, project) for world in (first, second) for talk in talks),
        )
        await asyncio.gather(*(second.alice.assign(talk, None) for talk in talks[:3]))
        await first.alice.project(project)
        assert (await second.alice.counted(project))[0] == 5
        await first.server.kernel.database.client.drop_database(name)


async def test_a_burst_is_counted_a_few_times(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archiving thousands of conversations tells of each; whoever reads sees the last."""
    project = (await world.alice.create("one"))["_id"]
    calls: list[str] = []
    original = world.conversations.project_summary

    async def counted(user: str, project_id: str) -> Any:
        calls.append(project_id)
        return await original(user, project_id)

    monkeypatch.setattr(world.conversations, "project_summary", counted)
    for _ in range(50):
        talk = await world.conversation(world.alice.id, chatProjectId=project)
        await world.tell(
            ConversationSaved(world.alice.id, await world.stored(talk), created=True, listed=True)
        )
    assert await world.alice.counted(project) == (50, talk)
    assert len(calls) < 25
    notes = world.server.kernel.database.collection("locutory_project_recounts")
    assert await notes.find_one() is None


async def test_many_moves_are_counted_a_few_times(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count reads every conversation of the project: not for each of those that move in."""
    project = (await world.alice.create("one"))["_id"]
    talks = [await world.conversation(world.alice.id) for _ in range(40)]
    counts: list[str] = []
    original = world.conversations.project_summary

    async def counted(user: str, project_id: str) -> Any:
        counts.append(project_id)
        return await original(user, project_id)

    monkeypatch.setattr(world.conversations, "project_summary", counted)
    monkeypatch.setattr(debounced_recount(world), "_pause", 60.0)
    for talk in talks:
        await world.alice.assign(talk, project)
    assert len(counts) == 1
    assert (await world.alice.counted(project))[0] == 40
    assert len(counts) == 2


async def test_a_server_that_was_killed_in_a_burst(open_world: Any) -> None:
    """What it noted is counted by the next one at its start."""
    name = f"test_{uuid4().hex}"
    async with open_world(database=name) as world:
        project = (await world.alice.create("one"))["_id"]
        talk = await world.conversation(world.alice.id, chatProjectId=project)
        notes = world.server.kernel.database.collection("locutory_project_recounts")
        fact = ConversationsAdded(world.alice.id, [talk], [project])
        await world.tell(fact, fact)
        assert await notes.count_documents({}) == 1
        await notes.insert_one({"_id": "nonsense"})
    async with open_world(database=name) as again:
        await again.collection.update_one({}, {"$set": {"conversationCount": 7}})
        notes = again.server.kernel.database.collection("locutory_project_recounts")
        assert await notes.find_one() is None
        await notes.insert_one({"_id": f"{world.alice.id}:{project}"})
    async with open_world(database=name) as last:
        last.alice.id = world.alice.id
        assert await last.alice.counted(project) == (1, talk)
        await last.server.kernel.database.client.drop_database(name)
