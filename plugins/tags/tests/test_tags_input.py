"""Input that is of a wrong type, too large, an operator, or from somebody without the
permission: always a refusal, never a server error, never somebody else's data."""

from typing import Any

import pytest

from locutory import POLICY, Decision, Plugin, Principal, Provide, hook
from locutory_contracts.account_data import ACCOUNT_DATA

JUNK: tuple[Any, ...] = (
    *({"$gt": ""}, {"$ne": None}, {"$regex": ".*"}, {"a": {"b": 1}}, ["a"], [1], [[]], {}, []),
    *(5, 1.5, -1, True, False, 2**64, 10**400),
)
TEXTS = ("", "x" * 20_000, "a\0b", "\U0001f600")
WRONG_BODIES: tuple[Any, ...] = ([], [1, 2], "text", 5, True)
ROUTES = (
    ("POST", "/api/tags"),
    ("PUT", "/api/tags/one"),
    ("PUT", "/api/tags/convo/ID"),
)


async def test_members_of_a_wrong_type(world: Any) -> None:
    conversation = await world.conversation(world.alice.id, "one")
    await world.bob.create("one")
    theirs = await world.bob.tags()
    await world.alice.create("one")
    bodies: list[Any] = []
    for value in (*JUNK, None, *TEXTS):
        for member in ("tag", "description", "position", "addToConversation", "conversationId"):
            bodies.append({member: value})
            bodies.append({"tag": "fresh", member: value})
        bodies += [{"tags": value}, {"tags": [value]}, {"tags": ["one", value]}]
    for method, path in ROUTES:
        for body in (*bodies, *WRONG_BODIES, {}):
            answer = await world.alice.call(method, path.replace("ID", conversation), body)
            assert answer.status_code in (200, 400, 404, 409), (path, body, answer.text)
            if not isinstance(body, dict):
                assert answer.status_code == 400
    assert await world.bob.tags() == theirs
    await world.alice.tags()


@pytest.mark.parametrize("value", [*JUNK, *TEXTS[:2], ".", ".."], ids=lambda value: str(value)[:30])
async def test_a_name_is_text_and_not_empty(world: Any, value: Any) -> None:
    conversation = await world.conversation(world.alice.id, "one")
    await world.alice.create("one")
    before = await world.alice.tags()
    for answer in (
        await world.alice.call("POST", "/api/tags", {"tag": value}),
        await world.alice.change("one", tag=value),
        await world.alice.call("PUT", f"/api/tags/convo/{conversation}", {"tags": [value]}),
    ):
        assert answer.status_code == 400
        assert isinstance(answer.json()["error"], str)
    assert await world.alice.tags() == before
    assert await world.carried(conversation) == ["one"]


async def test_missing_members(world: Any) -> None:
    conversation = await world.conversation(world.alice.id, "one")
    for method, path in (ROUTES[0], ROUTES[2]):
        answer = await world.alice.call(method, path.replace("ID", conversation), {})
        assert answer.status_code == 400
    too_many = {"tags": [str(number) for number in range(501)]}
    answer = await world.alice.call("PUT", f"/api/tags/convo/{conversation}", too_many)
    assert answer.status_code == 400
    assert await world.carried(conversation) == ["one"]


@pytest.mark.parametrize("value", ["x", [], {}, True, 1.5, "1"], ids=str)
async def test_a_position_is_a_whole_number(world: Any, value: Any) -> None:
    await world.alice.create("one")
    answer = await world.alice.change("one", position=value)
    assert answer.status_code == 400
    assert await world.alice.places() == {"one": 1}


@pytest.mark.parametrize(
    "part", ["%24ne", "%00", "..%2f", "%ff%fe", "x" * 4000, "%7B%22a%22%3A1%7D", "%", "%zz", "%2"]
)
async def test_odd_paths(world: Any, part: str) -> None:
    await world.alice.create("one")
    for method, path, body in (
        ("PUT", f"/api/tags/{part}", {"tag": "x"}),
        ("DELETE", f"/api/tags/{part}", ...),
        ("PUT", f"/api/tags/convo/{part}", {"tags": ["x"]}),
    ):
        answer = await world.alice.call(method, path, body)
        assert answer.status_code in (400, 404), (method, path, answer.text)
    assert await world.alice.counts() == {"one": 0}


async def test_what_never_was_a_route(world: Any) -> None:
    for method, path in (("POST", "/api/tags/rebuild"), ("GET", "/api/tags/list")):
        answer = await world.alice.call(method, path)
        assert answer.status_code == 404
        assert answer.json() == {"message": "Endpoint not found"}


class Closed(Plugin):
    """A policy that allows nothing."""

    name = "closed"
    summary = "Allows nothing; for tests only"
    provides = (POLICY,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(POLICY, self)]

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        return Decision((group, action) != ("BOOKMARKS", "USE"), "for tests")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        return Decision(False, "for tests")


async def test_without_the_permission(open_world: Any) -> None:
    async with open_world("conversations", Closed()) as world:
        for method, path in (*ROUTES, ("GET", "/api/tags"), ("DELETE", "/api/tags/one")):
            answer = await world.alice.call(method, path, ... if method == "GET" else {})
            assert answer.status_code == 403
            assert answer.json() == {"message": "Forbidden: Insufficient permissions"}


async def test_as_many_as_may_be(open_world: Any) -> None:
    """One more is refused, and changes nothing."""
    async with open_world("conversations", yaml={"plugins": {"tags": {"most": 2}}}) as world:
        conversation = await world.conversation(world.alice.id, "one")
        for tag in ("one", "two", "one"):
            await world.alice.create(tag)
        body = {"tag": "3", "addToConversation": True, "conversationId": conversation}
        assert (await world.alice.call("POST", "/api/tags", body)).status_code == 400
        path = f"/api/tags/convo/{conversation}"
        answer = await world.alice.call("PUT", path, {"tags": ["two", "3"]})
        assert answer.status_code == 400
        data = world.server.kernel.services.named(ACCOUNT_DATA, "tags")
        with pytest.raises(ValueError, match="at most"):
            await data.restore(world.alice.id, {"kind": "tag", "tag": "3"}, {})
        assert await world.carried(conversation) == ["one"]
        assert await world.alice.mark(conversation, ["two"]) == ["two"]
        assert await world.alice.counts() == {"one": 0, "two": 1}
        await world.bob.create("one")
