"""The six routes (contract projects §2)."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

NOT_FOUND = {"error": "Project not found"}


async def test_nothing_at_first(world: Any) -> None:
    assert await world.alice.page() == {"projects": [], "nextCursor": None}


async def test_a_new_project(world: Any) -> None:
    made = await world.alice.create("Garden")
    assert made == {
        "_id": made["_id"],
        "name": "Garden",
        "description": "",
        "user": world.alice.id,
        "conversationCount": 0,
        "lastConversationAt": None,
        "lastConversationId": None,
        "createdAt": made["updatedAt"],
        "updatedAt": made["updatedAt"],
        "__v": 0,
    }
    assert await world.alice.page() == {"projects": [made], "nextCursor": None}
    assert await world.alice.project(made["_id"]) == made
    assert await world.bob.names() == []
    await world.alice.create("Garden")
    assert await world.alice.names() == ["Garden", "Garden"]


async def test_texts_are_trimmed_and_cut(world: Any) -> None:
    made = await world.alice.create("  a  ", description="  text ")
    assert (made["name"], made["description"]) == ("a", "text")
    made = await world.alice.create("n" * 101, description="d" * 1001)
    assert (made["name"], made["description"]) == ("n" * 100, "d" * 1000)
    made = await world.alice.create("x" * 99 + " y")
    assert made["name"] == "x" * 99
    # LibreChat counts UTF-16 units, and would refuse to save what is longer.
    assert (await world.alice.create("\U0001f600" * 80))["name"] == "\U0001f600" * 50
    assert (await world.alice.create("x" + "\U0001f600" * 80))["name"] == "x" + "\U0001f600" * 49


@pytest.mark.parametrize("name", [..., None, "", "  \n", 5, {}, [], True, {"$ne": ""}], ids=str)
async def test_a_name_is_required(world: Any, name: Any) -> None:
    made = await world.alice.create("kept")
    body = {} if name is ... else {"name": name}
    answers = [await world.alice.call("POST", "/api/projects", body)]
    if body:
        answers.append(await world.alice.call("PATCH", f"/api/projects/{made['_id']}", body))
    for answer in answers:
        assert (answer.status_code, answer.json()) == (400, {"error": "name is required"})
    assert (await world.alice.page())["projects"] == [made]


async def test_changing(world: Any) -> None:
    made = await world.alice.create("one", description="text")
    path = f"/api/projects/{made['_id']}"

    async def changed(body: Any) -> dict[str, Any]:
        answer = await world.alice.call("PATCH", path, body)
        assert answer.status_code == 200
        return dict(answer.json())

    assert await changed({}) == made
    assert await changed({"user": world.bob.id, "conversationCount": 9, "x": 1}) == made
    found = await changed({"name": " two "})
    assert found == made | {"name": "two", "updatedAt": found["updatedAt"]}
    assert (await changed({"description": "new"}))["description"] == "new"
    assert (await changed({"description": 5}))["description"] == ""


async def test_moving_a_conversation(world: Any) -> None:
    """In, to another one, out again. It does not move in the sidebar."""
    talk = await world.conversation(world.alice.id, tags=["x"], _meiliIndex=True)
    before = await world.stored(talk)
    first, second = [await world.alice.create(name) for name in ("first", "second")]
    answer = await world.alice.assign(talk, first["_id"])
    conversation = answer.pop("conversation")
    assert answer == {"previousProjectId": None, "projectId": first["_id"]}
    assert conversation["chatProjectId"] == first["_id"]
    assert (conversation["conversationId"], conversation["tags"]) == (talk, ["x"])
    assert "_meiliIndex" not in conversation
    assert await world.alice.counted(first["_id"]) == (1, talk)
    answer = await world.alice.assign(talk, second["_id"])
    assert (answer["previousProjectId"], answer["projectId"]) == (first["_id"], second["_id"])
    assert await world.alice.counted(first["_id"]) == (0, None)
    assert await world.alice.counted(second["_id"]) == (1, talk)
    for nothing in (None, ""):
        answer = await world.alice.assign(talk, nothing)
        assert answer["projectId"] is None
        assert "chatProjectId" not in answer["conversation"]
    assert answer["previousProjectId"] is None
    assert await world.alice.counted(second["_id"]) == (0, None)
    stored = await world.stored(talk)
    assert stored == before
    await world.alice.assign(talk, second["_id"])
    answer = await world.alice.call("PUT", f"/api/projects/conversations/{talk}", {})
    assert (answer.status_code, answer.json()["previousProjectId"]) == (200, second["_id"])
    assert "chatProjectId" not in await world.stored(talk)


async def test_moving_to_where_it_is(world: Any) -> None:
    talk = await world.conversation(world.alice.id)
    made = await world.alice.create("one")
    await world.alice.assign(talk, made["_id"])
    await world.collection.update_one({}, {"$set": {"conversationCount": 5}})
    answer = await world.alice.assign(talk, made["_id"].upper())
    assert (answer["previousProjectId"], answer["projectId"]) == (made["_id"], made["_id"])
    assert await world.alice.counted(made["_id"]) == (1, talk)


@pytest.mark.parametrize("wrong", [5, {}, [], True, {"$ne": None}, ["x"]], ids=str)
async def test_a_project_id_is_text(world: Any, wrong: Any) -> None:
    talk = await world.conversation(world.alice.id)
    for identity in (talk, str(uuid4())):
        answer = await world.alice.call(
            "PUT", f"/api/projects/conversations/{identity}", {"projectId": wrong}
        )
        assert answer.status_code == 400
        assert answer.json() == {"error": "projectId must be a string or null"}


async def test_moving_what_is_not_yours(world: Any) -> None:
    """Another user's ids answer as unknown ones."""
    theirs = await world.conversation(world.bob.id)
    mine = await world.conversation(world.alice.id)
    project, foreign = await world.alice.create("mine"), await world.bob.create("theirs")
    for talk in (theirs, str(uuid4())):
        for wanted in (project["_id"], foreign["_id"], None, "x"):
            answer = await world.alice.call(
                "PUT", f"/api/projects/conversations/{talk}", {"projectId": wanted}
            )
            assert answer.status_code == 404
            assert answer.json() == {"error": "Conversation not found"}
    for wanted in (foreign["_id"], str(ObjectId()), "x", "\U0001f600" * 12, "a" * 12, "z" * 24):
        answer = await world.alice.call(
            "PUT", f"/api/projects/conversations/{mine}", {"projectId": wanted}
        )
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert "chatProjectId" not in await world.stored(mine)
    assert "chatProjectId" not in await world.stored(theirs)
    assert await world.bob.counted(foreign["_id"]) == (0, None)


