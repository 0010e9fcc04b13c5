"""``/api/memories`` (contract memories §1, §2, §5)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from plugins.memories.tests.conftest import Kit, Person

from locutory import POLICY, Collection, Plugin, Principal, Provide, hook
from locutory.access import Decision
from locutory_contracts.accounts import AccountDeleted
from locutory_testing import Serve, Server, SignIn
from locutory_testing.waiting import until

LIMITED = {"memory": {"tokenLimit": 20, "charLimit": 50}}
KEY_LENGTH = "Key exceeds maximum length of 1000 characters. Current length: 1001 characters."
VALUE_LENGTH = "Value exceeds maximum length of 50 characters. Current length: 51 characters."
KEY_MISSING = "Key is required and must be a non-empty string."
VALUE_MISSING = "Value is required and must be a non-empty string."
KEY_WRONG = "Key must only contain lowercase letters and underscores."


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[Server]:
    async with serve("endpoints", "memories", SignIn(), yaml=LIMITED) as found:
        yield found


@pytest.fixture
def ann(server: Server, kit: Kit) -> Person:
    return kit.Person(server.client)


@pytest.fixture
def rows(server: Server) -> Collection:
    return server.kernel.database.collection("memoryentries")


async def test_life_of_a_memory(ann: Person, rows: Collection) -> None:
    empty = await ann.call("GET")
    assert (empty.status_code, empty.json()) == (
        200,
        {
            "memories": [],
            "totalTokens": 0,
            "tokenLimit": 20,
            "charLimit": 50,
            "usagePercentage": 0,
        },
    )
    created = await ann.call("POST", body={"key": " color ", "value": " blue "})
    assert created.status_code == 201
    body = created.json()
    memory = body.pop("memory")
    assert body == {"created": True}
    moment = memory.pop("updated_at")
    assert datetime.fromisoformat(moment) > datetime(2026, 1, 1, tzinfo=UTC)
    identity = memory.pop("_id")
    assert ObjectId.is_valid(identity)
    assert memory == {
        "userId": ann.user,
        "key": "color",
        "value": "blue",
        "tokenCount": 2,  # of " blue ", as it was sent
        "__v": 0,
    }
    stored = await rows.find_one({})
    assert stored is not None
    assert stored["userId"] == ObjectId(ann.user)
    assert set(stored) == {"_id", "userId", "key", "value", "tokenCount", "updated_at", "__v"}
    changed = (await ann.call("PATCH", "/color", {"key": "color", "value": " green"})).json()
    assert changed["updated"] is True
    assert changed["memory"]["value"] == " green"
    assert changed["memory"]["_id"] == identity
    assert changed["memory"]["updated_at"] > moment
    listed = (await ann.call("GET")).json()
    assert listed["memories"] == [changed["memory"]]
    assert (listed["totalTokens"], listed["usagePercentage"]) == (1, 5)
    removed = await ann.call("DELETE", "/color")
    assert (removed.status_code, removed.json()) == (200, {"deleted": True})
    again = await ann.call("DELETE", "/color")
    assert (again.status_code, again.json()) == (404, {"error": "Memory not found."})
    await ann.remember("color", "blue")


async def test_newest_first_and_pools(ann: Person, rows: Collection) -> None:
    await ann.remember("a", "one")
    await ann.remember("b", "two", agentId=" agent_x ")
    await ann.remember("c", "three", agentId="  ")
    await ann.remember("a", "four", agentId="agent_x")
    await ann.call("PATCH", "/a", {"value": "five"})
    listed = (await ann.call("GET")).json()
    shown = [(m["key"], m["value"], m.get("agentId")) for m in listed["memories"]]
    assert shown == [
        ("a", "five", None),
        ("a", "four", "agent_x"),
        ("c", "three", None),
        ("b", "two", "agent_x"),
    ]
    assert listed["totalTokens"] == 2
    assert (await ann.call("PATCH", "/b", {"value": "x"})).status_code == 404
    own = await ann.call("PATCH", "/b?agentId=agent_x", {"value": "six"})
    assert own.json()["memory"]["agentId"] == "agent_x"
    assert (await ann.call("DELETE", "/a?agentId=agent_x")).status_code == 200
    assert (await ann.known())["a"] == "five"
    # LibreChat writes null for a shared memory in places: the same scope.
    await rows.insert_one(
        {
            "userId": ObjectId(ann.user),
            "key": "old",
            "value": "v",
            "agentId": None,
            "tokenCount": 3.0,
            "updated_at": datetime(2020, 1, 1, tzinfo=UTC),
        }
    )
    assert (await ann.call("GET")).json()["totalTokens"] == 5
    assert (await ann.call("POST", body={"key": "old", "value": "x"})).status_code == 409
    assert (await ann.call("DELETE", "/old")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, KEY_MISSING),
        ({"key": "", "value": ""}, 400, KEY_MISSING),
        ({"key": "  ", "value": "x"}, 400, KEY_MISSING),
        ({"key": {"$ne": ""}, "value": "x"}, 400, KEY_MISSING),
        ({"key": ["a"], "value": "x"}, 400, KEY_MISSING),
        ({"key": "a"}, 400, VALUE_MISSING),
        ({"key": "a", "value": " \n"}, 400, VALUE_MISSING),
        ({"key": "a", "value": 7}, 400, VALUE_MISSING),
        ({"key": "a" * 1001, "value": "x"}, 400, KEY_LENGTH),
        ({"key": "a", "value": "x" * 51}, 400, VALUE_LENGTH),
        ({"key": "a", "value": "x" * 49 + "😀"}, 400, VALUE_LENGTH),
        ({"key": "Color", "value": "x"}, 400, KEY_WRONG),
        ({"key": "a1", "value": "x"}, 400, KEY_WRONG),
        ({"key": "a\n", "value": "x"}, 201, None),
        ({"key": "a", "value": "x", "agentId": {"$ne": None}}, 201, None),
        ({"key": "a", "value": "x", "agentId": "y" * 257}, 400, None),
        ({"key": "Nothing", "value": "x"}, 500, "Failed to create memory."),
        (["key"], 400, None),
    ],
)
async def test_what_cannot_be_written(
    ann: Person, body: Any, status: int, error: str | None
) -> None:
    answer = await ann.call("POST", body=body)
    assert answer.status_code == status, answer.text
    if error is not None:
        assert answer.json() == {"error": error}
    elif status == 201:
        assert answer.json()["memory"]["key"] == "a"
        assert "agentId" not in answer.json()["memory"]


async def test_duplicate_and_limit(ann: Person) -> None:
    await ann.remember("a", "one two three four five six seven eight nine ten")
    same = await ann.call("POST", body={"key": "a", "value": "x"})
    assert (same.status_code, same.json()) == (
        409,
        {"error": "Memory with this key already exists."},
    )
    text = "one two three four five six seven eight nine ten"
    full = await ann.call("POST", body={"key": "b", "value": f"{text} a"})
    assert (full.status_code, full.json()) == (
        400,
        {
            "error": "Adding this memory would exceed the token limit of 20. "
            "Current usage: 10 tokens."
        },
    )
    await ann.remember("b", text)
    assert (await ann.call("GET")).json()["usagePercentage"] == 100
    # Every scope has a limit of its own, and changing a memory is not limited.
    await ann.remember("b", text, agentId="agent_x")
    assert (await ann.call("PATCH", "/b", {"value": f"{text} a"})).status_code == 200
    assert (await ann.call("GET")).json()["usagePercentage"] == 100


async def test_rename(ann: Person) -> None:
    first = await ann.remember("a", "one")
    await ann.remember("b", "two")
    clash = await ann.call("PATCH", "/a", {"key": "b", "value": "x"})
    assert (clash.status_code, clash.json()) == (
        409,
        {"error": "Memory with this key already exists."},
    )
    for key, status, error in (
        ("New", 400, KEY_WRONG),
        ("nothing", 500, "Failed to create new memory."),
        ("a" * 1001, 400, KEY_LENGTH),
        ({"$gt": ""}, 400, "Key must be a string."),
        (["b"], 400, "Key must be a string."),
    ):
        answer = await ann.call("PATCH", "/a", {"key": key, "value": "x"})
        assert answer.status_code == status
        assert answer.json() == {"error": error}
    for key in ("New", "nothing", "other"):
        answer = await ann.call("PATCH", "/none", {"key": key, "value": "x"})
        assert (answer.status_code, answer.json()) == (404, {"error": "Memory not found."})
    assert await ann.known() == {"a": "one", "b": "two"}
    renamed = (await ann.call("PATCH", "/a", {"key": "new", "value": "x"})).json()["memory"]
    assert renamed["key"] == "new"
    assert renamed["_id"] != first["_id"]
    assert await ann.known() == {"b": "two", "new": "x"}
    await ann.remember("a", "again")
    back = await ann.call("PATCH", "/b", {"key": "", "value": "y"})
    assert back.json()["memory"]["key"] == "b"


@pytest.mark.parametrize("body", [{}, {"value": ""}, {"value": {"$ne": 1}}, {"value": None}])
async def test_update_needs_a_value(ann: Person, body: Any) -> None:
    answer = await ann.call("PATCH", "/a", body)
    assert (answer.status_code, answer.json()) == (400, {"error": VALUE_MISSING})


async def test_keys_of_tools_in_paths(ann: Person, rows: Collection) -> None:
    """Tools may use any key; it is decoded once."""
    for key in ("Home Town", "a/b", "50%", "ключ"):
        await rows.insert_one({"userId": ObjectId(ann.user), "key": key, "value": "v", "__v": 0})
    assert (await ann.call("PATCH", "/Home%20Town", {"value": "Ulm"})).status_code == 200
    assert (await ann.call("DELETE", "/a%2Fb")).status_code == 200
    assert (await ann.call("DELETE", "/50%25")).status_code == 200
    assert (await ann.call("DELETE", "/%D0%BA%D0%BB%D1%8E%D1%87")).status_code == 200
    assert await ann.known() == {"Home Town": "Ulm"}
    assert (await ann.call("DELETE", "/%E0%A4")).status_code == 400
    assert (await ann.call("DELETE", "/%")).status_code == 400


async def test_a_memory_called_preferences(ann: Person) -> None:
    """Models like this key; its path is that of the switch."""
    await ann.remember("preferences", "likes tea")
    answer = await ann.call("PATCH", "/preferences", {"key": "preferences", "value": "likes milk"})
    assert (answer.status_code, answer.json()["memory"]["value"]) == (200, "likes milk")
    answer = await ann.call("PATCH", "/preferences", {"key": "drinks", "value": "milk"})
    assert (answer.status_code, await ann.known()) == (200, {"drinks": "milk"})
    answer = await ann.call("PATCH", "/preferences", {"value": "x"})
    assert (answer.status_code, answer.json()) == (404, {"error": "Memory not found."})
    for body in ({}, {"value": 5}, {"memories": "x", "value": "y"}):
        answer = await ann.call("PATCH", "/preferences", body)
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "memories must be a boolean value."},
        )


async def test_foreign_memories(ann: Person, server: Server, kit: Kit) -> None:
    """Another user's key answers as an unknown one."""
    bob = kit.Person(server.client, kit.other)
    await ann.remember("secret", "mine")
    for method, body in (("PATCH", {"value": "x"}), ("DELETE", None)):
        foreign = await bob.call(method, "/secret", body)
        unknown = await bob.call(method, "/unknown", body)
        assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert (await bob.call("GET")).json()["memories"] == []
    await bob.remember("secret", "his")
    assert await ann.known() == {"secret": "mine"}


