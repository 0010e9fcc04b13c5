"""The three routes (contract presets)."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from bson import ObjectId

SETTINGS = {"title": "My preset", "endpoint": "Fake", "model": "fake-1", "temperature": 0.5}


async def test_nothing_at_first(world: Any) -> None:
    assert await world.alice.presets() == []


async def test_a_new_preset_is_whole(world: Any) -> None:
    """201 with the defaults of the collection; the list shows the same."""
    made = await world.alice.save(**SETTINGS, endpointType="custom")
    assert UUID(made["presetId"]).version == 4
    assert ObjectId.is_valid(made["_id"])
    assert made == {
        **SETTINGS,
        "endpointType": "custom",
        "_id": made["_id"],
        "presetId": made["presetId"],
        "user": world.alice.id,
        "__v": 0,
        "isArchived": False,
        "tags": [],
        "createdAt": made["updatedAt"],
        "updatedAt": made["updatedAt"],
    }
    assert await world.alice.presets() == [made]
    stored = await world.collection.find_one({"presetId": made["presetId"]})
    assert stored["user"] == world.alice.id
    assert isinstance(stored["createdAt"], datetime)


async def test_no_title_and_no_endpoint(world: Any) -> None:
    made = await world.alice.save(presetId=None)
    assert (made["title"], made["endpoint"]) == ("New Chat", None)
    assert "defaultPreset" not in made
    assert "order" not in made


async def test_a_write_keeps_what_it_does_not_name(world: Any) -> None:
    made = await world.alice.save(**SETTINGS)
    again = await world.alice.save(presetId=made["presetId"], title="Other", top_p=None)
    assert again == made | {"title": "Other", "top_p": None, "updatedAt": again["updatedAt"]}
    assert again["updatedAt"] >= made["updatedAt"]
    assert len(await world.alice.presets()) == 1


async def test_a_chosen_id(world: Any) -> None:
    chosen = str(uuid4())
    assert (await world.alice.save(presetId=chosen))["presetId"] == chosen


async def test_what_is_not_a_presets_is_dropped(world: Any) -> None:
    """The user above all: the client refetches without end when it is not its own."""
    made = await world.alice.save(
        user=world.bob.id,
        tenantId="t",
        _id=str(ObjectId()),
        createdAt="2020-01-01",
        messages=["x"],
        secret=1,
        __v=7,
    )
    assert made["user"] == world.alice.id
    assert made["__v"] == 0
    assert not {"tenantId", "messages", "secret"} & made.keys()
    assert not made["createdAt"].startswith("2020")
    assert await world.bob.presets() == []


async def test_tools_become_names(world: Any) -> None:
    tools = ["a", {"pluginKey": "b", "name": "B"}, {"name": "c"}, 5, None, {"pluginKey": 1}]
    assert (await world.alice.save(tools=tools))["tools"] == ["a", "b"]


async def test_values_of_forms(world: Any) -> None:
    made = await world.alice.save(temperature="0.5", topK="40", resendFiles="true", stop="END")
    assert (made["temperature"], made["topK"]) == (0.5, 40)
    assert (made["resendFiles"], made["stop"]) == (True, ["END"])
    emptied = await world.alice.save(presetId=made["presetId"], temperature="", topK=" 7 ")
    assert (emptied["temperature"], emptied["topK"]) == (None, 7)


async def test_renaming(world: Any) -> None:
    made = await world.alice.save(**SETTINGS)
    new = str(uuid4())
    renamed = await world.alice.save(presetId=made["presetId"], newPresetId=new)
    assert renamed == made | {"presetId": new, "updatedAt": renamed["updatedAt"]}
    assert [row["presetId"] for row in await world.alice.presets()] == [new]
    repeated = await world.alice.save(presetId=made["presetId"], newPresetId=new)
    assert repeated["_id"] == made["_id"]


async def test_an_id_that_is_taken(world: Any) -> None:
    """409, whoever has it, and nothing changes."""
    theirs = await world.bob.save(title="Bob's")
    mine, other = await world.alice.save(title="Mine"), await world.alice.save(title="Other")
    for body in (
        {"presetId": theirs["presetId"], "title": "stolen"},
        {"presetId": mine["presetId"], "newPresetId": theirs["presetId"], "title": "stolen"},
        {"presetId": mine["presetId"], "newPresetId": other["presetId"], "title": "stolen"},
    ):
        answer = await world.alice.call("POST", "/api/presets", body)
        assert answer.status_code == 409
        assert answer.json() == {"message": "There was an error when saving the preset"}
    assert await world.bob.presets() == [theirs]
    assert {row["title"] for row in await world.alice.presets()} == {"Mine", "Other"}


async def test_only_one_default(world: Any) -> None:
    first = await world.alice.save(title="1", defaultPreset=True)
    assert (first["defaultPreset"], first["order"]) == (True, 0)
    second = await world.alice.save(title="2")
    await world.bob.save(defaultPreset=True)
    second = await world.alice.save(presetId=second["presetId"], defaultPreset=True, order=9)
    assert second["order"] == 0
    rows = await world.alice.presets()
    assert [(row["title"], row.get("defaultPreset"), row.get("order")) for row in rows] == [
        ("2", True, 0),
        ("1", None, None),
    ]
    assert (await world.bob.presets())[0]["defaultPreset"] is True
    kept = await world.alice.save(presetId=second["presetId"], title="2b")
    assert kept["defaultPreset"] is True
    # What the client sends to take it away: the whole preset, its order too.
    cleared = await world.alice.save(**{**kept, "defaultPreset": False})
    assert not {"defaultPreset", "order"} & cleared.keys()


async def test_defaults_at_the_same_time(world: Any) -> None:
    made = [await world.alice.save(title=str(number)) for number in range(8)]
    await asyncio.gather(
        *(world.alice.save(presetId=one["presetId"], defaultPreset=True) for one in made)
    )
    rows = await world.alice.presets()
    assert [row.get("defaultPreset") for row in rows] == [True] + [None] * 7


async def test_two_defaults_are_repaired(world: Any) -> None:
    """As LibreChat's race, or a crash of ours between two writes, may leave them."""
    for title in ("old", "new"):
        await world.alice.save(title=title)
    await world.collection.update_many({}, {"$set": {"defaultPreset": True, "order": 0}})
    for _ in range(2):
        rows = await world.alice.presets()
        assert [(row["title"], "defaultPreset" in row) for row in rows] == [
            ("new", True),
            ("old", False),
        ]
    assert await world.collection.count_documents({"defaultPreset": True}) == 1


