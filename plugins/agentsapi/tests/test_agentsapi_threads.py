"""Going on from a response: ``previous_response_id``, references to items, reading (agents-api §5.1, §5.4)."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from locutory_agentsapi.routes.threads import lineage

ONE = ["one", "echo one"]


def texts(it: Any) -> list[str]:
    return [message["content"] for message in it.sent]


@pytest.mark.parametrize("store", [{}, {"store": True}, {"store": None}])
async def test_a_response_is_gone_on_from_at_any_place(program: Any, store: Any) -> None:
    """Also without `store`: the SDKs of agents count on OpenAI's default, which keeps it."""
    async with program() as it:
        first = (await it.respond("one", **store)).json()["id"]
        follow = {"previous_response_id": first}
        second = (await it.respond("two", **store, **follow)).json()
        assert texts(it) == [*ONE, "two"]
        assert second["previous_response_id"] == first
        await it.respond("fork", **store, **follow)
        assert texts(it) == [*ONE, "fork"]
        await it.respond("three", previous_response_id=second["id"])
        assert texts(it) == [*ONE, "two", "echo two", "three"]
        assert await it.stored("messages") == (6 if store.get("store") else 0)
        assert await it.stored("conversations") == (1 if store.get("store") else 0)


async def test_reading_gives_that_response_only(program: Any) -> None:
    async with program() as it:
        first = (await it.respond("one", store=True, instructions="x")).json()
        follow = {"previous_response_id": first["id"]}
        second = (await it.respond("two", store=True, **follow)).json()
        for made in (first, second, (await it.respond("three")).json()):
            found = (await it.get(f"/responses/{made['id']}")).json()
            (item,) = found["output"]
            assert item["id"] == made["output"][0]["id"]
            assert item["content"][0]["text"] == made["output"][0]["content"][0]["text"]
            for name in ("id", "model", "status", "previous_response_id", "instructions", "store"):
                assert found[name] == made[name], name
            for name in ("input_tokens", "output_tokens", "total_tokens"):
                assert found["usage"][name] == made["usage"][name]
            assert abs(found["created_at"] - made["created_at"]) <= 60


async def test_what_a_response_answers_is_listed(program: Any) -> None:
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
    ]
    given = [{"role": "developer", "content": "rules"}, {"role": "user", "content": parts}]
    async with program() as it:
        name = (await it.respond(given)).json()["id"]
        listed = (await it.get(f"/responses/{name}/input_items?order=asc")).json()
        assert [item["role"] for item in listed["data"]] == ["system", "user"]
        assert listed["data"][1]["content"] == parts
        assert (listed["object"], listed["has_more"]) == ("list", False)
        path = f"/responses/{name}/input_items"
        (newest,) = (await it.get(f"{path}?limit=1")).json()["data"]
        assert newest == listed["data"][1]
        (rest,) = (await it.get(f"{path}?limit=x&after={newest['id']}")).json()["data"]
        assert rest == listed["data"][0]
        stored = (await it.respond("two", store=True, previous_response_id=name)).json()["id"]
        (asked,) = (await it.get(f"/responses/{stored}/input_items")).json()["data"]
        assert asked["content"] == [{"type": "input_text", "text": "two"}]
        assert (await it.get("/responses/resp_none/input_items")).status_code == 404


async def test_a_stored_response_outlives_the_memory(program: Any) -> None:
    """What it followed without `store` is stored with it, and the system's words too."""
    async with program(remembered_hours=0) as it:
        given = [
            {"role": "developer", "content": "rules"},
            {"role": "user", "content": "zero"},
            {"role": "assistant", "content": "echo zero"},
            {"role": "user", "content": "one"},
        ]
        first = (await it.respond(given, store=True)).json()["id"]
        second = (await it.respond("two", store=True, previous_response_id=first)).json()["id"]
        await it.respond("fork", store=True, previous_response_id=first)
        await it.respond("three", previous_response_id=second)
        told = ["rules", "zero", "echo zero", *ONE, "two", "echo two", "three"]
        assert texts(it) == told
        (asked,) = (await it.get(f"/responses/{second}/input_items")).json()["data"]
        assert asked["content"][0]["text"] == "two"
        missing = await it.respond("x", previous_response_id=(await it.respond("y")).json()["id"])
        assert missing.status_code == 404
        error = missing.json()["error"]
        assert error["code"] == "previous_response_not_found"
        assert "store: true" in error["message"]


async def test_what_led_to_a_stored_response_is_stored(program: Any) -> None:
    async with program() as it:
        first = (await it.respond("one")).json()["id"]
        second = (await it.respond("two", previous_response_id=first)).json()["id"]
        third = (await it.respond("three", store=True, previous_response_id=second)).json()["id"]
        history = it.server.kernel.services.get(it.conversations)
        document = await history.message(it.user, third)
        branch = await history.branch(it.user, document["conversationId"], third)
        said = [row["text"] for row in branch]
        assert said == [*ONE, "two", "echo two", "three", "echo three"]
        assert [row["isCreatedByUser"] for row in branch] == [True, False] * 3


async def test_a_title_that_its_owner_gave_stays(program: Any) -> None:
    async with program() as it:
        first = (await it.respond("one", store=True)).json()["id"]
        history = it.server.kernel.services.get(it.conversations)
        name = (await history.message(it.user, first))["conversationId"]
        assert (await history.find(it.user, name))["title"] == "Echo"
        await history.save(it.user, name, {"title": "Mine"})
        await it.respond("two", store=True, previous_response_id=first)
        assert (await history.find(it.user, name))["title"] == "Mine"