async def test_operators_in_the_query(ann: Person) -> None:
    await ann.remember("a", "one", agentId="agent_x")
    for query in ("agentId[$ne]=", "agentId[$exists]=true", "$where=1", "agentId=a&agentId=b"):
        assert (await ann.call("DELETE", f"/a?{query}")).status_code == 404
    assert await ann.known() == {"a": "one"}


async def test_same_key_at_the_same_moment(ann: Person) -> None:
    answers = await asyncio.gather(
        *(ann.call("POST", body={"key": "a", "value": str(n)}) for n in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_limit_at_the_same_moment(ann: Person) -> None:
    """Twenty tokens have room for four values of five."""
    answers = await asyncio.gather(
        *(ann.call("POST", body={"key": "k" * (n + 1), "value": "a b c d e"}) for n in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [400] * 4
    assert (await ann.call("GET")).json()["totalTokens"] == 20


async def test_two_servers_on_one_database(serve: Serve, kit: Kit) -> None:
    """Keys stay single and the limit holds between processes, which share no lock."""
    name = f"test_{ObjectId()}"
    async with (
        serve("endpoints", "memories", SignIn(), yaml=LIMITED, database=name) as one,
        serve("endpoints", "memories", SignIn(), yaml=LIMITED, database=name) as two,
    ):
        people = [kit.Person(one.client), kit.Person(two.client)]
        for turn in range(10):
            key = "k" * (turn + 1)
            same = await asyncio.gather(
                *(person.call("POST", body={"key": key, "value": "a"}) for person in people)
            )
            assert sorted(answer.status_code for answer in same) == [201, 409]
        for turn in range(10):
            await asyncio.gather(
                *(
                    person.call("POST", body={"key": f"{mark}{'k' * turn}", "value": "a b c"})
                    for person, mark in zip(people, "xy", strict=True)
                )
            )
            assert (await people[0].call("GET")).json()["totalTokens"] <= 20
        await one.kernel.database.client.drop_database(name)


async def test_most_memories(serve: Serve, kit: Kit) -> None:
    settings = {"plugins": {"memories": {"most_memories": 2}}}
    async with serve("memories", SignIn(), yaml=settings) as server:
        ann = kit.Person(server.client)
        await ann.remember("a", "x")
        await ann.remember("b", "x", agentId="agent_x")
        refused = await ann.call("POST", body={"key": "c", "value": "x"})
        assert refused.status_code == 400
        assert refused.json() == {"error": "There can be no more than 2 memories."}
        assert (await ann.call("PATCH", "/a", {"key": "c", "value": "x"})).status_code == 200


async def test_without_a_section(serve: Serve, kit: Kit) -> None:
    """The routes work; there is no limit (tokens are estimated without a counter)."""
    async with serve("memories", SignIn()) as server:
        ann = kit.Person(server.client)
        await ann.remember("a", "x" * 10_000)
        listed = (await ann.call("GET")).json()
        assert listed["totalTokens"] == 2500
        assert listed["tokenLimit"] is None
        assert listed["usagePercentage"] is None
        assert listed["charLimit"] == 10_000


class OnlySome(Plugin):
    """A policy that grants some permissions."""

    name = "testpolicy"
    summary = "Policy for tests"
    provides = (POLICY,)

    def __init__(self, *granted: str) -> None:
        self.granted = granted

    @hook
    def services(self) -> list[Provide]:
        return [Provide(POLICY, self)]

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        return Decision(group == "MEMORIES" and action in self.granted, "test")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        return Decision(False, "test")


CALLS: dict[str, list[tuple[str, str, Any]]] = {
    "READ": [("GET", "", None)],
    "CREATE": [("POST", "", {"key": "a", "value": "x"})],
    "UPDATE": [
        ("PATCH", "/a", {"value": "x"}),
        ("PATCH", "/preferences", {"value": "x"}),
        ("DELETE", "/a", None),
    ],
    "OPT_OUT": [("PATCH", "/preferences", {"memories": "x"})],
}


@pytest.mark.parametrize("action", list(CALLS))
async def test_permissions(serve: Serve, kit: Kit, action: str) -> None:
    """Each route needs its permission and USE."""
    everything = {"USE", *CALLS}
    for granted in ({action}, everything - {action}, {"USE", action}):
        async with serve("memories", SignIn(), OnlySome(*granted)) as server:
            ann = kit.Person(server.client)
            for method, path, body in CALLS[action]:
                answer = await ann.call(method, path, body)
                if granted == {"USE", action}:
                    assert answer.status_code != 403
                else:
                    assert (answer.status_code, answer.json()) == (
                        403,
                        {"message": "Forbidden: Insufficient permissions"},
                    )


async def test_deleted_account(ann: Person, server: Server, kit: Kit, rows: Collection) -> None:
    bob = kit.Person(server.client, kit.other)
    await ann.remember("a", "x")
    await ann.remember("a", "x", agentId="agent_x")
    await bob.remember("a", "x")
    for _ in range(2):
        await server.kernel.events.publish(AccountDeleted(ann.user))

    async def gone() -> bool:
        return await rows.count_documents({"userId": ObjectId(ann.user)}) == 0

    await until(gone)
    assert await rows.count_documents({}) == 1
    assert await bob.known() == {"a": "x"}
