"""Runs of agents for programs (`AGENT_RUNS`): how they end and what they used."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from plugins.agents.tests.conftest import Kit

from locutory.access import Principal
from locutory_contracts.agents import AGENT_RUNS, AgentEvent, AgentTask
from locutory_contracts.models import (
    Finished,
    ModelCall,
    ModelEvent,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from locutory_testing import Serve, Server, SignIn


async def run(server: Server, kit: Kit, text: str) -> list[AgentEvent]:
    """All events of a run."""
    agent = {"id": "agent_x", "provider": "Fake", "model": "fake-1"}
    said = [{"role": "user", "content": text}]
    task = AgentTask(agent, said, str(uuid4()), f"run_{uuid4().hex}")
    runs = server.kernel.services.get(AGENT_RUNS)
    return [event async for event in runs.run(Principal(kit.user), task)]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("eos", "stop"),
        ("tool_calls", "tool_calls"),
        (None, "stop"),
    ],
)
async def test_a_run_tells_why_its_answer_ended(
    serve: Serve, kit: Kit, told: str | None, reason: str
) -> None:
    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        yield TextDelta("half of it")
        if told is not None:
            yield Finished(told)

    async with serve("agents", SignIn(), kit.Models(script)) as server:
        events = await run(server, kit, "hello")
    assert [event.reason for event in events if isinstance(event, Finished)] == [reason]
    assert isinstance(events[-2], Finished)
    assert isinstance(events[-1], Usage)


async def test_the_last_answer_decides(serve: Serve, kit: Kit) -> None:
    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        if call.messages[-1]["role"] == "tool":
            yield TextDelta("3, and the rest")
            yield Finished("length")
            return
        yield ToolCallDelta(0, "call_1", "add", '{"a":1,"b":2}')
        yield Finished("tool_calls")

    async with serve("agents", SignIn(), kit.Models(script), kit.Tools()) as server:
        events = await run(server, kit, "add")
    assert events[-2] == Finished("length")


async def test_usage_that_no_provider_told_is_in_the_sum(serve: Serve, kit: Kit) -> None:
    """As it is billed: a program that tracks costs must not read zeros."""
    async with serve("agents", SignIn(), kit.Models()) as server:
        usage = (await run(server, kit, "ECHO:" + "word " * 40))[-1]
        assert isinstance(usage, Usage)
        assert 20 <= usage.output_tokens <= 120
        assert usage.input_tokens > 20
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        told = (await run(server, kit, "USE:four tokens"))[-1]
        assert isinstance(told, Usage)
        assert (told.input_tokens, told.output_tokens, told.cache_read) == (10, 4, 2)
