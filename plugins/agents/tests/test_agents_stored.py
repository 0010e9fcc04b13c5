"""Turns with agents that users made, and runs of them without a conversation."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from bson import ObjectId

from locutory import Decision, On, Plugin, Provide, hook
from locutory.access import Principal
from locutory_agents.turns.turn_manager import TurnManager
from locutory_contracts.access import VIEW
from locutory_contracts.agents import AGENT_RUNS, STORED_AGENTS, AgentTask, ToolResult
from locutory_contracts.chat import TurnRefused, TurnStarting, UsageReported
from locutory_contracts.models import (
    Finished,
    ModelFailure,
    ModelRefused,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from locutory_testing import Serve, Server, SignIn

USER, OTHER = "a" * 24, "b" * 24
GOLDEN = {
    "_id": ObjectId(),
    "id": "agent_golden",
    "name": "Golden",
    "instructions": "be golden, {{current_user}}",
    "provider": "Fake",
    "model": "fake-7",
    "model_parameters": {"maxContextTokens": 20000},
}


class Gallery(Plugin):
    """One stored agent that only one user may use."""

    name = "testgallery"
    summary = "Stored agents for tests"
    provides = (STORED_AGENTS,)

    def __init__(self, **more: Any) -> None:
        self.agent = GOLDEN | more

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STORED_AGENTS, self)]

    async def find(self, agent_id: str) -> Mapping[str, Any] | None:
        return self.agent if agent_id == self.agent["id"] else None

    async def decide(
        self,
        principal: Principal,
        agent: Mapping[str, Any],
        needed: int = VIEW,
        *,
        remote: bool = False,
    ) -> Decision:
        return Decision(principal.id == USER, "test")

    async def reachable(self, principal: Principal) -> Sequence[Mapping[str, Any]]:
        return [self.agent]


def named(**more: Any) -> dict[str, Any]:
    return {"endpoint": "agents", "agent_id": "agent_golden", "model": "other", **more}


async def test_a_turn_with_a_stored_agent(serve: Serve, kit: Any) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history, Gallery()) as server:
        events = await kit.chatter(server).chat("ECHO:hello", **named(temperature=2))
        final = events[-1].data
        answer = final["responseMessage"]
        assert (answer["sender"], answer["model"]) == ("Golden", "agent_golden")
        assert answer["endpoint"] == "agents"
        body = models.bodies[0]
        assert (body["endpoint"], body["model"]) == ("Fake", "fake-7")
        assert body["maxContextTokens"] == 20000
        assert "temperature" not in body
        assert models.calls[0].messages[0] == {
            "role": "system",
            "content": "be golden, Test User",
        }
        conversation = final["conversation"]
        assert conversation["agent_id"] == "agent_golden"
        assert conversation["endpoint"] == "agents"
        assert "model" not in conversation
        assert "temperature" not in conversation
        usage = next(e.data["data"] for e in events if e.name == "on_context_usage")
        assert usage["agentId"] == "agent_golden"


async def test_agents_that_may_not_be_used(serve: Serve, kit: Any) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, Gallery()) as server:
        other = kit.chatter(server, user=OTHER)
        refused = await other.post("/agents", other.body("ECHO:no", **named()))
        assert refused.status_code == 403
        assert refused.json() == {
            "error": "Forbidden",
            "message": "Insufficient permissions to access this agent",
        }
        unknown = await other.post("/agents", other.body("ECHO:no", **named(agent_id="agent_x")))
        assert unknown.status_code == 404
        added = {"endpoint": "agents", "agent_id": "agent_golden"}
        second = await other.post("/Fake", other.body("ECHO:no", addedConvo=added))
        assert second.status_code == 403
        assert models.calls == []


async def test_two_agents_side_by_side(serve: Serve, kit: Any) -> None:
    async with serve("agents", SignIn(), kit.Models(), Gallery()) as server:
        added = {"endpoint": "agents", "agent_id": "agent_golden"}
        events = await kit.chatter(server).chat("ECHO:both", addedConvo=added)
        agents = [part["agentId"] for part in events[-1].data["responseMessage"]["content"]]
        assert sorted(agents) == ["Fake__fake-1___Fake", "agent_golden____1"]


async def test_a_provider_that_agents_may_not_use(serve: Serve, kit: Any) -> None:
    yaml = {"endpoints": {"agents": {"allowedProviders": ["openAI"]}}}
    async with serve("agents", SignIn(), kit.Models(), Gallery(), yaml=yaml) as server:
        events = await kit.chatter(server).chat("ECHO:no", **named())
        assert events[-1].data["error"] == '{"type":"invalid_agent_provider","info":"Fake"}'


async def test_an_agent_sets_its_own_number_of_steps(serve: Serve, kit: Any) -> None:
    gallery = Gallery(recursion_limit=1)
    async with serve("agents", SignIn(), kit.Models(), gallery, kit.Tools()) as server:
        call = 'CALL:[["add", {"a": 1, "b": 2}]]'
        events = await kit.chatter(server).chat(call, **named())
        last = events[-1].data["responseMessage"]["content"][-1]
        assert last["type"] == "error"
        assert "after 1 steps" in last["error"]


def principal() -> Principal:
    return Principal(USER, account={"name": "Tester"})


def task(*messages: tuple[str, str], agent: Mapping[str, Any] = GOLDEN) -> AgentTask:
    said = [{"role": role, "content": content} for role, content in messages]
    return AgentTask(agent, said, "11111111-1111-4111-8111-111111111111", "response")


async def collect(server: Server, wanted: AgentTask) -> list[Any]:
    runs = server.kernel.services.get(AGENT_RUNS)
    return [event async for event in runs.run(principal(), wanted)]


async def test_a_run_without_a_conversation(serve: Serve, kit: Any) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        events = await collect(
            server,
            task(
                ("system", "be brief"),
                ("user", "before"),
                ("assistant", "yes"),
                ("user", "THINK:well now|so it is"),
            ),
        )
        assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == "well now"
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "so it is"
        assert isinstance(events[-2], Finished)
        assert isinstance(events[-1], Usage)
        sent = models.calls[0].messages
        assert sent[0]["content"] == "be golden, Tester\n\nbe brief"
        assert [m["content"] for m in sent[1:]] == ["before", "yes", "THINK:well now|so it is"]
        assert history.stored == {}
        assert history.conversations == {}


async def test_tools_of_a_run(serve: Serve, kit: Any) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.Tools()) as server:
        events = await collect(
            server, task(("user", 'CALL:[["add", {"a": 1, "b": 2}], ["show", {}]]'))
        )
        calls = [e for e in events if isinstance(e, ToolCallDelta)]
        assert [(c.index, c.name) for c in calls if c.name] == [(0, "add"), (1, "show")]
        assert "".join(c.arguments for c in calls if c.index == 0) == '{"a": 1, "b": 2}'
        results = {e.call_id: e for e in events if isinstance(e, ToolResult)}
        assert [result.output for result in results.values()] == ["3", "shown"]
        shown = list(results.values())[1].attachments
        assert [attachment["type"] for attachment in shown] == ["web_search"]


async def test_usage_of_a_run(serve: Serve, kit: Any) -> None:
    async with serve("agents", SignIn(), kit.Models()) as server:
        events = await collect(server, task(("user", "USE:some words")))
        assert (events[-1].input_tokens, events[-1].output_tokens) == (10, 4)


async def test_runs_that_fail(serve: Serve, kit: Any) -> None:
    async with serve("agents", SignIn(), kit.Models()) as server:
        with pytest.raises(ModelFailure, match="forced failure"):
            await collect(server, task(("user", "FAIL:503")))
        with pytest.raises(ModelRefused):
            await collect(server, task(("user", "ECHO:x"), agent=GOLDEN | {"provider": "Nope"}))


async def test_closing_a_run_ends_it(serve: Serve, kit: Any) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models) as server:
        runs = server.kernel.services.get(AGENT_RUNS)
        running: Any = runs.run(principal(), task(("user", "HANG")))
        first = await anext(running)
        assert first == TextDelta("before")
        await running.aclose()
        await kit.until(lambda: models.closed == 1)
        await asyncio.sleep(0)


async def test_a_run_is_paid_for_like_a_turn(serve: Serve, kit: Any) -> None:
    """Asked for before the model is, and settled whatever becomes of it."""
    models = kit.Models()
    told: list[UsageReported] = []
    poor = False

    async def check(step: TurnStarting) -> None:
        assert step.prompt_tokens > 0
        assert step.turn.principal.id == USER
        if poor:
            raise TurnRefused('{"type":"token_balance"}')

    async def settle(fact: UsageReported) -> None:
        told.append(fact)

    async with serve("agents", SignIn(), models) as server:
        server.kernel.events.subscribe(On(TurnStarting, check), "test")
        server.kernel.events.subscribe(On(UsageReported, settle), "test")
        await collect(server, task(("user", "USE:some words")))
        await kit.until(lambda: len(told) == 1)
        assert [used.output_tokens for used in told[0].usage] == [4]
        with pytest.raises(ModelFailure):
            await collect(server, task(("user", "FAIL:503")))
        poor, asked = True, len(models.calls)
        with pytest.raises(TurnRefused):
            await collect(server, task(("user", "ECHO:x")))
        await kit.until(lambda: len(told) == 3)
        assert [fact.settles for fact in told] == [True, True, True]
        assert told[2].usage == ()
        assert len(models.calls) == asked


async def test_nothing_runs_before_the_start() -> None:
    """Commands of other plugins delete and ban accounts in a process that is not started."""
    chat: Any = TurnManager(None, None)  # type: ignore[arg-type]
    await chat.stop_all(USER)
