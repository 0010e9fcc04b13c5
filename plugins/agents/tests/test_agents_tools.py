"""The tool loop (chat-stream §6.3, §6.7; endpoints §4.4)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from plugins.agents.tests.conftest import Event, Kit

from locutory import Plugin, Provide, hook
from locutory_agents.loop.tools import fits
from locutory_contracts.chat import CONTEXT_SOURCES, TOOLS, Tool, Turn
from locutory_contracts.models import Finished, ModelCall, ModelEvent, TextDelta, ToolCallDelta
from locutory_testing import Serve, SignIn


def call(*calls: tuple[str, Any]) -> str:
    return "CALL:" + json.dumps(calls)


def results(events: Sequence[Event]) -> list[Mapping[str, Any]]:
    return [
        event.data["data"]["result"]["tool_call"]
        for event in events
        if event.name == "on_run_step_completed"
    ]


async def test_one_call(serve: Serve, kit: Kit) -> None:
    """The sequence of the recorded turn, with arguments that arrive in pieces."""
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history, kit.Tools()) as server:
        events = await kit.chatter(server).chat(call(("add", {"a": 1, "b": 2})))
        assert kit.names(events) == [
            "created",
            "on_context_usage",
            "on_run_step",
            "on_run_step_closed",
            "on_run_step",
            "on_run_step_delta",
            "on_run_step_completed",
            "on_run_step_closed",
            "on_context_usage",
            "on_run_step",
            "on_message_delta",
            "on_run_step_closed",
            "final",
        ]
        steps = [event.data["data"] for event in events if event.name == "on_run_step"]
        assert [(s["type"], s["index"], s["stepIndex"]) for s in steps] == [
            ("message_creation", 0, 0),
            ("tool_calls", 1, 1),
            ("message_creation", 2, 0),
        ]
        assert "content_type" not in steps[0]["stepDetails"]["message_creation"]
        assert steps[1]["stepDetails"]["tool_calls"] == [
            {"name": "add", "args": "", "id": "call_0abcdefgh", "type": "tool_call"}
        ]
        pieces = "".join(
            event.data["data"]["delta"]["tool_calls"][0]["args"]
            for event in events
            if event.name == "on_run_step_delta"
        )
        assert json.loads(pieces) == {"a": 1, "b": 2}
        assert results(events) == [
            {
                "args": '{"a":1,"b":2}',
                "name": "add",
                "id": "call_0abcdefgh",
                "output": "3",
                "progress": 1,
            }
        ]
        content = events[-1].data["responseMessage"]["content"]
        duration = content[0]["tool_call"].pop("runStepDurationMs")
        assert isinstance(duration, int)
        assert content == [
            {
                "type": "tool_call",
                "tool_call": {
                    "id": "call_0abcdefgh",
                    "name": "add",
                    "args": '{"a":1,"b":2}',
                    "type": "tool_call",
                    "output": "3",
                    "progress": 1,
                    "runStepStatus": "completed",
                },
            },
            {"type": "text", "text": "results: 3"},
        ]
        usage = events[1].data["data"]["breakdown"]
        assert usage["toolCount"] == 6
        assert usage["toolSchemaTokens"] == sum(usage["toolTokenCounts"].values()) > 0
        assert usage["availableForMessages"] == 28880 - usage["instructionTokens"]
        second = models.calls[1].messages
        assert second[1:] == [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "call_0abcdefgh",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_0abcdefgh", "content": "3"},
        ]
        final = events[-1].data
        await kit.chatter(server).chat(
            "ECHO:next",
            conversationId=final["conversation"]["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
        )
        roles = [message["role"] for message in models.calls[-1].messages]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]


async def test_whole_arguments_in_one_piece(serve: Serve, kit: Kit) -> None:
    async def script(model_call: ModelCall) -> AsyncIterator[ModelEvent]:
        if any(message["role"] == "tool" for message in model_call.messages):
            yield TextDelta("done")
        else:
            yield TextDelta("Let me add. ")
            yield ToolCallDelta(0, id="call_x1234567", name="add", arguments='{"a": 1, "b": 1}')
            yield Finished("tool_calls")

    async with serve("agents", SignIn(), kit.Models(script), kit.History(), kit.Tools()) as server:
        events = await kit.chatter(server).chat("x")
        steps = [event.data["data"] for event in events if event.name == "on_run_step"]
        assert steps[1]["stepDetails"]["tool_calls"][0]["args"] == {"a": 1, "b": 1}
        delta = next(event.data["data"] for event in events if event.name == "on_run_step_delta")
        assert delta["delta"]["tool_calls"] == [
            {
                "name": "add",
                "args": '{"a": 1, "b": 1}',
                "id": "call_x1234567",
                "index": 0,
                "type": "tool_call_chunk",
            }
        ]
        kinds = [part["type"] for part in events[-1].data["responseMessage"]["content"]]
        assert kinds == ["text", "tool_call", "text"]


async def test_calls_run_side_by_side(serve: Serve, kit: Kit) -> None:
    tools = kit.Tools()
    async with serve("agents", SignIn(), kit.Models(), kit.History(), tools) as server:
        user = kit.chatter(server)
        started = await user.start(call(*[("wait", {})] * 5))
        await kit.until(lambda: tools.running == 5)
        tools.go_on.set()
        events = await user.events(started)
        assert [result["output"] for result in results(events)] == ["waited"] * 5
        steps = [event.data["data"]["index"] for event in events if event.name == "on_run_step"]
        assert steps == [0, 1, 2, 3, 4, 5, 6]


async def test_what_goes_wrong_becomes_a_result(serve: Serve, kit: Kit) -> None:
    calls = [
        ("fail", {}),
        ("slow", {}),
        ("nothing", {}),
        ("add", {"a": 1}),
        ("add", '{"a": 1,'),
        ("add", "[1]"),
        ("add", {"a": 1, "b": 1}),
    ]
    async with serve("agents", SignIn(), kit.Models(), kit.History(), kit.Tools()) as server:
        events = await kit.chatter(server).chat(call(*calls))
        found = {result["id"]: result for result in results(events)}
        outputs = [found[f"call_{index}abcdefgh"]["output"] for index in range(len(calls))]
        mismatch = (
            "Error: Received tool input did not match expected schema\n Please fix your mistakes."
        )
        assert outputs == [
            "Error: fail failed: it broke",
            "Error: the tool did not answer within 0.1 seconds.",
            "Error: there is no tool named 'nothing'.",
            mismatch,
            "Error: the arguments are not valid JSON.\n Please fix your mistakes.",
            mismatch,
            "2",
        ]
        assert found["call_4abcdefgh"]["inputValidationError"] is True
        assert "inputValidationError" not in found["call_3abcdefgh"]
        closed = {
            event.data["data"]["index"]: event.data["data"]["status"]
            for event in events
            if event.name == "on_run_step_closed"
        }
        assert [closed[index] for index in (1, 2, 3, 4, 7)] == [
            "failed",
            "failed",
            "failed",
            "completed",
            "completed",
        ]
        assert events[-1].name == "final"
        assert events[-1].data["responseMessage"]["content"][-1]["text"].startswith("results: ")


async def test_long_results_are_cut(serve: Serve, kit: Kit) -> None:
    models = kit.Models(context_tokens=1_000_000)
    async with serve("agents", SignIn(), models, kit.History(), kit.Tools()) as server:
        events = await kit.chatter(server).chat(call(("long", {})))
        output = results(events)[0]["output"]
        assert len(output) < 101_000
        assert output.endswith("[cut: 500000 characters in all]")


async def test_results_that_do_not_fit_are_shortened(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History(), kit.Tools()) as server:
        events = await kit.chatter(server).chat(call(("long", {})), maxContextTokens=4000)
        assert events[-1].name == "final"
        sent = models.calls[1].messages[-1]["content"]
        assert sent.endswith("[shortened]")
        assert len(sent) < 4000 * 4


async def test_attachments(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history, kit.Tools()) as server:
        events = await kit.chatter(server).chat(call(("show", {})))
        told = next(event.data["data"] for event in events if event.name == "attachment")
        answer = events[-1].data["responseMessage"]
        assert told == {
            "type": "web_search",
            "web_search": {"turn": 0},
            "messageId": answer["messageId"],
            "toolCallId": "call_0abcdefgh",
            "conversationId": answer["conversationId"],
        }
        assert answer["attachments"] == [told]
        assert history.answer(answer["conversationId"])["attachments"] == [told]


async def test_endless_loop_is_ended(serve: Serve, kit: Kit) -> None:
    async def script(model_call: ModelCall) -> AsyncIterator[ModelEvent]:
        yield ToolCallDelta(0, id="", name="wait", arguments="{}")
        yield Finished("tool_calls")

    yaml = {"endpoints": {"agents": {"recursionLimit": 4}}}
    models, history, tools = kit.Models(script), kit.History(), kit.Tools()
    tools.go_on.set()
    async with serve("agents", SignIn(), models, history, tools, yaml=yaml) as server:
        events = await kit.chatter(server).chat("x")
        content = events[-1].data["responseMessage"]["content"]
        assert [part["type"] for part in content] == ["tool_call", "tool_call", "error"]
        assert "after 4 steps" in content[-1]["error"]
        assert len(models.calls) == 2
        ids = {part["tool_call"]["id"] for part in content[:2]}
        assert len(ids) == 2
        assert all(name.startswith("call_") for name in ids)


@pytest.mark.parametrize(("limit", "ended"), [(20, True), (0, False)])
async def test_arguments_have_a_limit(serve: Serve, kit: Kit, limit: int, ended: bool) -> None:
    yaml = {"endpoints": {"agents": {"maxToolCallArgBytes": limit}}}
    async with serve(
        "agents", SignIn(), kit.Models(), kit.History(), kit.Tools(), yaml=yaml
    ) as server:
        events = await kit.chatter(server).chat(call(("add", {"a": 1, "b": 2, "c": "x" * 50})))
        kinds = [part["type"] for part in events[-1].data["responseMessage"]["content"]]
        assert ("error" in kinds) is ended


async def test_parts_have_a_limit(serve: Serve, kit: Kit) -> None:
    yaml = {"endpoints": {"agents": {"maxDeltaEventsPerTurn": 3}}}
    async with serve("agents", SignIn(), kit.Models(), kit.History(), yaml=yaml) as server:
        events = await kit.chatter(server).chat("ECHO:a b c d e")
        content = events[-1].data["responseMessage"]["content"]
        assert content[0]["text"] == "a b c d"
        assert content[1]["type"] == "error"


async def test_stop_while_tools_run(serve: Serve, kit: Kit) -> None:
    """A call without a result is kept as cancelled, and answered in the next history."""
    models, history, tools = kit.Models(), kit.History(), kit.Tools()
    async with serve("agents", SignIn(), models, history, tools) as server:
        user = kit.chatter(server)
        started = await user.start(call(("wait", {}), ("add", {"a": 1, "b": 1})))
        await kit.until(lambda: tools.running == 1)
        await user.stop(started)
        stored = history.answer(started["conversationId"])
        first, second = (part["tool_call"] for part in stored["content"])
        assert first["runStepStatus"] == "cancelled"
        assert "output" not in first
        assert second["output"] == "2"
        models.calls.clear()
        await user.chat(
            "ECHO:go on",
            conversationId=started["conversationId"],
            parentMessageId=stored["messageId"],
        )
        sent = models.calls[0].messages
        assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool", "user"]
        assert sent[2]["content"] == "[cancelled]"


async def test_resume_between_tools(serve: Serve, kit: Kit) -> None:
    tools = kit.Tools()
    async with serve("agents", SignIn(), kit.Models(), kit.History(), tools) as server:
        user = kit.chatter(server)
        started = await user.start(call(("wait", {})))
        await kit.until(lambda: tools.running == 1)
        reader = asyncio.create_task(user.events(started, resume=True))
        await kit.until(lambda: kit.readers(server) == [1])
        tools.go_on.set()
        events = await reader
        content = events[0].data["resumeState"]["aggregatedContent"]
        assert content == [
            {"type": "text", "text": "", "tool_call_ids": ["call_0abcdefgh"]},
            {
                "type": "tool_call",
                "tool_call": {
                    "id": "call_0abcdefgh",
                    "name": "wait",
                    "args": "{}",
                    "type": "tool_call",
                    "progress": 0.1,
                },
            },
        ]
        assert kit.names(events)[:3] == ["sync", "on_run_step_completed", "on_run_step_closed"]


async def test_clock(serve: Serve, kit: Kit) -> None:
    yaml = {"plugins": {"agents": {"tools": ["current_datetime"], "date_in_prompt": True}}}
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History(), yaml=yaml) as server:
        user = kit.chatter(server)
        calls = [("current_datetime", {}), ("current_datetime", {"timezone": "Asia/Tokyo"})]
        calls.append(("current_datetime", {"timezone": "Moon/Crater"}))
        events = await user.chat(call(*calls), timezone="America/New_York")
        outputs = sorted((result["id"], result["output"]) for result in results(events))
        assert " UTC-0" in outputs[0][1]
        assert outputs[1][1].endswith(" UTC+0900")
        assert outputs[2][1] == "Error: 'Moon/Crater' is not an IANA time zone."
        system = models.calls[0].messages[0]
        assert system["role"] == "system"
        assert "America/New_York" in system["content"]
        usage = events[1].data["data"]["breakdown"]
        assert usage["dynamicInstructionTokens"] > 0
        assert usage["systemMessageTokens"] == 0


async def test_guide_is_offered_the_clock(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        user = kit.chatter(server)
        await user.chat("ECHO:x", endpoint="Guide")
        await user.chat("ECHO:x")
        assert [tool.name for tool in models.calls[0].tools] == ["current_datetime"]
        assert models.calls[1].tools == []


class BrokenSources(Plugin):
    """Sources that raise, or offer a taken name."""

    name = "brokensources"
    summary = "Broken sources for tests"
    provides = (TOOLS, CONTEXT_SOURCES)

    @hook
    def services(self) -> list[Provide]:
        return [
            Provide(TOOLS, self, "raising"),
            Provide(CONTEXT_SOURCES, self, "raising"),
            Provide(CONTEXT_SOURCES, _Polite(), "polite"),
        ]

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        raise RuntimeError("no tools today")

    async def context(self, turn: Turn) -> str | None:
        raise RuntimeError("no context today")


class _Polite:
    async def context(self, turn: Turn) -> str | None:
        return f"Say please to {turn.endpoint}." + "!" * int(turn.body.get("loud", 0))


async def test_broken_sources_are_left_out(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    async with serve(
        "agents", SignIn(), models, kit.History(), kit.Tools(), BrokenSources()
    ) as server:
        events = await kit.chatter(server).chat("ECHO:x", promptPrefix="Be kind.")
        assert events[-1].name == "final"
        assert models.calls[0].messages[0]["content"] == "Be kind.\n\nSay please to Fake."
        assert len(models.calls[0].tools) == 6
        wide = {"maxContextTokens": 10_000_000, "loud": 1_000_000}
        await kit.chatter(server).chat("ECHO:x", **wide)
        assert len(models.calls[1].messages[0]["content"]) == 100_000


def test_schemas_cannot_do_harm() -> None:
    remote = {"$ref": "http://169.254.169.254/schema.json"}
    assert fits(remote, {"a": 1})
    slow = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    assert not fits(slow, {"a": "a" * 5000 + "b"})
    assert fits({"type": "nonsense"}, {})
    assert not fits({"type": "object", "required": ["a"]}, {})
