"""The memory agent beside an answer (contract memories §4)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from bson import ObjectId
from plugins.memories.tests.conftest import Kit, Talking

from locutory import On, Plugin, Provide, StartupError, hook
from locutory.config.configuration import Sources
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.chat import UsageReported
from locutory_testing import Serve, SignIn
from locutory_testing.server import SECRETS
from locutory_testing.waiting import until

SENTENCE = "The user lives in Ulm."
SET = ("set_memory", {"key": "town", "value": SENTENCE})


class Till(Plugin):
    """Hears what is to be paid."""

    name = "testtill"
    summary = "Subscriber for tests"

    def __init__(self) -> None:
        self.told: list[UsageReported] = []

    @hook
    def subscriptions(self) -> list[On]:
        return [On(UsageReported, self._note)]

    async def _note(self, fact: UsageReported) -> None:
        self.told.append(fact)

    def used(self) -> list[Any]:
        return [used for fact in self.told for used in fact.usage if used.context == "memory"]


async def test_agent_remembers(talking: Talking, kit: Kit) -> None:
    """It is asked with the end of the chat, stores, and the user sees it with the answer."""
    till = Till()
    provider = kit.Provider(kit.remembering(SET))
    memory = {"tokenLimit": 100}
    async with talking(till, memory=memory, agent=True, provider=provider) as talk:
        await talk.person.remember("pet", "The user has a dog.")
        events = await talk.person.chat("Remember that I live in Ulm.")
        final = events[-1]
        assert final["final"] is True
        assert final["responseMessage"]["content"] == [{"type": "text", "text": "ok"}]
        first, second = provider.asked("keeper-1")
        call = second["messages"][2]["tool_calls"][0]
        expected = {
            "type": "memory",
            "memory": {"key": "town", "value": SENTENCE, "tokenCount": 7, "type": "update"},
            "toolCallId": call["id"],
            "messageId": final["responseMessage"]["messageId"],
            "conversationId": final["conversation"]["conversationId"],
        }
        assert kit.attached(events) == [expected]
        assert final["responseMessage"]["attachments"] == [expected]
        messages = f"/api/messages/{expected['conversationId']}"
        saved = (await talk.server.client.get(messages, headers=talk.person.headers)).json()
        assert saved[1]["attachments"] == [expected]
        assert (await talk.person.known())["town"] == SENTENCE
        assert first.get("stream") is not True
        assert first["temperature"] == 0.4
        assert [tool["function"]["name"] for tool in first["tools"]] == [
            "set_memory",
            "delete_memory",
        ]
        told = kit.system_prompt(first)
        assert "In use: 6 tokens\nLimit: 100 tokens\nLeft: 94 tokens" in told
        assert "[key: pet, 6 tokens]. The user has a dog." in told
        assert first["messages"][1:] == [
            {"role": "user", "content": "# Current Chat:\n\nUser: Remember that I live in Ulm."}
        ]
        result = second["messages"][-1]
        assert result["content"] == "The memory 'town' was set (7 tokens)."
        assert result["tool_call_id"] == call["id"]
        await kit.until(lambda: len(till.used()) == 2)
        used = till.used()[0]
        assert (used.model, used.endpoint) == ("keeper-1", "Fake")
        assert (used.input_tokens, used.output_tokens) == (40, 7)
        assert {fact.settles for fact in till.told if till.used()[0] in fact.usage} == {False}


async def test_agent_is_charged(talking: Talking, kit: Kit) -> None:
    """What it used is written down like what the answer used."""
    provider = kit.Provider(kit.remembering(SET))
    async with talking("balance", memory={}, agent=True, provider=provider) as talk:
        events = await talk.person.chat("Remember that I live in Ulm.")
        rows = talk.server.kernel.database.collection("transactions")

        async def all_of_them() -> list[Any]:
            found = await rows.find({"context": "memory"}).to_list()
            return found if len(found) >= 4 else []

        found = await until(all_of_them)
        assert sorted((row["tokenType"], row["rawAmount"]) for row in found) == [
            ("completion", -7),
            ("completion", -7),
            ("prompt", -40),
            ("prompt", -40),
        ]
        assert {row["messageId"] for row in found} == {events[-1]["responseMessage"]["messageId"]}
        assert {row["model"] for row in found} == {"keeper-1"}


async def test_agent_forgets_and_is_asked_twice_at_most(talking: Talking, kit: Kit) -> None:
    async def endless(body: Mapping[str, Any]) -> Any:
        number = sum(message["role"] == "tool" for message in body["messages"])
        return kit.tool_calls(
            ("delete_memory", {"key": "town"}),
            ("set_memory", {"key": f"k{number}", "value": "x"}),
            ("set_memory", "{broken"),
            ("unknown", {"key": "a"}),
        )

    provider = kit.Provider(endless, usage=False)
    till = Till()
    async with talking(till, memory={}, agent=True, provider=provider) as talk:
        await talk.person.remember("town", "x")
        events = await talk.person.chat("Forget where I live.")
        assert len(provider.asked("keeper-1")) == 2
        assert await talk.person.known() == {"k0": "x", "k4": "x"}
        shown = [(a["memory"]["key"], a["memory"]["type"]) for a in kit.attached(events)]
        assert shown == [("town", "delete"), ("k0", "update"), ("k4", "update")]
        results = [m["content"] for m in provider.seen[-1]["messages"] if m["role"] == "tool"]
        assert results[2:] == [
            "The arguments are not a JSON object.",
            "There is no tool named 'unknown'.",
        ]
        # What the provider did not count is counted here.
        assert len(till.used()) == 2
        assert all(used.input_tokens > 100 and used.output_tokens > 20 for used in till.used())


async def test_settings_of_the_agent(talking: Talking, kit: Kit) -> None:
    agent = {
        "instructions": "Watch out for towns.",
        "model_parameters": {"temperature": 0.1, "max_tokens": 99},
    }
    memory = {"messageWindowSize": 3, "maxInputTokens": 60, "validKeys": ["town"]}
    provider = kit.Provider()
    async with talking(memory=memory, agent=agent, provider=provider) as talk:
        parent, conversation = None, None
        for number in range(4):
            more: dict[str, Any] = {} if parent is None else {"parentMessageId": parent}
            events = await talk.person.chat(
                f"Question {number}", conversationId=conversation, **more
            )
            parent = events[-1]["responseMessage"]["messageId"]
            conversation = events[-1]["conversation"]["conversationId"]
        asked = provider.asked("keeper-1")[-1]
        assert kit.system_prompt(asked).startswith("Watch out for towns.\n\n# Existing memory:")
        assert asked["temperature"] == 0.1
        assert asked["max_tokens"] == 99
        assert asked["messages"][-1]["content"] == (
            "# Current Chat:\n\nUser: Question 2\n\nAI: ok\n\nUser: Question 3"
        )
        key = asked["tools"][0]["function"]["parameters"]["properties"]["key"]
        assert key["enum"] == ["town"]
        await talk.person.chat("word " * 2000 + "remember the end")
        said = provider.asked("keeper-1")[-1]["messages"][-1]["content"]
        assert said.startswith("# Current Chat:\n\n[Earlier messages are left out]\n\n")
        assert said.endswith("word remember the end")
        assert len(said.split()) < 80


async def test_over_the_limit(talking: Talking, kit: Kit) -> None:
    many = [("set_memory", {"key": letter, "value": "one two three"}) for letter in "abc"]
    provider = kit.Provider(kit.remembering(*many))
    async with talking(memory={"tokenLimit": 7}, agent=True, provider=provider) as talk:
        events = await talk.person.chat("Remember all of it.")
        types = [attachment["memory"]["type"] for attachment in kit.attached(events)]
        assert types == ["update", "update", "error"]
        assert list(await talk.person.known()) == ["b", "a"]
        assert kit.attached(events)[2]["memory"]["value"] == (
            '{"errorType":"would_exceed","tokenCount":2,"totalTokens":9,"tokenLimit":7}'
        )


async def test_limit_with_many_turns_at_once(talking: Talking, kit: Kit) -> None:
    async def each(body: Mapping[str, Any]) -> Any:
        if body["messages"][-1]["role"] == "tool":
            return {"role": "assistant", "content": "done"}
        key = body["messages"][1]["content"].rsplit(" ", 1)[1]
        return kit.tool_calls(("set_memory", {"key": key, "value": "one two three"}))

    provider = kit.Provider(each)
    async with talking(memory={"tokenLimit": 10}, agent=True, provider=provider) as talk:
        await asyncio.gather(*(talk.person.chat(f"remember key {n}") for n in range(8)))
        assert len(await talk.person.known()) == 3


async def test_slow_agent(talking: Talking, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer does not wait for ever; what is stored later is stored all the same."""
    monkeypatch.setattr("locutory_agents.turns.companions.WAIT_SECONDS", 0.3)
    gate = asyncio.Event()

    async def slow(body: Mapping[str, Any]) -> Any:
        await gate.wait()
        return await kit.remembering(SET)(body)

    provider = kit.Provider(slow)
    async with talking(memory={}, agent=True, provider=provider) as talk:
        events = await talk.person.chat("Remember that I live in Ulm.")
        assert events[-1]["responseMessage"]["content"] == [{"type": "text", "text": "ok"}]
        assert await talk.person.known() == {}
        gate.set()
        assert await until(talk.person.known) == {"town": SENTENCE}
        assert kit.attached(events) == []


