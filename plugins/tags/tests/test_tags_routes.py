"""The five routes (contract tags)."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import pytest

NAMES = (
    *("Saved", "with blank", " kept blanks ", "a/b", "a%2Fb", "100%", "convo", "ünï ☃"),
    *("rebuild", "list", "?x=1", "#hash", "a+b", "...", ".a", "$ne", "a.b", "\U0001f600", "a\nb"),
)


async def test_nothing_at_first(world: Any) -> None:
    assert await world.alice.tags() == []


async def test_a_new_bookmark(world: Any) -> None:
    first = await world.alice.create("one", description="first")
    assert first == {
        "_id": first["_id"],
        "tag": "one",
        "user": world.alice.id,
        "description": "first",
        "count": 0,
        "position": 1,
        "createdAt": first["updatedAt"],
        "updatedAt": first["updatedAt"],
        "__v": 0,
    }
    second = await world.alice.create("two")
    assert second["position"] == 2
    assert "description" not in second
    assert await world.alice.tags() == [first, second]
    assert (await world.bob.create("one"))["position"] == 1


async def test_one_that_is_there_stays_as_it_is(world: Any) -> None:
    conversation = await world.conversation(world.alice.id)
    first = await world.alice.create("one", description="first")
    again = await world.alice.create(
        "one", description="other", addToConversation=True, conversationId=conversation
    )
    assert again == first
    assert await world.carried(conversation) == []


async def test_marking_while_creating(world: Any) -> None:
    """Set semantics, the caller's own conversations only, and no move in the sidebar."""
    conversation = await world.conversation(world.alice.id, "kept", "one")
    before = await world.stored(conversation)
    made = await world.alice.create("one", addToConversation=True, conversationId=conversation)
    assert made["count"] == 1
    assert await world.carried(conversation) == ["kept", "one"]
    assert (await world.stored(conversation))["updatedAt"] == before["updatedAt"]
    other = await world.bob.create("two", addToConversation=True, conversationId=conversation)
    unmarked = await world.alice.create("3", addToConversation=False, conversationId=conversation)
    nowhere = await world.alice.create("4", addToConversation=True)
    assert (other["count"], unmarked["count"], nowhere["count"]) == (0, 0, 0)
    assert await world.carried(conversation) == ["kept", "one"]


async def test_names_survive_the_path(world: Any) -> None:
    """Decoded once: a name may hold anything, ``%2F`` too. Case and blanks count."""
    for name in NAMES:
        await world.alice.create(name)
    await world.alice.create("saved")
    for name in NAMES:
        answer = await world.alice.change(name, description=f"about {name}")
        assert (answer.status_code, answer.json().get("tag")) == (200, name)
    found = {row["tag"]: row.get("description") for row in await world.alice.tags()}
    assert found["a%2Fb"] == "about a%2Fb"
    assert found["saved"] is None


async def test_renaming(world: Any) -> None:
    """In all the caller's conversations, and nobody else's; ``updatedAt`` of them stays."""
    mine = [await world.conversation(world.alice.id, "a", "old", "b") for _ in range(2)]
    theirs = await world.conversation(world.bob.id, "old")
    before = await world.stored(mine[0])
    made = await world.alice.create("old", description="text")
    assert made["count"] == 2
    answer = await world.alice.change("old", tag="new")
    assert answer.status_code == 200
    assert answer.json() == made | {"tag": "new", "updatedAt": answer.json()["updatedAt"]}
    assert [await world.carried(one) for one in mine] == [["a", "new", "b"]] * 2
    assert await world.carried(theirs) == ["old"]
    assert (await world.stored(mine[0]))["updatedAt"] == before["updatedAt"]
    assert (await world.alice.change("old", tag="new")).status_code == 404


async def test_renaming_onto_another(world: Any) -> None:
    conversation = await world.conversation(world.alice.id, "one", "two")
    for tag in ("one", "two"):
        await world.alice.create(tag)
    await world.bob.create("three")
    before = await world.alice.tags()
    answer = await world.alice.change("one", tag="two", description="x", position=2)
    assert answer.status_code == 409
    assert await world.alice.tags() == before
    assert await world.carried(conversation) == ["one", "two"]
    assert (await world.alice.change("one", tag="one")).status_code == 200
    assert (await world.alice.change("one", tag="three")).status_code == 200


