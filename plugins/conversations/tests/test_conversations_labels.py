"""Tags and projects (`Conversations.mark` and its neighbours), and what a save tells of them."""

from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Provide
from locutory_contracts.conversations import PROJECTS, ConversationSaved, ProjectSummary


class OwnProjects:
    """Projects that a test says who owns."""

    def __init__(self) -> None:
        self.owned: set[tuple[str, str]] = set()
        self.asked = 0

    def of(self, user: str) -> str:
        """A new project of a user."""
        project = str(ObjectId())
        self.owned.add((user, project))
        return project

    async def owns(self, user: str, project_id: str) -> bool:
        self.asked += 1
        return (user, project_id) in self.owned


async def test_mark_sets_tags_and_leaves_the_date(world: Any) -> None:
    stored = await world.conversation(world.alice.id, updatedAt=world.ago(days=3))
    conversation_id = stored["conversationId"]
    document = await world.service.mark(world.alice.id, conversation_id, {"tags": ["b", "a", "b"]})
    assert document["tags"] == ["b", "a"]
    assert document["updatedAt"] == stored["updatedAt"]
    assert document["title"] == stored["title"]
    (fact,) = world.witness.of(ConversationSaved)
    assert (fact.conversation["tags"], fact.created, fact.listed) == (["b", "a"], False, False)
    assert await world.service.mark(world.bob.id, conversation_id, {"tags": []}) is None
    assert await world.service.mark(world.alice.id, str(uuid4()), {"tags": []}) is None


async def test_mark_moves_between_projects(world: Any) -> None:
    first, second = str(ObjectId()), str(ObjectId())
    stored = await world.conversation(world.alice.id)
    conversation_id = stored["conversationId"]
    for project in (first, first, second, None, None):
        document = await world.service.mark(
            world.alice.id, conversation_id, {"chatProjectId": project}
        )
        assert document.get("chatProjectId") == project
        assert document["updatedAt"] == stored["updatedAt"]
    assert "chatProjectId" not in document
    told = [(fact.listed, fact.left_project) for fact in world.witness.of(ConversationSaved)]
    assert told == [(True, None), (False, None), (True, first), (True, second), (False, None)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": "x"},
        {"tags": [], "user": "other"},
        {"tags": [{"$ne": 1}]},
        {"chatProjectId": "short"},
        {"chatProjectId": {"$ne": None}},
    ],
)
async def test_mark_takes_nothing_else(world: Any, fields: Any) -> None:
    stored = await world.conversation(world.alice.id)
    with pytest.raises(ValueError, match=r"tags|chatProjectId"):
        await world.service.mark(world.alice.id, stored["conversationId"], fields)
    assert await world.stored("conversations", _id=stored["_id"]) == stored


async def test_a_tag_is_renamed_everywhere(world: Any) -> None:
    moment = world.ago(days=2)
    rows = [
        await world.conversation(world.alice.id, tags=tags, updatedAt=moment)
        for tags in (["a", "old", "b"], ["old"], ["new", "old"], ["old", "x", "new"], ["a"], ...)
    ]
    foreign = await world.conversation(world.bob.id, tags=["old"])
    assert await world.service.replace_tag(world.alice.id, "old", "new") == 4
    tags = []
    for row in rows:
        stored = await world.stored("conversations", _id=row["_id"])
        tags.append(stored.get("tags"))
        assert stored["updatedAt"] == moment
    assert tags == [["a", "new", "b"], ["new"], ["new"], ["new", "x"], ["a"], None]
    assert (await world.stored("conversations", _id=foreign["_id"]))["tags"] == ["old"]
    assert len(world.witness.of(ConversationSaved)) == 4
    assert await world.service.tag_counts(world.alice.id, ["a", "new", "old", "a"]) == {
        "a": 2,
        "new": 4,
        "old": 0,
    }
    assert await world.service.replace_tag(world.alice.id, "new", None) == 4
    assert await world.service.tag_counts(world.alice.id, ["new", "x"]) == {"new": 0, "x": 1}
    assert await world.service.tag_counts(world.alice.id, []) == {}


