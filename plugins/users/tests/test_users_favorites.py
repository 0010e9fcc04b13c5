"""Favourites, starred tools, skill switches (contract user §9–§11)."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from locutory import HTTPError
from locutory_users.favorites import read_favorites
from locutory_users.skill_states import checked_states

URL = "/api/user/settings/favorites"
LONG = "x" * 257
NO_KIND = "Each favorite must have either agentId, model+endpoint, or spec"
MANY_KINDS = "Favorite cannot have multiple types (agentId, model/endpoint, or spec)"
TOGETHER = "model and endpoint must be provided together"
NO_SPEC = "spec must be a non-empty string"


class TestFavorites:
    async def test_replace_each_other(self, ann: Any) -> None:
        assert (await ann.client.get(URL)).json() == []
        given = [
            {"model": "fake-20-0", "endpoint": "Fake", "role": "ADMIN"},
            {"agentId": "agent_1", "model": ""},
            {"spec": "s", "agentId": None},
        ]
        kept = [{"model": "fake-20-0", "endpoint": "Fake"}, {"agentId": "agent_1"}, {"spec": "s"}]
        answer = await ann.client.post(URL, json={"favorites": given})
        assert (answer.status_code, answer.json()) == (200, kept)
        assert (await ann.client.get(URL)).json() == kept
        assert (await ann.account())["favorites"] == kept
        assert (await ann.client.get("/api/user")).json()["favorites"] == kept
        assert (await ann.client.post(URL, json={"favorites": []})).json() == []
        assert (await ann.client.get(URL)).json() == []

    async def test_of_a_damaged_account(self, caller: Any) -> None:
        async with caller(fields={"favorites": "x"}) as ann:
            assert (await ann.client.get(URL)).json() == []

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (None, "Favorites data is required"),
            ("", "Favorites data is required"),
            (False, "Favorites data is required"),
            ("x", "Favorites must be an array"),
            ({}, "Favorites must be an array"),
            (7, "Favorites must be an array"),
            ([{"agentId": LONG}], "agentId exceeds maximum length of 256"),
            ([{"model": LONG, "endpoint": "e"}], "model exceeds maximum length of 256"),
            ([{"model": "m", "endpoint": LONG}], "endpoint exceeds maximum length of 256"),
            ([{"spec": LONG}], "spec exceeds maximum length of 256"),
            ([{"spec": ""}], NO_SPEC),
            ([{"spec": 7}], NO_SPEC),
            ([{"spec": {"$gt": ""}}], NO_SPEC),
            ([{"model": "m"}], TOGETHER),
            ([{"endpoint": "e"}], TOGETHER),
            ([{}], NO_KIND),
            ([{"other": "x"}], NO_KIND),
            (["x"], NO_KIND),
            ([None], NO_KIND),
            ([["a"]], NO_KIND),
            ([{"agentId": "a", "spec": "s"}], MANY_KINDS),
            ([{"agentId": "a", "model": "m", "endpoint": "e"}], MANY_KINDS),
            (
                [{"spec": "s", "model": "m"}],
                "spec cannot be combined with agentId, model, or endpoint",
            ),
            (
                [{"agentId": "a", "endpoint": "e"}],
                "agentId cannot be combined with model or endpoint",
            ),
            ([{"agentId": {"$gt": ""}}], "agentId must be a string"),
            ([{"model": ["m"], "endpoint": "e"}], "model must be a string"),
            ([{"model": "m", "endpoint": 7}], "endpoint must be a string"),
        ],
    )
    def test_that_are_wrong(self, given: Any, message: str) -> None:
        with pytest.raises(HTTPError) as refusal:
            read_favorites(given)
        assert refusal.value.status == 400
        assert refusal.value.body == {"message": message}

    async def test_that_are_wrong_change_nothing(self, ann: Any) -> None:
        answer = await ann.client.post(URL, json={"favorites": "x"})
        assert (answer.status_code, answer.json()) == (
            400,
            {"message": "Favorites must be an array"},
        )
        many = [{"agentId": f"a{n}"} for n in range(51)]
        answer = await ann.client.post(URL, json={"favorites": many})
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "code": "MAX_FAVORITES_EXCEEDED",
                "message": "Maximum 50 favorites allowed",
                "limit": 50,
            },
        )
        for body in ({}, ["x"], {"favorites": [{"agentId": {"$regex": ".*"}}]}):
            assert (await ann.client.post(URL, json=body)).status_code == 400
        assert (await ann.account())["favorites"] == []
        assert (await ann.client.post(URL, json={"favorites": many[:50]})).status_code == 200


class TestStars:
    TOOLS = f"{URL}/tools"

    async def test_come_and_go(self, ann: Any) -> None:
        assert (await ann.client.get(self.TOOLS)).json() == []
        stars = [
            {"itemType": "tool", "itemId": "calculator"},
            {"itemType": "mcp", "itemId": "server/with slash & more"},
            {"itemType": "skill", "itemId": "x" * 256},
        ]
        paths = (
            "/tool/calculator",
            "/mcp/server%2Fwith%20slash%20%26%20more",
            f"/skill/{'x' * 256}",
        )
        for star, path in zip(stars, paths, strict=True):
            for _ in range(2):
                answer = await ann.client.put(f"{self.TOOLS}{path}")
                assert (answer.status_code, answer.json()) == (200, star)
        assert (await ann.client.get(self.TOOLS)).json() == stars
        row = (await ann.rows("toolfavorites"))[0]
        assert row["user"] == ann.user
        assert row["__v"] == 0
        assert row["createdAt"] == row["updatedAt"]
        for _ in range(2):
            answer = await ann.client.delete(f"{self.TOOLS}/tool/calculator")
            assert (answer.status_code, answer.json()) == (200, {"ok": True})
        assert (await ann.client.get(self.TOOLS)).json() == stars[1:]

    async def test_are_each_user_s_own(self, ann: Any) -> None:
        bob = await ann.another()
        async with bob.client:
            await ann.client.put(f"{self.TOOLS}/tool/a")
            await bob.client.delete(f"{self.TOOLS}/tool/a")
            assert (await bob.client.get(self.TOOLS)).json() == []
            assert len((await ann.client.get(self.TOOLS)).json()) == 1

    async def test_of_the_wrong_kind(self, ann: Any) -> None:
        for method in ("PUT", "DELETE"):
            answer = await ann.client.request(method, f"{self.TOOLS}/agent/a")
            assert (answer.status_code, answer.json()) == (
                400,
                {
                    "code": "INVALID_ITEM_TYPE",
                    "message": "itemType must be one of: builtin, tool, mcp, skill",
                },
            )
            answer = await ann.client.request(method, f"{self.TOOLS}/tool/{'x' * 257}")
            assert (answer.status_code, answer.json()) == (
                400,
                {
                    "code": "INVALID_ITEM_ID",
                    "message": "itemId must be a non-empty string of at most 256 characters",
                },
            )
        assert await ann.rows("toolfavorites") == []

    async def test_are_a_hundred_at_most(self, ann: Any) -> None:
        stars = ann.server.kernel.database.collection("toolfavorites")
        rows = [{"user": ann.user, "itemType": "tool", "itemId": f"t{n}"} for n in range(100)]
        await stars.insert_many(rows)
        answer = await ann.client.put(f"{self.TOOLS}/tool/one-more")
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "code": "MAX_FAVORITES_EXCEEDED",
                "message": "Maximum of 100 favorites reached",
                "limit": 100,
            },
        )
        assert (await ann.client.put(f"{self.TOOLS}/tool/t5")).status_code == 200

    async def test_at_once_are_one(self, ann: Any) -> None:
        answers = await asyncio.gather(*(ann.client.put(f"{self.TOOLS}/tool/a") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(await ann.rows("toolfavorites")) == 1

    async def test_survive_a_restart_and_carry_the_tenant(self, caller: Any) -> None:
        name = "test_users_restart"
        async with caller(database=name, fields={"tenantId": "t"}) as ann:
            await ann.client.put(f"{self.TOOLS}/tool/a")
        async with caller(database=name) as bob:
            try:
                row = (await bob.rows("toolfavorites"))[0]
                assert (row["user"], row["tenantId"]) == (ann.user, "t")
            finally:
                await bob.server.kernel.database.client.drop_database(name)


class TestSkills:
    SKILLS = "/api/user/settings/skills/active"

    async def test_no_skill_is_known_and_none_is_lost(self, caller: Any) -> None:
        stored = {str(ObjectId()): True}
        async with caller(fields={"skillStates": stored}) as ann:
            assert (await ann.client.get(self.SKILLS)).json() == {}
            answer = await ann.client.post(
                self.SKILLS, json={"skillStates": {str(ObjectId()): False}}
            )
            assert (answer.status_code, answer.json()) == (200, {})
            assert (await ann.account())["skillStates"] == stored

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (None, "skillStates must be a plain object"),
            ([], "skillStates must be a plain object"),
            ("x", "skillStates must be a plain object"),
            ({"": True}, "Each skill ID must be a non-empty string (max 64 chars)"),
            ({"x" * 65: True}, "Each skill ID must be a non-empty string (max 64 chars)"),
            ({"x": True}, "Each skill ID must be a valid ObjectId"),
            ({"0" * 24: "true"}, "Each skill state value must be a boolean"),
            ({"0" * 24: 1}, "Each skill state value must be a boolean"),
            ({"0" * 24: None}, "Each skill state value must be a boolean"),
        ],
    )
    def test_switches_that_are_wrong(self, given: Any, message: str) -> None:
        with pytest.raises(HTTPError) as refusal:
            checked_states(given)
        assert (refusal.value.status, refusal.value.body) == (400, {"message": message})

    async def test_too_many_switches(self, ann: Any) -> None:
        many = {f"{n:024x}": True for n in range(401)}
        answer = await ann.client.post(self.SKILLS, json={"skillStates": many})
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "code": "SKILL_STATES_PAYLOAD_TOO_LARGE",
                "message": "Payload exceeds 400 entries",
                "limit": 400,
            },
        )
        assert (await ann.client.post(self.SKILLS, json={})).status_code == 400