async def test_agent_has_a_time_limit(talking: Talking, kit: Kit) -> None:
    async def never(body: Mapping[str, Any]) -> Any:
        await asyncio.sleep(3600)

    settings = {"plugins": {"memories": {"agent_seconds": 0.3}}}
    provider = kit.Provider(never)
    async with talking(memory={}, agent=True, provider=provider, yaml=settings) as talk:
        events = await talk.person.chat("Remember that I live in Ulm.")
        assert events[-1]["final"] is True


@pytest.mark.parametrize("status", [400, 500])
async def test_failing_agent(talking: Talking, kit: Kit, status: int) -> None:
    provider = kit.Provider(status=status)
    async with talking(memory={}, agent=True, provider=provider) as talk:
        events = await talk.person.chat("Remember that I live in Ulm.")
        assert events[-1]["responseMessage"]["content"] == [{"type": "text", "text": "ok"}]
        assert kit.attached(events) == []


async def test_agent_whose_model_is_not_offered(talking: Talking, kit: Kit) -> None:
    """One warning, and chats go on."""
    agent = {"provider": "Nowhere"}
    async with talking(memory={}, agent=agent) as talk:
        for _ in range(2):
            events = await talk.person.chat("Remember that I live in Ulm.")
            assert events[-1]["final"] is True
        assert talk.provider.asked("keeper-1") == []