async def test_nothing_is_kept_of_what_must_not_be(program: Any) -> None:
    async with program() as it:
        name = (await it.respond("one", store=False)).json()["id"]
        assert (await it.get(f"/responses/{name}")).status_code == 404
        assert (await it.respond("two", previous_response_id=name)).status_code == 404


async def test_responses_of_others_are_unknown(program: Any) -> None:
    async with program() as it:
        first = (await it.respond("one")).json()
        it.key = await it.another_key()
        assert (await it.get(f"/responses/{first['id']}")).status_code == 404
        assert (await it.respond("x", previous_response_id=first["id"])).status_code == 404
        reference = {"type": "item_reference", "id": first["output"][0]["id"]}
        await it.respond([reference, {"role": "user", "content": "x"}])
        assert texts(it) == ["x"]


async def test_a_deleted_conversation_is_gone(program: Any) -> None:
    """Also from the memory, and an answer that its owner changed is changed."""
    async with program() as it:
        first = (await it.respond("one", store=True)).json()["id"]
        history = it.server.kernel.services.get(it.conversations)
        document = await history.message(it.user, first)
        await history.save_message(it.user, {**document, "text": "changed"})
        await it.respond("two", previous_response_id=first)
        assert texts(it) == ["one", "changed", "two"]
        gone = await it.session(
            "DELETE", "/api/convos", {"arg": {"conversationId": document["conversationId"]}}
        )
        assert gone.is_success
        assert (await it.get(f"/responses/{first}")).status_code == 404
        assert (await it.respond("two", previous_response_id=first)).status_code == 404


async def test_ids_of_conversations_are_understood(program: Any) -> None:
    """LibreChat's own meaning. Of one with branches the newest counts."""
    async with program() as it:
        first = (await it.respond("one", store=True)).json()["id"]
        history = it.server.kernel.services.get(it.conversations)
        name = (await history.message(it.user, first))["conversationId"]
        second = (await it.respond("two", store=True, previous_response_id=name)).json()["id"]
        assert texts(it) == [*ONE, "two"]
        assert (await history.message(it.user, second))["conversationId"] == name
        await it.respond("fork", store=True, previous_response_id=first)
        await it.respond("three", previous_response_id=name)
        assert texts(it) == [*ONE, "fork", "echo fork", "three"]
        whole = (await it.get(f"/responses/{name}")).json()
        assert len(whole["output"]) == 3
        for unknown in (str(uuid4()), "resp_none"):
            missing = await it.get(f"/responses/{unknown}")
            assert missing.status_code == 404
            assert missing.json()["error"]["code"] == "response_not_found"
            assert (await it.respond("x", previous_response_id=unknown)).status_code == 404


async def test_references_to_items_stand_for_their_text(program: Any) -> None:
    """Programs of the AI SDK send no answer twice that the server should know."""
    async with program() as it:
        made = (await it.respond("add")).json()
        stored = (await it.respond("one", store=True)).json()
        references = [
            {"type": "item_reference", "id": item["id"]}
            for item in [*made["output"], *stored["output"]]
        ]
        unknown = [
            {"type": "item_reference", "id": name}
            for name in (f"msg_{'0' * 25}", "msg_x", "rs_1", 7)
        ]
        await it.respond([*references, *unknown, {"role": "user", "content": "x"}])
        assert texts(it) == ["let me see", "result 2", "echo one", "x"]


async def test_forks_at_once(program: Any) -> None:
    async with program() as it:
        first = (await it.respond("one", store=True)).json()["id"]
        follow = {"store": True, "previous_response_id": first}
        made = await asyncio.gather(*(it.respond(f"fork {n}", **follow) for n in range(5)))
        for number, answer in enumerate(made):
            await it.respond("on", previous_response_id=answer.json()["id"])
            assert texts(it) == [*ONE, f"fork {number}", f"echo fork {number}", "on"]


async def test_the_memory_is_bounded(program: Any) -> None:
    """The oldest go first; each use counts as new."""
    async with program(remembered_mb=1) as it:
        first = (await it.respond("one")).json()["id"]
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{'A' * 150_000}"}
        filler = [{"role": "user", "content": [image]}]
        for _ in range(6):
            assert (await it.respond("on", previous_response_id=first)).status_code == 200
            last = (await it.respond(filler)).json()["id"]
        assert (await it.get(f"/responses/{last}")).status_code == 200
        for _ in range(6):
            last = (await it.respond(filler)).json()["id"]
        assert (await it.get(f"/responses/{first}")).status_code == 404


def test_messages_without_parents_follow_in_time() -> None:
    """As LibreChat stores responses; those of branches are no part of them."""
    rows: list[dict[str, Any]] = [
        {"messageId": "a", "parentMessageId": None},
        {"messageId": "b"},
        {"messageId": "c", "parentMessageId": "b"},
        {"messageId": "d", "parentMessageId": "b"},
        {"messageId": "e", "parentMessageId": "d"},
    ]
    assert [row["messageId"] for row in lineage(rows, "e")] == ["a", "b", "d", "e"]
    assert [row["messageId"] for row in lineage(rows, "b")] == ["a", "b"]
    assert lineage(rows, "x") == []
    circle = [
        {"messageId": "a", "parentMessageId": "b"},
        {"messageId": "b", "parentMessageId": "a"},
    ]
    assert [row["messageId"] for row in lineage(circle, "a")] == ["b", "a"]