async def test_deleting(world: Any) -> None:
    project, other = await world.alice.create("gone"), await world.alice.create("kept")
    talks = [await world.conversation(world.alice.id) for _ in range(3)]
    archived = await world.conversation(
        world.alice.id, chatProjectId=project["_id"], isArchived=True
    )
    for talk in talks:
        await world.alice.assign(talk, project["_id"])
    before = await world.stored(talks[0])
    await world.alice.assign(talks[2], other["_id"])
    answer = await world.alice.call("DELETE", f"/api/projects/{project['_id']}")
    assert answer.status_code == 200
    assert answer.json() == {"deletedCount": 1, "modifiedCount": 3}
    assert (await world.alice.call("GET", f"/api/projects/{project['_id']}")).status_code == 404
    after = await world.stored(talks[0])
    assert before.pop("chatProjectId") == project["_id"]
    assert after == before
    assert "chatProjectId" not in await world.stored(archived)
    assert await world.alice.counted(other["_id"]) == (1, talks[2])
    again = await world.alice.call("DELETE", f"/api/projects/{project['_id']}")
    assert (again.status_code, again.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_projects(world: Any, method: str) -> None:
    """Those of others, and ids of a wrong form, are as unknown."""
    theirs = await world.bob.create("theirs")
    for identity in (theirs["_id"], str(ObjectId()), "x", "z" * 24, "conversations", "%24ne"):
        body = {"name": "stolen"} if method == "PATCH" else ...
        answer = await world.alice.call(method, f"/api/projects/{identity}", body)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert await world.bob.project(theirs["_id"]) == theirs


async def test_moving_into_what_is_being_deleted(world: Any) -> None:
    """No conversation is left in a project that is gone."""
    for _ in range(5):
        project = await world.alice.create("short")
        talks = [await world.conversation(world.alice.id) for _ in range(6)]
        path = f"/api/projects/{project['_id']}"
        await asyncio.gather(
            world.alice.call("DELETE", path),
            *(
                world.alice.call(
                    "PUT",
                    f"/api/projects/conversations/{talk}",
                    {"projectId": project["_id"]},
                )
                for talk in talks
            ),
        )
        assert (await world.alice.call("GET", path)).status_code == 404
        for talk in talks:
            assert "chatProjectId" not in await world.stored(talk)
