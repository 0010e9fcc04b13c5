"""Memories in chats: what models are told, and the tools that they have (memories §4)."""

import json
from typing import Any

import pytest
from bson import ObjectId
from plugins.memories.tests.conftest import Kit, Talking

from locutory import POLICY, Plugin, Principal, Provide, hook
from locutory.access import Decision
from locutory_testing import SignIn

LIMIT = {"tokenLimit": 20}


def call(*calls: tuple[str, Any]) -> str:
    return "CALL:" + json.dumps(calls)


def results(events: list[dict[str, Any]]) -> list[str]:
    """The results of the calls of a turn, in their order."""
    content = events[-1]["responseMessage"]["content"]
    return [part["tool_call"]["output"] for part in content if part["type"] == "tool_call"]


async def test_a_memory_is_used_in_a_later_chat(talking: Talking, kit: Kit) -> None:
    """Written over HTTP, read by the model of the next chat, and of no other user's."""
    async with talking(memory={}) as talk:
        ann, provider = talk.person, talk.provider
        await ann.chat("Hello")
        assert kit.system_prompt(provider.seen[-1]) == ""
        await ann.remember("pet", "The user has a dog\nnamed Rex.")
        await ann.remember("town", "The user lives in Ulm.")
        await ann.remember("own", "Only for one agent.", agentId="agent_x")
        events = await ann.chat("Where do I live?", promptPrefix="Be brief.")
        assert events[-1]["final"] is True
        told = kit.system_prompt(provider.seen[-1])
        assert told.startswith("Be brief.\n\n")
        lines = told.splitlines()
        day = f"{ObjectId().generation_time:%Y-%m-%d}"
        assert lines[-3:] == [
            f"1. [{day}]. The user has a dog",
            "   named Rex.",
            f"2. [{day}]. The user lives in Ulm.",
        ]
        assert "Only for one agent" not in told
        assert provider.seen[-1]["messages"][-1]["content"] == "Where do I live?"
        await ann.call("PATCH", "/pet", {"value": "The user has a cat."})
        await ann.chat("And now?")
        assert kit.system_prompt(provider.seen[-1]).endswith(
            "2. [" + day + "]. The user has a cat."
        )
        bob = kit.Person(talk.server.client, kit.other)
        await bob.chat("Where do I live?")
        assert kit.system_prompt(provider.seen[-1]) == ""


@pytest.mark.parametrize("section", [None, {"disabled": True}])
async def test_no_memory_without_a_section(
    talking: Talking, kit: Kit, section: dict[str, Any] | None
) -> None:
    async with talking(memory=section) as talk:
        await talk.person.remember("town", "The user lives in Ulm.")
        await talk.person.chat("Hello", ephemeralAgent={"memory": True})
        assert kit.system_prompt(talk.provider.seen[-1]) == ""
        assert "tools" not in talk.provider.seen[-1]


async def test_opted_out(talking: Talking, kit: Kit) -> None:
    account = {"_id": ObjectId(kit.user), "personalization": {"memories": False}}
    async with talking(memory={}, sign_in=SignIn({kit.user: account})) as talk:
        await talk.person.remember("town", "The user lives in Ulm.")
        await talk.person.chat("Hello", ephemeralAgent={"memory": True})
        assert kit.system_prompt(talk.provider.seen[-1]) == ""
        assert "tools" not in talk.provider.seen[-1]


class Grants(Plugin):
    """A policy that grants some permissions of memories, and everything else."""

    name = "testpolicy"
    summary = "Policy for tests"
    provides = (POLICY,)

    def __init__(self, *granted: str) -> None:
        self.granted = granted

    @hook
    def services(self) -> list[Provide]:
        return [Provide(POLICY, self)]

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        return Decision(group != "MEMORIES" or action in self.granted, "test")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        return Decision(False, "test")


@pytest.mark.parametrize(
    ("granted", "told", "tools"),
    [
        (("CREATE", "UPDATE", "READ"), False, []),
        (("USE",), True, []),
        (("USE", "CREATE"), True, []),
        (("USE", "UPDATE"), True, ["delete_memory"]),
        (("USE", "CREATE", "UPDATE"), True, ["set_memory", "delete_memory"]),
    ],
)
async def test_permissions_in_chats(
    talking: Talking, kit: Kit, granted: tuple[str, ...], told: bool, tools: list[str]
) -> None:
    grants = Grants("USE", "CREATE")
    async with talking(grants, memory={}) as talk:
        await talk.person.remember("town", "The user lives in Ulm.")
        grants.granted = granted
        await talk.person.chat("Hello", ephemeralAgent={"memory": True})
        asked = talk.provider.seen[-1]
        prompt = kit.system_prompt(asked)
        assert ("lives in Ulm" in prompt) is told
        assert ("[key: town, " in prompt) is bool(tools)
        assert [tool["function"]["name"] for tool in asked.get("tools", [])] == tools


