"""Renaming, archiving, pinning, and whose conversations (contract convos §2.4 to §2.6)."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from locutory import Fact, LimitExceeded, On, Plugin, hook
from locutory_contracts.conversations import ConversationSaved

CHANGES: dict[str, tuple[dict[str, Any], int]] = {
    "/api/convos/update": ({"title": "New"}, 201),
    "/api/convos/archive": ({"isArchived": True}, 200),
    "/api/convos/pin": ({"pinned": True}, 200),
}


def arg(conversation: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"arg": {"conversationId": conversation["conversationId"], **fields}}


async def test_rename_trims_cuts_and_moves_updated_at(world: Any) -> None:
    stored = await world.conversation(world.alice.id, updatedAt=world.ago(days=1), pinned=True)
    answer = await world.alice.call(
        "POST", "/api/convos/update", arg(stored, title="  " + "x" * 2000 + "  ")
    )
    assert answer.status_code == 201
    body = answer.json()
    assert body["title"] == "x" * 1024
    assert body["_id"] == str(stored["_id"])
    assert body["pinned"] is True
    assert "_meiliIndex" not in body
    document = await world.stored("conversations", _id=stored["_id"])
    assert document["updatedAt"] > stored["updatedAt"]
    assert document["createdAt"] == stored["createdAt"]
    (fact,) = world.witness.of(ConversationSaved)
    assert (fact.user, fact.created) == (world.alice.id, False)
    assert fact.conversation["title"] == "x" * 1024


async def test_rename_errors(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    cases = [
        ({"arg": {"title": "x"}}, "conversationId is required"),
        ({"arg": {"conversationId": "", "title": "x"}}, "conversationId is required"),
        ({"arg": {"conversationId": {"$gt": ""}, "title": "x"}}, "conversationId is required"),
        ({}, "conversationId is required"),
        ({"arg": [1]}, "conversationId is required"),
        (arg(stored), "title is required"),
        (arg(stored, title=None), "title must be a string"),
        (arg(stored, title=5), "title must be a string"),
        (arg(stored, title={"$gt": ""}), "title must be a string"),
    ]
    for body, text in cases:
        answer = await world.alice.call("POST", "/api/convos/update", body)
        assert (answer.status_code, answer.json()) == (400, {"error": text}), body
    answer = await world.alice.call(
        "POST", "/api/convos/update", {"arg": {"conversationId": str(uuid4()), "title": "x"}}
    )
    assert (answer.status_code, answer.json()) == (404, {"error": "Conversation not found"})
    assert await world.collection("conversations").count_documents({}) == 1


async def test_archive_and_pin_leave_updated_at(world: Any) -> None:
    stored = await world.conversation(world.alice.id, updatedAt=world.ago(days=9))
    archived = (
        await world.alice.call("POST", "/api/convos/archive", arg(stored, isArchived=True))
    ).json()
    assert archived["isArchived"] is True
    first = archived["archivedAt"]
    assert datetime.fromisoformat(first) >= stored["createdAt"]
    again = await world.alice.call("POST", "/api/convos/archive", arg(stored, isArchived=True))
    assert again.status_code == 200
    assert again.json()["archivedAt"] == first
    back = await world.alice.call("POST", "/api/convos/archive", arg(stored, isArchived=False))
    assert back.json()["archivedAt"] is None
    assert back.json()["isArchived"] is False
    for pinned in (True, False):
        answer = await world.alice.call("POST", "/api/convos/pin", arg(stored, pinned=pinned))
        assert answer.status_code == 200
        assert answer.json()["pinned"] is pinned
    document = await world.stored("conversations", _id=stored["_id"])
    assert document["updatedAt"] == stored["updatedAt"]


async def test_an_old_archive_without_date_stays_without(world: Any) -> None:
    stored = await world.conversation(world.alice.id, isArchived=True)
    answer = await world.alice.call("POST", "/api/convos/archive", arg(stored, isArchived=True))
    assert "archivedAt" not in answer.json()


async def test_archive_and_pin_errors(world: Any) -> None:
    stored = await world.conversation(world.alice.id)
    cases = [
        ("archive", {"arg": {"isArchived": True}}, 400, "conversationId is required"),
        ("archive", arg(stored), 400, "isArchived must be a boolean"),
        ("archive", arg(stored, isArchived="true"), 400, "isArchived must be a boolean"),
        ("archive", arg(stored, isArchived={"$ne": 1}), 400, "isArchived must be a boolean"),
        ("pin", {"arg": {"pinned": True}}, 400, "conversationId is required"),
        ("pin", arg(stored), 400, "pinned is required"),
        ("pin", arg(stored, pinned=1), 400, "pinned must be a boolean"),
        ("pin", arg(stored, pinned=None), 400, "pinned must be a boolean"),
        (
            "archive",
            {"arg": {"conversationId": "new", "isArchived": True}},
            404,
            "Conversation not found",
        ),
        ("pin", {"arg": {"conversationId": "x", "pinned": True}}, 404, "Conversation not found"),
    ]
    for route, body, status, text in cases:
        answer = await world.alice.call("POST", f"/api/convos/{route}", body)
        assert (answer.status_code, answer.json()) == (status, {"error": text}), body


class Ledger(Plugin):
    name = "ledger"
    summary = "Keeps violations; for tests only"

    def __init__(self) -> None:
        self.seen: list[Fact] = []

    @hook
    def subscriptions(self) -> list[On]:
        async def note(fact: LimitExceeded) -> None:
            self.seen.append(fact)

        return [On(LimitExceeded, note)]


@pytest.mark.parametrize("path", CHANGES)
async def test_somebody_elses_conversation_is_refused(open_world: Any, path: str) -> None:
    ledger = Ledger()
    async with open_world(ledger, environment={"CONVO_ACCESS_VIOLATION_SCORE": "3"}) as world:
        stored = await world.conversation(world.alice.id)
        fields, _ = CHANGES[path]
        for given in (fields, {}):  # also when the rest is wrong
            answer = await world.bob.call("POST", path, arg(stored, **given))
            assert answer.status_code == 403
            assert answer.json() == {"error": "User not authorized for this conversation"}
        assert await world.stored("conversations", _id=stored["_id"]) == stored
        (fact, _) = ledger.seen
        assert isinstance(fact, LimitExceeded)
        assert (fact.violation, fact.score, fact.user) == ("convo_access", 3, world.bob.id)


@pytest.mark.parametrize("path", CHANGES)
async def test_two_users_may_have_one_id(world: Any, path: str) -> None:
    first = await world.conversation(world.alice.id)
    await world.conversation(world.bob.id, conversationId=first["conversationId"])
    fields, status = CHANGES[path]
    answer = await world.bob.call("POST", path, arg(first, **fields))
    assert answer.status_code == status
    assert answer.json()["user"] == world.bob.id
    assert await world.stored("conversations", _id=first["_id"]) == first


async def test_archive_all(world: Any) -> None:
    plain = await world.conversation(world.alice.id, updatedAt=world.ago(days=2))
    legacy = await world.conversation(world.alice.id, isArchived=...)
    done = await world.conversation(world.alice.id, isArchived=True, archivedAt=world.ago(days=4))
    temporary = await world.conversation(
        world.alice.id, isTemporary=True, expiredAt=world.ago(days=-1)
    )
    foreign = await world.conversation(world.bob.id)
    answer = await world.alice.call("POST", "/api/convos/archive/all", {"ignored": {"$gt": 1}})
    assert (answer.status_code, answer.json()) == (200, {"archivedCount": 2})
    rows = [await world.stored("conversations", _id=row["_id"]) for row in (plain, legacy)]
    assert rows[0]["archivedAt"] == rows[1]["archivedAt"]
    assert all(row["isArchived"] is True for row in rows)
    assert rows[0]["updatedAt"] == plain["updatedAt"]
    for untouched in (done, temporary, foreign):
        assert await world.stored("conversations", _id=untouched["_id"]) == untouched
    assert len(world.witness.of(ConversationSaved)) == 2
    answer = await world.alice.call("POST", "/api/convos/archive/all")
    assert answer.json() == {"archivedCount": 0}