async def test_order(world: Any) -> None:
    """By order, absent ones last; among equals the one changed last."""
    orders = {"a": 3, "b": None, "c": 1, "d": 1, "e": "x"}
    for day, (title, order) in enumerate(orders.items(), 1):
        moment = datetime(2026, 1, day, tzinfo=UTC)
        row = {"presetId": title, "user": world.alice.id, "title": title, "updatedAt": moment}
        await world.collection.insert_one(row if order is None else {**row, "order": order})
    await world.collection.insert_one({"presetId": "f", "user": world.alice.id, "title": "f"})
    assert [row["title"] for row in await world.alice.presets()] == ["d", "c", "a", "e", "b", "f"]


async def test_deleting_one(world: Any) -> None:
    mine, kept = await world.alice.save(), await world.alice.save()
    theirs = await world.bob.save()
    for wanted, count in ((mine, 1), (mine, 0), (theirs, 0), ({"presetId": "unknown"}, 0)):
        answer = await world.alice.call("POST", "/api/presets/delete", wanted)
        assert answer.status_code == 201
        assert answer.json() == {"acknowledged": True, "deletedCount": count}
    assert await world.alice.presets() == [kept]
    assert await world.bob.presets() == [theirs]


async def test_deleting_all(world: Any) -> None:
    bodies: list[dict[str, Any]] = [{}, {"json": {}}]
    for options in bodies:
        for _ in range(3):
            await world.alice.save()
        theirs = await world.bob.save()
        answer = await world.alice.call("POST", "/api/presets/delete", **options)
        assert (answer.status_code, answer.json()["deletedCount"]) == (201, 3)
        assert await world.alice.presets() == []
        assert theirs in await world.bob.presets()


async def test_parallel_writes_of_one_new_preset(world: Any) -> None:
    """Both ends of a race succeed, and there is one preset."""
    chosen = str(uuid4())
    saved = await asyncio.gather(
        *(world.alice.save(presetId=chosen, title=str(number)) for number in range(10))
    )
    assert {row["presetId"] for row in saved} == {chosen}
    assert len(await world.alice.presets()) == 1