async def test_renaming_onto_what_conversations_carry(world: Any) -> None:
    """No bookmark has the name, but a conversation does: one entry, and one count."""
    conversation = await world.conversation(world.alice.id, "new", "old")
    await world.alice.create("old")
    assert (await world.alice.change("old", tag="new")).json()["count"] == 1
    assert await world.carried(conversation) == ["new"]


async def test_describing(world: Any) -> None:
    made = await world.alice.create("one")
    assert (await world.alice.change("one", description="text")).json()["description"] == "text"
    assert (await world.alice.change("one")).json()["description"] == "text"
    assert (await world.alice.change("one", description="")).json()["description"] == ""
    assert (await world.alice.tags())[0]["createdAt"] == made["createdAt"]


@pytest.mark.parametrize(
    ("tag", "to", "order"),
    [
        ("1", 3, "2314"),
        ("4", 1, "4123"),
        ("2", 3, "1324"),
        ("3", 2, "1324"),
        ("2", 2, "1234"),
        ("2", 4, "1342"),
        ("1", 99, "2341"),
        ("3", 2.0, "1324"),
    ],
)
async def test_moving(world: Any, tag: str, to: float, order: str) -> None:
    for name in "1234":
        await world.alice.create(name)
    answer = await world.alice.change(tag, position=to)
    assert answer.json()["position"] == order.index(tag) + 1
    assert await world.alice.places() == {name: at for at, name in enumerate(order, 1)}


async def test_moving_to_the_front(world: Any) -> None:
    """The client counts from 0 after its first drag."""
    for name in "123":
        await world.alice.create(name)
    for to in (0, -5):
        assert (await world.alice.change("3", position=to)).json()["position"] == 0
        assert await world.alice.places() == {"3": 0, "1": 1, "2": 2}
    await world.alice.change("3", position=2)
    assert list(await world.alice.places()) == ["1", "2", "3"]


async def test_moving_and_renaming_at_once(world: Any) -> None:
    """What the client sends after a drag: the whole row."""
    for name in "123":
        await world.alice.create(name)
    row = (await world.alice.tags())[2]
    answer = await world.alice.change("3", **{**row, "tag": "three", "position": 1})
    assert (answer.json()["tag"], answer.json()["position"]) == ("three", 1)
    assert await world.alice.places() == {"three": 1, "1": 2, "2": 3}


async def test_moving_where_librechat_left_gaps(world: Any) -> None:
    for name, position in {"a": 1, "b": 5, "c": 5, "d": 9, "z": 0}.items():
        await world.alice.create(name)
        await world.collection.update_one({"tag": name}, {"$set": {"position": position}})
    await world.alice.change("a", position=9)
    assert await world.alice.places() == {"z": 0, "b": 1, "c": 2, "d": 3, "a": 4}


async def test_deleting(world: Any) -> None:
    conversation = await world.conversation(world.alice.id, "1", "2")
    theirs = await world.conversation(world.bob.id, "2")
    for name in "123":
        await world.alice.create(name)
    answer = await world.alice.call("DELETE", "/api/tags/2")
    assert answer.status_code == 200
    assert (answer.json()["tag"], answer.json()["count"]) == ("2", 1)
    assert await world.alice.places() == {"1": 1, "3": 2}
    assert await world.carried(conversation) == ["1"]
    assert await world.carried(theirs) == ["2"]
    assert (await world.alice.create("4"))["position"] == 3


async def test_unknown_ones(world: Any) -> None:
    """Those of others are as unknown."""
    await world.bob.create("theirs")
    for tag in ("none", "theirs"):
        for answer in (
            await world.alice.change(tag, tag="x", position=1),
            await world.alice.call("DELETE", f"/api/tags/{tag}"),
        ):
            assert answer.status_code == 404
            assert answer.json() == {"error": "Tag not found"}
    assert await world.bob.counts() == {"theirs": 0}