async def test_stopped_turn_stops_the_agent(talking: Talking, kit: Kit) -> None:
    began, stopped, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(body: Mapping[str, Any]) -> Any:
        began.set()
        await stopped.wait()
        ended.set()
        return kit.tool_calls(SET)

    provider = kit.Provider(slow)
    async with talking(memory={}, agent=True, provider=provider) as talk:
        started = await talk.person.start("Remember that I live in Ulm.")
        await began.wait()
        answer = await talk.server.client.post(
            "/api/agents/chat/abort",
            json={
                "conversationId": started["conversationId"],
                "generationCreatedAt": started["generationCreatedAt"],
                "generationProtocolVersion": 2,
            },
            headers=talk.person.headers,
        )
        assert answer.json()["success"] is True
        stopped.set()
        await ended.wait()
        await asyncio.sleep(0.2)
        assert await talk.person.known() == {}
        assert len(provider.asked("keeper-1")) == 1


async def test_who_is_not_read_along_with(talking: Talking, kit: Kit) -> None:
    """Temporary chats, users who opted out, deployments without an enabled agent."""
    account = {"_id": ObjectId(kit.other), "personalization": {"memories": False}}
    async with talking(memory={}, agent=True, sign_in=SignIn({kit.other: account})) as talk:
        await talk.person.chat("Hello", isTemporary=True)
        await kit.Person(talk.server.client, kit.other).chat("Hello")
        assert talk.provider.asked("keeper-1") == []
        await talk.person.chat("Hello")
        assert len(talk.provider.asked("keeper-1")) == 1
    for agent in ({"enabled": False}, {"enabled": None}):
        async with talking(memory={}, agent=agent) as talk:
            await talk.person.chat("Hello")
            assert talk.provider.asked("keeper-1") == []
    async with talking(memory={"disabled": True}, agent=True) as talk:
        await talk.person.chat("Hello")
        assert talk.provider.asked("keeper-1") == []