async def test_tools_of_a_chat(talking: Talking, kit: Kit) -> None:
    """The model stores, replaces and deletes; the user sees it beside the answer."""
    async with talking(memory={"validKeys": ["town", "pet"]}) as talk:
        ann = talk.person
        options = {"ephemeralAgent": {"memory": True}}
        events = await ann.chat(
            call(("set_memory", {"key": "town", "value": "The user lives in Ulm."})), **options
        )
        final = events[-1]["responseMessage"]
        expected = {
            "type": "memory",
            "memory": {
                "key": "town",
                "value": "The user lives in Ulm.",
                "tokenCount": 7,
                "type": "update",
            },
            "messageId": final["messageId"],
            "toolCallId": final["content"][0]["tool_call"]["id"],
            "conversationId": final["conversationId"],
        }
        assert kit.attached(events) == [expected]
        assert final["attachments"] == [expected]
        assert results(events) == ["The memory 'town' was set (7 tokens)."]
        assert await ann.known() == {"town": "The user lives in Ulm."}
        offered = {t["function"]["name"]: t["function"] for t in talk.provider.seen[0]["tools"]}
        key = offered["set_memory"]["parameters"]["properties"]["key"]
        assert key["enum"] == ["town", "pet"]
        events = await ann.chat(
            call(
                ("set_memory", {"key": "town", "value": "In Bonn."}),
                ("set_memory", {"key": "color", "value": "Blue."}),
                ("delete_memory", {"key": "pet"}),
            ),
            **options,
        )
        first, second, third = results(events)
        assert "was set" in first
        assert "did not match expected schema" in second
        assert third == "There is no memory 'pet'."
        assert await ann.known() == {"town": "In Bonn."}
        events = await ann.chat(call(("delete_memory", {"key": "town"})), **options)
        assert [a["memory"] for a in kit.attached(events)] == [{"key": "town", "type": "delete"}]
        assert await ann.known() == {}
        await ann.chat("no tools without the badge")
        assert "tools" not in talk.provider.seen[-1]


async def test_tools_keep_the_limits(talking: Talking, kit: Kit) -> None:
    """Calls of one answer run side by side, and still the scope keeps its limit."""
    async with talking(memory={**LIMIT, "charLimit": 60}) as talk:
        ann = talk.person
        many = [
            ("set_memory", {"key": letter, "value": "one two three"}) for letter in "abcdefghij"
        ]
        events = await ann.chat(call(*many), ephemeralAgent={"memory": True})
        assert len(await ann.known()) == 6
        shown = [attachment["memory"] for attachment in kit.attached(events)]
        assert [memory["type"] for memory in shown].count("update") == 6
        errors = [memory for memory in shown if memory["type"] == "error"]
        assert (
            errors
            == [
                {
                    "key": "system",
                    "type": "error",
                    "value": '{"errorType":"would_exceed","tokenCount":1,"totalTokens":21,"tokenLimit":20}',
                    "tokenCount": 18,
                }
            ]
            * 4
        )
        # Replacing counts as replacing.
        events = await ann.chat(
            call(("set_memory", {"key": "a", "value": "one two three four five"})),
            ephemeralAgent={"memory": True},
        )
        assert kit.attached(events)[0]["memory"]["type"] == "update"
        events = await ann.chat(
            call(
                ("set_memory", {"key": "k", "value": "x"}),
                ("set_memory", {"key": "k", "value": "x" * 61}),
                ("set_memory", {"key": "k" * 1001, "value": "x"}),
                ("set_memory", {"key": "Nothing", "value": "x"}),
                ("set_memory", {"key": " ", "value": "x"}),
                ("set_memory", {"key": "k", "value": " "}),
            ),
            ephemeralAgent={"memory": True},
        )
        assert [json.loads(a["memory"]["value"]) for a in kit.attached(events)] == [
            {
                "errorType": "already_exceeded",
                "tokenCount": 0,
                "totalTokens": 20,
                "tokenLimit": 20,
            }
        ]
        assert results(events) == [
            "Nothing was stored: the memory is full.",
            "The value is longer than 60 characters.",
            "The key is longer than 1000 characters.",
            "Nothing was stored: the key 'Nothing' is not allowed.",
            "The key is missing.",
            "The value is missing.",
        ]
        assert len(await ann.known()) == 6


async def test_any_key_by_tools(talking: Talking, kit: Kit) -> None:
    """`set_memory` takes keys that cannot be created by hand."""
    async with talking(memory={}) as talk:
        await talk.person.chat(
            call(("set_memory", {"key": "Home Town 2", "value": "Ulm"})),
            ephemeralAgent={"memory": True},
        )
        assert await talk.person.known() == {"Home Town 2": "Ulm"}
        # No browser could send the path of this one, so that nobody could delete it.
        await talk.person.chat(
            call(("set_memory", {"key": " .. ", "value": "x"})), ephemeralAgent={"memory": True}
        )
        assert await talk.person.known() == {"Home Town 2": "Ulm"}


async def test_capability_switched_off(talking: Talking, kit: Kit) -> None:
    endpoints = {"agents": {"capabilities": ["tools"]}}
    async with talking(memory={}, endpoints=endpoints) as talk:
        await talk.person.remember("town", "Ulm")
        await talk.person.chat("Hello", ephemeralAgent={"memory": True})
        assert "tools" not in talk.provider.seen[-1]
        assert "Ulm" in kit.system_prompt(talk.provider.seen[-1])


async def test_capability_of_a_model_spec(talking: Talking, kit: Kit) -> None:
    spec = {"name": "s", "label": "S", "memory": True}
    spec["preset"] = {"endpoint": "Fake", "model": "fake-1"}
    async with talking(memory={}, yaml={"modelSpecs": {"list": [spec]}}) as talk:
        await talk.person.chat("Hello", spec="s")
        tools = [tool["function"]["name"] for tool in talk.provider.seen[-1]["tools"]]
        assert tools == ["set_memory", "delete_memory"]


async def test_more_than_fits_into_a_prompt(talking: Talking, kit: Kit) -> None:
    settings = {"plugins": {"memories": {"prompt_tokens": 100}}}
    async with talking(memory={}, yaml=settings) as talk:
        for letter in "abcde":
            await talk.person.remember(letter, f"{letter} " + "word " * 40)
        await talk.person.chat("Hello")
        told = kit.system_prompt(talk.provider.seen[-1]).splitlines()[-2:]
        assert [line.split("]. ")[1][0] for line in told] == ["d", "e"]
        assert told[0].startswith("1. [")