async def test_setting_those_of_a_conversation(world: Any) -> None:
    conversation = await world.conversation(world.alice.id)
    before = await world.stored(conversation)
    await world.alice.create("one")
    assert await world.alice.mark(conversation, ["one", "new", "one"]) == ["one", "new"]
    assert await world.alice.counts() == {"new": 1, "one": 1}
    assert await world.alice.places() == {"new": 0, "one": 1}
    assert await world.alice.mark(conversation, ["new"]) == ["new"]
    assert await world.alice.counts() == {"new": 1, "one": 0}
    assert await world.alice.mark(conversation, []) == []
    assert await world.alice.counts() == {"new": 0, "one": 0}
    assert (await world.stored(conversation))["updatedAt"] == before["updatedAt"]


async def test_a_conversation_of_somebody_else(world: Any) -> None:
    theirs = await world.conversation(world.bob.id, "theirs")
    answers = [
        await world.alice.call("PUT", f"/api/tags/convo/{identity}", {"tags": ["x"]})
        for identity in (theirs, str(uuid4()))
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].text == answers[1].text
    assert await world.carried(theirs) == ["theirs"]
    assert await world.alice.tags() == []


async def test_a_lost_bookmark_comes_back(world: Any) -> None:
    """A crash after the conversation was marked: trying again makes the bookmark."""
    conversation = await world.conversation(world.alice.id, "one")
    assert await world.alice.mark(conversation, ["one"]) == ["one"]
    assert await world.alice.counts() == {"one": 1}


async def test_an_empty_tag_of_librechat_may_stay(world: Any) -> None:
    conversation = await world.conversation(world.alice.id, "", "one")
    assert await world.alice.mark(conversation, ["", "two"]) == ["", "two"]
    other = await world.conversation(world.alice.id)
    answer = await world.alice.call("PUT", f"/api/tags/convo/{other}", {"tags": [""]})
    assert answer.status_code == 400


async def test_creating_one_at_the_same_time(world: Any) -> None:
    conversation = await world.conversation(world.alice.id)
    made = await asyncio.gather(
        *(
            world.alice.create("one", addToConversation=True, conversationId=conversation)
            for _ in range(10)
        )
    )
    assert len({row["_id"] for row in made}) == 1
    assert await world.alice.counts() == {"one": 1}


async def test_many_changes_at_the_same_time(world: Any) -> None:
    """Whatever the order in which they happen, positions are 1, 2, 3 …"""
    names = [str(number) for number in range(8)]
    for name in names:
        await world.alice.create(name)
    chance = random.Random(7)
    moves = [(chance.choice(names[2:]), chance.randint(1, 8)) for _ in range(30)]
    await asyncio.gather(
        *(world.alice.change(name, position=to) for name, to in moves),
        *(world.alice.create(f"new {number}") for number in range(4)),
        *(world.alice.call("DELETE", f"/api/tags/{name}") for name in names[:2]),
    )
    found = await world.alice.places()
    assert sorted(found) == sorted([*names[2:], *(f"new {number}" for number in range(4))])
    assert list(found.values()) == list(range(1, 11))


async def test_two_servers_on_one_database(open_world: Any) -> None:
    """They know nothing of each other; the last writer leaves positions and counts right."""
    name = f"test_{uuid4().hex}"
    async with open_world(database=name) as first, open_world(database=name) as second:
        try:
            people = (first.alice, second.alice)
            second.alice.id = first.alice.id
            names = [str(number) for number in range(6)]
            for tag in names:
                await first.alice.create(tag)
            talks = [await first.conversation(first.alice.id) for _ in range(4)]
            chance = random.Random(3)
            work = [
                person.change(chance.choice(names), position=chance.randint(1, 6))
                for person in people
                for _ in range(10)
            ]
            work += [person.create(f"new {at}") for person in people for at in range(3)]
            for person in people:
                for talk in talks:
                    await person.mark(talk, chance.sample(names, 2))
            await asyncio.gather(*work)
            await asyncio.gather(
                *(person.mark(talk, names[:3]) for person in people for talk in talks)
            )
            assert list((await first.alice.places()).values()) == list(range(1, 10))
            counts = await second.alice.counts()
            assert [counts[tag] for tag in names] == [4, 4, 4, 0, 0, 0]
        finally:
            await first.server.kernel.database.client.drop_database(name)