async def test_specs_are_not_asked_of_the_agent(talking: Talking, kit: Kit) -> None:
    """Where users must choose a model spec, the memory agent need not."""
    spec = {"name": "s", "label": "S", "preset": {"endpoint": "Fake", "model": "fake-1"}}
    specs = {"modelSpecs": {"enforce": True, "list": [spec]}}
    async with talking(memory={}, agent=True, yaml=specs) as talk:
        await talk.person.chat("Hello", spec="s")
        assert len(talk.provider.asked("keeper-1")) == 1


async def test_settings_are_read_again(talking: Talking, kit: Kit) -> None:
    """A changed section counts from the next turn on."""
    async with talking(memory={}, agent=True) as talk:
        await talk.person.remember("town", SENTENCE)
        kernel = talk.server.kernel
        changed = {**talk.yaml, "memory": {"tokenLimit": 50}}
        kernel.reload(Sources(SECRETS, changed))
        await talk.person.chat("Hello")
        assert talk.provider.asked("keeper-1") == []
        assert (await talk.person.call("GET")).json()["tokenLimit"] == 50
        kernel.reload(Sources(SECRETS, {**changed, "memory": {"disabled": True}}))
        await talk.person.chat("Hello")
        assert kit.system_prompt(talk.provider.seen[-1]) == ""


async def test_stored_agent_is_not_available(
    talking: Talking, kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear warning at the start, and no agent."""
    memory = {"agent": {"enabled": True, "id": "agent_123"}}
    async with talking(memory=memory) as talk:
        assert "memory.agent.id: agent_123 has no effect" in capsys.readouterr().out
        await talk.person.chat("Hello")
        assert len(talk.provider.seen) == 1


class Gone(Plugin):
    """Accounts, none of which exists."""

    name = "testaccounts"
    summary = "Accounts for tests"
    provides = (ACCOUNTS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNTS, self)]

    async def find(self, user_id: str) -> None:
        return None

    async def update(self, user_id: str, fields: Mapping[str, Any]) -> None:
        return None


async def test_nothing_is_stored_for_a_deleted_account(talking: Talking, kit: Kit) -> None:
    provider = kit.Provider(kit.remembering(SET))
    async with talking(Gone(), memory={}, agent=True, provider=provider) as talk:
        events = await talk.person.chat("Remember that I live in Ulm.")
        assert kit.attached(events) == []
        assert await talk.person.known() == {}
        answer = await talk.person.call("PATCH", "/preferences", {"memories": False})
        assert (answer.status_code, answer.json()) == (404, {"error": "User not found."})


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"agent": {"enabled": True}}, "needs id, or provider and model"),
        ({"tokenLimit": "many"}, "memory.tokenLimit"),
        ({"maxInputTokens": 0}, "memory.maxInputTokens"),
        ({"validKeys": "town"}, "memory.validKeys"),
        ("on", "memory"),
    ],
)
async def test_wrong_sections(serve: Serve, section: Any, said: str) -> None:
    with pytest.raises(StartupError, match=said):
        async with serve("memories", yaml={"memory": section}):
            pass


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"tokenLimits": 5}, "nobody reads memory.tokenLimits, did you mean 'tokenLimit'?"),
        ({"agent": {"modle": "x"}}, "nobody reads memory.agent.modle, did you mean 'model'?"),
        (
            {"agent": {"provider": "openAI", "model": "m", "temperature": 0.3}},
            "nobody reads memory.agent.temperature",
        ),
    ],
)
async def test_unknown_keys_are_tolerated_and_told(serve: Serve, section: Any, said: str) -> None:
    async with serve("memories", yaml={"memory": section}) as server:
        (told,) = server.kernel.configuration.warnings
    assert told.startswith(said)