async def test_the_summary_counts_what_lists_show(world: Any) -> None:
    project = str(ObjectId())
    user = world.alice.id
    await world.conversation(user, chatProjectId=project, updatedAt=world.ago(days=3))
    last = await world.conversation(
        user, chatProjectId=project, updatedAt=world.ago(days=1), isArchived=..., expiredAt=...
    )
    await world.conversation(user, chatProjectId=project, isArchived=True)
    await world.conversation(
        user, chatProjectId=project, isTemporary=True, expiredAt=world.ago(days=-1)
    )
    await world.conversation(user, chatProjectId=project, expiredAt=world.ago(days=1))
    await world.conversation(world.bob.id, chatProjectId=project)
    await world.conversation(user, chatProjectId=str(ObjectId()))
    assert await world.service.project_summary(user, project) == ProjectSummary(
        2, last["updatedAt"], last["conversationId"]
    )
    empty = await world.service.project_summary(user, str(ObjectId()))
    assert empty == ProjectSummary(0, None, None)


async def test_everybody_leaves_a_project(world: Any) -> None:
    project, moment = str(ObjectId()), world.ago(days=2)
    for _ in range(3):
        await world.conversation(world.alice.id, chatProjectId=project, updatedAt=moment)
    foreign = await world.conversation(world.bob.id, chatProjectId=project)
    assert await world.service.leave_project(world.alice.id, project) == 3
    assert await world.service.leave_project(world.alice.id, project) == 0
    async for row in world.collection("conversations").find({"user": world.alice.id}):
        assert "chatProjectId" not in row
        assert row["updatedAt"] == moment
    assert (await world.stored("conversations", _id=foreign["_id"]))["chatProjectId"] == project
    left = [fact.left_project for fact in world.witness.of(ConversationSaved)]
    assert left == [None, None, project]


async def test_a_save_puts_only_into_own_projects(open_world: Any, offer: Any) -> None:
    projects = OwnProjects()
    async with open_world(offer(Provide(PROJECTS, projects))) as world:
        own, foreign = projects.of(world.alice.id), projects.of(world.bob.id)
        user, conversation_id = world.alice.id, str(uuid4())
        saved = await world.service.save(user, conversation_id, {"chatProjectId": own})
        assert saved["chatProjectId"] == own
        asked = projects.asked
        await world.service.save(user, conversation_id, {"chatProjectId": own, "title": "x"})
        assert projects.asked == asked  # it is in there already
        saved = await world.service.save(user, conversation_id, {"chatProjectId": foreign})
        assert "chatProjectId" not in saved
        for wrong in ("x" * 24, {"$ne": None}, 7):
            saved = await world.service.save(user, conversation_id, {"chatProjectId": wrong})
            assert "chatProjectId" not in saved
        told = [(fact.created, fact.listed, fact.left_project) for fact in _saved(world)]
        assert told[:3] == [(True, True, None), (False, False, None), (False, True, own)]
        assert set(told[3:]) == {(False, False, None)}


async def test_a_save_tells_when_lists_change(world: Any) -> None:
    user, conversation_id = world.alice.id, str(uuid4())
    save = world.service.save
    await save(user, conversation_id, {"title": "new"}, temporary=False)
    await save(user, conversation_id, {"title": "turn"}, temporary=False)
    await save(user, conversation_id, {"title": "turn"})
    await save(user, conversation_id, {}, temporary=True)
    await save(user, conversation_id, {}, temporary=True)
    await save(user, conversation_id, {}, temporary=False)
    await save(user, conversation_id, {"isArchived": True})
    await save(user, conversation_id, {"isArchived": True})
    listed = [fact.listed for fact in _saved(world)]
    assert listed == [True, False, False, True, False, True, True, False]


async def test_archiving_tells_that_lists_changed(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    arg = {"conversationId": stored["conversationId"]}
    for archived in (True, True, False):
        await world.alice.call(
            "POST", "/api/convos/archive", {"arg": {**arg, "isArchived": archived}}
        )
    await world.alice.call("POST", "/api/convos/pin", {"arg": {**arg, "pinned": True}})
    assert [fact.listed for fact in _saved(world)] == [True, False, True, False]


async def test_archiving_all_tells_of_each_project_once(world: Any) -> None:
    projects = [str(ObjectId()) for _ in range(2)]
    for project in (projects * 4)[:7]:
        await world.conversation(world.alice.id, chatProjectId=project)
    await world.conversation(world.alice.id)
    answer = await world.alice.call("POST", "/api/convos/archive/all")
    assert answer.json() == {"archivedCount": 8}
    facts = _saved(world)
    assert len({fact.conversation["conversationId"] for fact in facts}) == len(facts) == 8
    listed = [fact.conversation.get("chatProjectId") for fact in facts if fact.listed]
    assert sorted(listed, key=str) == sorted([*projects, None], key=str)
    assert all(fact.conversation["isArchived"] for fact in facts)


def _saved(world: Any) -> list[Any]:
    facts: list[Any] = world.witness.of(ConversationSaved)
    return facts
