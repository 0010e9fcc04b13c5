"""Forks and duplicates (contract convos §2.10, §2.11)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import LimitExceeded, On, Plugin, hook
from locutory_contracts.conversations import NO_PARENT, ConversationsAdded
from locutory_conversations.copying.cloning import CycleError, cloned
from locutory_conversations.copying.selection import SELECTIONS, split_at

# Letters are messages, in the order of their dates: (id, parent).
TREE = {
    "a": NO_PARENT,
    "b": "a",
    "c": "a",
    "d": "b",
    "e": "b",
    "f": "c",
    "g": "d",
    "h": "d",
    "r": NO_PARENT,
    "s": "r",
    "x": "gone",
}


def tree(shape: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [
        {"messageId": name, "parentMessageId": parent}
        for name, parent in (TREE if shape is None else shape).items()
    ]


def letters(messages: Any) -> str:
    return "".join(message["messageId"] for message in messages)


@pytest.mark.parametrize(
    ("option", "target", "expected"),
    [
        ("directPath", "g", "abdg"),
        ("directPath", "a", "a"),
        ("directPath", "x", "x"),
        ("includeBranches", "g", "abcdegh"),
        ("includeBranches", "d", "abcde"),
        ("includeBranches", "a", "a"),
        ("targetLevel", "d", "abcdefrs"),
        ("targetLevel", "g", "abcdefghrs"),
        ("targetLevel", "a", "ar"),
        ("", "b", "abcrs"),
        ("targetLevel", "x", "abcdefghrs"),
        *((option, "nobody", "") for option in SELECTIONS),
    ],
)
def test_what_a_fork_takes(option: str, target: str, expected: str) -> None:
    assert letters(SELECTIONS[option](tree(), target)) == expected


def test_a_tree_without_roots_begins_at_the_target() -> None:
    shape = {"p": "gone", "q": "p", "z": "q"}
    assert letters(SELECTIONS["targetLevel"](tree(shape), "q")) == "q"
    assert letters(SELECTIONS["targetLevel"](tree({"p": None}), "p")) == "p"


def test_splitting_leaves_out_what_is_above() -> None:
    split = split_at(tree(), "b")
    assert letters(split) == "bcdefghsx"
    roots = [message["messageId"] for message in split if message["parentMessageId"] == NO_PARENT]
    assert roots == ["b", "c", "s"]
    assert letters(SELECTIONS["directPath"](split, "g")) == "bdg"
    assert letters(SELECTIONS["targetLevel"](split, "e")) == "bcdefs"
    assert split_at(tree(), "nobody") == []
    assert split_at(tree(), "x") == []


@pytest.mark.parametrize("option", list(SELECTIONS))
def test_circles_end(option: str) -> None:
    shape = {"a": "c", "b": "a", "c": "b", "d": "d", "e": NO_PARENT}
    for target in "abcde":
        SELECTIONS[option](tree(shape), target)
        split_at(tree(shape), target)
    copies = cloned(tree(shape))
    assert len(copies) == 5
    known = {NO_PARENT}
    for copy in copies:
        assert copy["parentMessageId"] in known
        known.add(copy["messageId"])
    with pytest.raises(CycleError):
        cloned(tree(shape), cut_cycles=False)


def test_deep_trees_need_no_stack() -> None:
    shape = {"0": NO_PARENT, **{str(number): str(number - 1) for number in range(1, 50_000)}}
    messages = tree(shape)
    for option in SELECTIONS:
        SELECTIONS[option](messages, "49999")
    assert len(cloned(list(reversed(messages)))) == 50_000


def test_clones_are_later_than_their_parents(world: Any) -> None:
    moment = world.ago(days=1)
    rows = [
        {"messageId": "late", "parentMessageId": "root", "createdAt": moment - timedelta(hours=1)},
        {
            "messageId": "root",
            "parentMessageId": NO_PARENT,
            "createdAt": moment,
            "unfinished": True,
            "attachments": [{"messageId": "root", "toolCallId": "t"}, {"messageId": "x"}, 7],
        },
        {"messageId": "lost", "parentMessageId": "gone", "createdAt": moment, "endpoint": "Fake"},
    ]
    root, late, lost = cloned(rows, endpoint="openAI")
    assert (root["parentMessageId"], root["createdAt"]) == (NO_PARENT, moment)
    assert root["unfinished"] is False
    assert root["attachments"][0] == {"messageId": root["messageId"], "toolCallId": "t"}
    assert root["attachments"][1:] == [{"messageId": "x"}, 7]
    assert late["parentMessageId"] == root["messageId"]
    assert late["createdAt"] == moment + timedelta(milliseconds=1)
    assert lost["parentMessageId"] == late["messageId"]
    assert (root["endpoint"], lost["endpoint"]) == ("openAI", "Fake")


async def chat(world: Any, **fields: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A conversation of Alice with the messages of `TREE`, and these by letter."""
    stored = await world.conversation(world.alice.id, **fields)
    ids = {name: str(uuid4()) for name in TREE}
    rows = {}
    for number, (name, parent) in enumerate(TREE.items()):
        rows[name] = await world.message(
            world.alice.id,
            stored["conversationId"],
            messageId=ids[name],
            parentMessageId=ids.get(parent, parent),
            text=name,
            tokenCount=number,
            createdAt=world.ago(hours=1, seconds=-number),
        )
    return stored, rows


