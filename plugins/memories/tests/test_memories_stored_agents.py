"""Memories and the agents that users make (contract memories §1, §4)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from plugins.memories.tests.conftest import Kit, Talking

from locutory import Plugin, Principal, Provide, hook
from locutory.access import Decision
from locutory_contracts.agents import STORED_AGENTS

BASE = {"provider": "Fake", "model": "fake-1", "instructions": "You are a diary."}


class Agents(Plugin):
    """Agents in memory; those in ``hidden`` may be used by nobody."""

    name = "testagents"
    summary = "Stored agents for tests"
    provides = (STORED_AGENTS,)

    def __init__(self, **agents: Mapping[str, Any]) -> None:
        self.agents = {name: {"id": name, **BASE, **agent} for name, agent in agents.items()}
        self.hidden: set[str] = set()

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STORED_AGENTS, self)]

    async def find(self, agent_id: str) -> Mapping[str, Any] | None:
        return self.agents.get(agent_id)

    async def decide(
        self, principal: Principal, agent: Any, needed: int = 1, *, remote: bool = False
    ) -> Decision:
        return Decision(agent["id"] not in self.hidden, "test")

    async def reachable(self, principal: Principal) -> Sequence[Mapping[str, Any]]:
        return []


def call(*calls: tuple[str, Any]) -> str:
    return "CALL:" + json.dumps(calls)


def to(agent: str) -> dict[str, str]:
    return {"endpoint": "agents", "agent_id": agent, "endpointType": "", "model": ""}


async def test_agent_with_a_pool_of_its_own(talking: Talking, kit: Kit) -> None:
    own = {"name": "Diary", "tools": ["memory"], "memory_scope": "agent"}
    agents = Agents(agent_own=own, agent_shared={"tools": ["memory"]}, agent_plain={"tools": []})
    async with talking(agents, memory={}) as talk:
        ann, provider = talk.person, talk.provider
        await ann.remember("town", "The user lives in Ulm.")
        text = call(("set_memory", {"key": "mood", "value": "The user is glad."}))
        events = await ann.chat(text, **to("agent_own"))
        assert [attachment["memory"]["agentId"] for attachment in kit.attached(events)] == [
            "agent_own"
        ]
        await ann.chat("Hello", **to("agent_own"))
        told = kit.system_prompt(provider.seen[-1])
        assert told.startswith("You are a diary.")
        assert "[key: mood, 5 tokens]. The user is glad." in told
        assert "Ulm" not in told
        events = await ann.chat(call(("delete_memory", {"key": "town"})), **to("agent_own"))
        assert kit.attached(events) == []
        await ann.chat("Hello", **to("agent_shared"))
        told = kit.system_prompt(provider.seen[-1])
        assert "[key: town, 7 tokens]" in told
        assert "glad" not in told
        # The badge does not give tools to an agent that has none.
        await ann.chat("Hello", ephemeralAgent={"memory": True}, **to("agent_plain"))
        assert "tools" not in provider.seen[-1]
        assert "1 tokens" not in kit.system_prompt(provider.seen[-1])
        memories = (await ann.call("GET")).json()["memories"]
        assert [m.get("agentName") for m in memories] == ["Diary", None]
        agents.hidden.add("agent_own")
        memories = (await ann.call("GET")).json()["memories"]
        assert all("agentName" not in memory for memory in memories)


async def test_stored_agent_as_memory_agent(talking: Talking, kit: Kit) -> None:
    """Its model, parameters and instructions count; it writes to the scope of the turn."""
    keeper = {
        "model": "keeper-1",
        "instructions": "Keep moods.",
        "model_parameters": {"top_p": 0.5},
    }
    agents = Agents(agent_keeper=keeper, agent_own={"tools": [], "memory_scope": "agent"})
    agents.hidden.add("agent_keeper")
    provider = kit.Provider(kit.remembering(("set_memory", {"key": "mood", "value": "Glad."})))
    memory = {"agent": {"enabled": True, "id": "agent_keeper"}}
    async with talking(agents, memory=memory, provider=provider) as talk:
        events = await talk.person.chat("Remember that I am glad.", **to("agent_own"))
        asked = provider.asked("keeper-1")[0]
        assert kit.system_prompt(asked).startswith("Keep moods.\n\n# Existing memory:\nNone yet")
        assert (asked["top_p"], asked["temperature"]) == (0.5, 0.4)
        assert kit.attached(events)[0]["memory"]["agentId"] == "agent_own"
        del agents.agents["agent_keeper"]
        events = await talk.person.chat("Remember that I am glad.")
        assert events[-1]["final"] is True
        assert kit.attached(events) == []
