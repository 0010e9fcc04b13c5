"""Making and changing agents (contract agents §3–§5)."""

import asyncio
from typing import Any

import pytest

ANN, BEN = ("a" * 24, "b" * 24)


@pytest.mark.parametrize("roles", [True, False], ids=["shared", "alone"])
async def test_nobody_gives_himself_anything(stage: Any, roles: bool) -> None:
    """Members that users do not set are dropped, whatever they are called."""
    async with stage(roles=roles) as s:
        stolen = {
            "id": "agent_mine",
            "_id": "c" * 24,
            "author": BEN,
            "authorName": "Ben",
            "is_promoted": True,
            "access_level": 9,
            "versions": [{"name": "x"}],
            "version": 7,
            "actions": ["x_action_y"],
            "tenantId": "t1",
            "mcpServerNames": ["secret"],
            "tool_kwargs": [{}],
            "createdAt": "2001-01-01T00:00:00.000Z",
        }
        made = await s.make(name="A", **stolen)
        changed = (await s.ann.patch(f"/api/agents/{made['id']}", json=stolen)).json()
        for agent in (made, changed):
            assert agent["id"] != "agent_mine"
            assert agent["id"].startswith("agent_")
            assert len(agent["id"]) == 27
            assert agent["author"] == ANN
            assert agent["is_promoted"] is False
            assert agent["mcpServerNames"] == []
            assert agent["createdAt"] > "2020"
            assert not {"authorName", "access_level", "actions", "tenantId"} & agent.keys()
            assert len(agent["versions"]) == 1
        (row,) = await s.collection("agents").find({}).to_list()
        assert str(row["author"]) == ANN
        assert row["tool_kwargs"] == []
        assert "tenantId" not in row


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"provider": None}, ["provider"], "Required"),
        ({"model": 7}, ["model"], "Expected string, received number"),
        ({"name": {"$gt": ""}}, ["name"], "Expected string, received object"),
        ({"name": "n" * 257}, ["name"], "String must contain at most 256 character(s)"),
        ({"tools": "all"}, ["tools"], "Expected array, received string"),
        ({"tools": [{"$ne": 1}]}, ["tools", 0], "Expected string, received object"),
        ({"tools": ["t"] * 201}, ["tools"], "Array must contain at most 200 element(s)"),
        ({"recursion_limit": True}, ["recursion_limit"], "Expected a number"),
        ({"support_contact": {"email": "x"}}, ["support_contact", "email"], "Invalid email"),
        ({"avatar": {"filepath": "javascript:x", "source": "local"}}, None, "Invalid path"),
        ({"avatar": {"filepath": "//evil/x", "source": "local"}}, None, "Invalid path"),
        ({"avatar": {"filepath": "/images/../x", "source": "local"}}, None, "Invalid path"),
        ({"edges": [{"from": "", "to": []}]}, None, "Array must contain at least 1 element(s)"),
        ({"edges": [{"from": "", "to": {"$ne": ""}}]}, None, "Expected string or array of strings"),
        ({"model_parameters": {"a": "x" * 70_000}}, None, "The model parameters are too large"),
        ({"memory_scope": "all"}, ["memory_scope"], None),
    ],
)
async def test_what_is_wrong_is_said(
    stage: Any, fields: dict[str, Any], path: list[Any] | None, message: str | None
) -> None:
    body = {"provider": "Fake", "model": "fake", **fields}
    async with stage(roles=False) as s:
        answer = await s.ann.post("/api/agents", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"] == "Invalid request data"
        (issue, *_) = answer.json()["details"]
        assert path is None or issue["path"] == path
        assert message is None or issue["message"] == message
        assert await s.collection("agents").count_documents({}) == 0
        if fields.get("provider", "") is not None:
            made = await s.make()
            answer = await s.ann.patch(f"/api/agents/{made['id']}", json=fields)
            assert answer.status_code == 400


@pytest.mark.parametrize("body", [[], [1], {}, {"provider": ""}])
async def test_nothing_much(stage: Any, body: Any) -> None:
    async with stage(roles=False) as s:
        assert (await s.ann.post("/api/agents", json=body)).status_code == 400


async def test_parameters_of_forms_become_numbers(stage: Any) -> None:
    async with stage(roles=False) as s:
        given = {"temperature": "0.5", "max_tokens": " 100 ", "top_p": "x", "stop": "", "a": None}
        made = await s.make(model_parameters=given)
        assert made["model_parameters"] == {"temperature": 0.5, "max_tokens": 100}


async def test_files_of_others_are_dropped_and_those_that_are_there_stay(stage: Any) -> None:
    """An editor can neither attach a stranger's file nor lose the owner's."""
    async with stage() as s:
        files = {
            "file_search": {"file_ids": ["ann-1", "ben-1", "x"]},
            "ocr": {"file_ids": ["ann-2"]},
        }
        made = await s.make(tool_resources=files)
        assert made["tool_resources"] == {
            "file_search": {"file_ids": ["ann-1"]},
            "context": {"file_ids": ["ann-2"]},
        }
        await s.share(made, BEN, "editor")
        wanted = {"file_search": {"file_ids": ["ann-1", "ann-9", "ben-1"]}}
        changed = await s.ben.patch(f"/api/agents/{made['id']}", json={"tool_resources": wanted})
        assert changed.json()["tool_resources"]["file_search"] == {"file_ids": ["ann-1", "ben-1"]}
        # A copy has what of the context is its new owner's.
        copy = (await s.ben.post(f"/api/agents/{made['id']}/duplicate")).json()["agent"]
        assert copy["author"] == BEN
        assert "ann-" not in str(copy)


async def test_versions_are_kept_and_gone_back_to(stage: Any) -> None:
    async with stage() as s:
        made = await s.make(name="one", instructions="be brief")
        path = f"/api/agents/{made['id']}"
        second = (await s.ann.patch(path, json={"name": "two", "instructions": None})).json()
        assert (second["version"], second["instructions"]) == (2, "be brief")
        again = (await s.ann.patch(path, json={"name": "two"})).json()
        assert again["version"] == 2
        assert (await s.ann.patch(path, json={})).json()["version"] == 2
        versions = (await s.ann.get(f"{path}/versions")).json()
        assert [version["name"] for version in versions] == ["one", "two"]
        assert versions[1]["updatedBy"] == ANN
        assert not {"_id", "id", "author", "versions"} & versions[1].keys()
        back = (await s.ann.post(f"{path}/revert", json={"version_index": 0})).json()
        assert (back["name"], len(back["versions"])) == ("one", 2)
        assert back["author"] == ANN
        for index in (None, True, "0", 1.5, {"$gt": 0}):
            answer = await s.ann.post(f"{path}/revert", json={"version_index": index})
            assert answer.status_code == 400
        for index in (-1, 2, 10**15):
            answer = await s.ann.post(f"{path}/revert", json={"version_index": index})
            assert (answer.status_code, answer.json()) == (
                500,
                {"error": f"Version {index} not found"},
            )


async def test_no_change_of_many_at_once_is_lost(stage: Any) -> None:
    async with stage(roles=False) as s:
        made = await s.make(name="zero")
        path = f"/api/agents/{made['id']}"
        answers = await asyncio.gather(
            *(s.ann.patch(path, json={"name": f"n{at}"}) for at in range(8))
        )
        assert {answer.status_code for answer in answers} == {200}
        versions = (await s.ann.get(f"{path}/versions")).json()
        assert sorted(version["name"] for version in versions[1:]) == [f"n{at}" for at in range(8)]


async def test_an_avatar_is_taken_away_by_null(stage: Any) -> None:
    async with stage(roles=False) as s:
        made = await s.make(avatar={"filepath": "/images/a.png", "source": "local", "x": 1})
        assert made["avatar"] == {"filepath": "/images/a.png", "source": "local"}
        path = f"/api/agents/{made['id']}"
        assert "avatar" in (await s.ann.patch(path, json={"name": "n"})).json()
        assert "avatar" not in (await s.ann.patch(path, json={"avatar": None})).json()