async def test_a_fork(world: Any) -> None:
    project = str(ObjectId())
    stored, rows = await chat(
        world,
        title="Source",
        tags=["t"],
        chatProjectId=project,
        pinned=True,
        isArchived=True,
        archivedAt=world.ago(days=1),
        temperature=0.5,
        subagentThread={"parentConversationId": "p"},
        subagentThreadLease={"token": "secret"},
    )
    answer = await world.alice.call(
        "POST",
        "/api/convos/fork",
        {
            "conversationId": stored["conversationId"],
            "messageId": rows["d"]["messageId"],
            "option": "directPath",
            "splitAtTarget": False,
            "latestMessageId": rows["g"]["messageId"],
        },
    )
    assert answer.status_code == 200
    body = answer.json()
    conversation, messages = body["conversation"], body["messages"]
    assert conversation["conversationId"] != stored["conversationId"]
    assert (conversation["title"], conversation["tags"]) == ("Source", ["t"])
    assert (conversation["chatProjectId"], conversation["pinned"]) == (project, True)
    assert (conversation["isArchived"], conversation.get("archivedAt")) == (False, None)
    assert conversation["temperature"] == 0.5
    assert not conversation.keys() & {"subagentThread", "subagentThreadLease"}
    assert conversation["createdAt"] == conversation["updatedAt"]
    assert [message["text"] for message in messages] == ["a", "b", "d"]
    assert conversation["messages"] == [message["_id"] for message in messages]
    parents = [message["parentMessageId"] for message in messages]
    assert parents == [NO_PARENT, messages[0]["messageId"], messages[1]["messageId"]]
    assert not {message["messageId"] for message in messages} & {
        row["messageId"] for row in rows.values()
    }
    assert "_meiliIndex" not in messages[0]
    assert messages[1]["tokenCount"] == 1
    assert messages[1]["updatedAt"] == rows["b"]["updatedAt"].isoformat()[:19] + ".000Z"
    opened = await world.alice.get(f"/api/convos/{conversation['conversationId']}")
    assert opened.json() == conversation
    assert world.witness.of(ConversationsAdded) == [
        ConversationsAdded(world.alice.id, [conversation["conversationId"]], [project])
    ]
    assert await world.stored("conversations", _id=stored["_id"]) == stored


@pytest.mark.parametrize(
    ("option", "expected"),
    [("targetLevel", "bcdefs"), ("includeBranches", "bde"), ("directPath", "be"), (None, "bcdefs")],
)
async def test_a_fork_from_the_target_on(world: Any, option: Any, expected: str) -> None:
    stored, rows = await chat(world)
    answer = await world.alice.call(
        "POST",
        "/api/convos/fork",
        {
            "conversationId": stored["conversationId"],
            "messageId": rows["b"]["messageId"],
            "option": option,
            "splitAtTarget": True,
            "latestMessageId": rows["e"]["messageId"],
        },
    )
    assert answer.status_code == 200
    assert "".join(message["text"] for message in answer.json()["messages"]) == expected


async def test_a_duplicate(world: Any) -> None:
    stored, _ = await chat(world, title="Source")
    path, body = "/api/convos/duplicate", {"conversationId": stored["conversationId"]}
    for title, expected in (("Named", "Named"), ("", "Source"), ("  ", "Source"), (None, "Source")):
        answer = await world.alice.call("POST", path, {**body, "title": title})
        assert answer.status_code == 201
        assert answer.json()["conversation"]["title"] == expected
    # The newest message hangs on nothing, so everything that hangs on a root is taken.
    assert "".join(row["text"] for row in answer.json()["messages"]) == "abcdefghrs"


async def test_a_copy_of_a_temporary_chat(world: Any) -> None:
    expires = world.ago(hours=-3)
    stored = await world.conversation(world.alice.id, isTemporary=True, expiredAt=expires)
    row = await world.message(
        world.alice.id, stored["conversationId"], isTemporary=True, expiredAt=expires
    )
    answer = await world.alice.call(
        "POST", "/api/convos/duplicate", {"conversationId": row["conversationId"]}
    )
    copy = answer.json()["conversation"]
    for name in ("conversations", "messages"):
        found = await world.stored(name, conversationId=copy["conversationId"])
        assert (found["isTemporary"], found["expiredAt"]) == (True, expires)


async def test_what_cannot_be_copied(open_world: Any) -> None:
    environment = {"FORK_USER_MAX": "99", "FORK_IP_MAX": "99"}
    async with open_world(environment=environment) as world:
        await refused_copies(world)


async def refused_copies(world: Any) -> None:
    stored, rows = await chat(world)
    empty = await world.conversation(world.alice.id)
    fork, duplicate = "/api/convos/fork", "/api/convos/duplicate"
    good = {"conversationId": stored["conversationId"], "messageId": rows["d"]["messageId"]}
    unknown = {"conversationId": str(uuid4()), "messageId": rows["d"]["messageId"]}
    for person, path, body, status in (
        (world.alice, fork, unknown, 404),
        (world.bob, fork, good, 404),
        (world.bob, duplicate, good, 404),
        (world.alice, fork, {**good, "messageId": str(uuid4())}, 404),
        (world.alice, fork, {**good, "splitAtTarget": True}, 400),
        (world.alice, fork, {**good, "splitAtTarget": True, "latestMessageId": "x"}, 404),
        (world.alice, fork, {**good, "option": "default"}, 400),
        (world.alice, fork, {**good, "option": {"$ne": 1}}, 400),
        (world.alice, fork, {**good, "option": ["directPath"]}, 400),
        (world.alice, fork, {**good, "messageId": {"$ne": "x"}}, 400),
        (world.alice, fork, {**good, "messageId": ["x"]}, 400),
        (world.alice, fork, {"messageId": "x"}, 400),
        (world.alice, fork, {**good, "conversationId": {"$gt": ""}}, 400),
        (world.alice, duplicate, {}, 400),
        (world.alice, duplicate, {"conversationId": 7}, 400),
        (world.alice, duplicate, {**good, "title": {"x": 1}}, 400),
        (world.alice, duplicate, {"conversationId": empty["conversationId"]}, 404),
        (world.alice, duplicate, [1], 400),
    ):
        answer = await person.call("POST", path, body)
        assert answer.status_code == status, (path, body)
        if isinstance(body, dict):
            assert isinstance(answer.json()["error"], str)
    # Another user's conversation answers as one that does not exist.
    foreign = await world.bob.call("POST", fork, good)
    random = await world.bob.call("POST", fork, unknown)
    assert foreign.json() == random.json()
    assert await world.collection("conversations").count_documents({}) == 2


class Violations(Plugin):
    """Remembers refused requests; for tests only."""

    name = "violations"
    summary = "Remembers refused requests"

    def __init__(self) -> None:
        self.facts: list[LimitExceeded] = []

    @hook
    def subscriptions(self) -> list[On]:
        async def seen(fact: LimitExceeded) -> None:
            self.facts.append(fact)

        return [On(LimitExceeded, seen)]


async def test_forks_and_duplicates_share_a_limit(open_world: Any) -> None:
    violations = Violations()
    environment = {"FORK_USER_MAX": "2", "FORK_IP_MAX": "3", "FORK_VIOLATION_SCORE": "5"}
    async with open_world(violations, environment=environment) as world:
        statuses = []
        for person, path in (
            (world.alice, "fork"),
            (world.alice, "duplicate"),
            (world.alice, "fork"),
            (world.bob, "fork"),
        ):
            answer = await person.call("POST", f"/api/convos/{path}", {})
            statuses.append(answer.status_code)
        assert statuses == [400, 400, 429, 429]
        assert answer.json() == {"message": "Too many requests. Try again later"}
        assert "retry-after" in answer.headers
        told = [(fact.limit, fact.violation, fact.score) for fact in violations.facts]
        assert told == [
            ("fork_user_limiter", "file_upload_limit", 5),
            ("fork_ip_limiter", "file_upload_limit", 5),
        ]
