"""Calls and results in histories of programs: nothing unpaired reaches a provider."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.agents.tests.conftest import Kit

from locutory.access import Principal
from locutory_agents.headless.pairing import paired
from locutory_contracts.agents import AGENT_RUNS, AgentTask
from locutory_contracts.models import ModelFailure
from locutory_testing import Serve, SignIn

USER = {"role": "user", "content": "q"}


def call(call_id: str, arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def asks(*ids: str, content: Any = "") -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": [call(name) for name in ids]}


def says(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def result(call_id: str, content: Any = "r") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


CASES = {
    "a call that nobody answered": (
        [USER, asks("c", content="fine"), USER],
        [USER, says("fine"), USER],
    ),
    "and without a word": ([USER, asks("c"), USER], [USER, USER]),
    "content null": ([USER, asks("c", content=None), USER], [USER, USER]),
    "blank": ([USER, asks("c", content=" \n"), USER], [USER, USER]),
    "parts": (
        [USER, asks("c", content=[{"type": "text", "text": "t"}]), USER],
        [USER, says([{"type": "text", "text": "t"}]), USER],
    ),
    "empty parts": ([USER, asks("c", content=[{"type": "text", "text": ""}]), USER], [USER, USER]),
    "a result without its call": ([USER, result("c"), USER], [USER, USER]),
    "at the beginning": ([result("c"), USER], [USER]),
    "at the end": ([USER, says("a"), result("c")], [USER, says("a")]),
    "a pair": ([USER, asks("c"), result("c"), USER], [USER, asks("c"), result("c"), USER]),
    "a result of another call": ([USER, asks("c"), result("d"), USER], [USER, USER]),
    "one of two": (
        [USER, asks("a", "b"), result("b"), USER],
        [USER, asks("b"), result("b"), USER],
    ),
    "in the other order": (
        [USER, asks("a", "b"), result("b", "2"), result("a", "1"), USER],
        [USER, asks("a", "b"), result("a", "1"), result("b", "2"), USER],
    ),
    "later": (
        [USER, asks("c"), USER, result("c"), USER],
        [USER, asks("c"), result("c"), USER, USER],
    ),
    "before": ([USER, result("c"), asks("c"), USER], [USER, USER]),
    "two results": (
        [USER, asks("c"), result("c", "1"), result("c", "2"), USER],
        [USER, asks("c"), result("c", "1"), USER],
    ),
    "an id twice in one message": (
        [USER, asks("c", "c"), result("c"), USER],
        [USER, asks("c"), result("c"), USER],
    ),
    "an id again": (
        [USER, asks("c"), result("c", "1"), USER, asks("c"), result("c", "2"), USER],
        [USER, asks("c"), result("c", "1"), USER, asks("c_2"), result("c_2", "2"), USER],
    ),
    "an id again, answered once": (
        [USER, asks("c"), USER, asks("c"), result("c", "2"), USER],
        [USER, USER, asks("c"), result("c", "2"), USER],
    ),
    "no id": ([USER, asks(""), result(""), USER], [USER, USER]),
    "a result of null": ([USER, asks("c"), result("c", None)], [USER, asks("c"), result("c", "")]),
    "a result of parts": (
        [
            USER,
            asks("c"),
            result("c", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ],
        [USER, asks("c"), result("c", "a\nb")],
    ),
    "of a user": ([{**USER, "tool_calls": [call("c")]}, result("c")], [USER]),
}


@pytest.mark.parametrize("name", CASES)
def test_calls_and_results_are_paired(name: str) -> None:
    messages, wanted = CASES[name]
    assert paired(messages) == wanted


def test_broken_arguments_become_an_empty_object() -> None:
    """Providers refuse a history with others, and clients stumble over them."""
    broken = says(None) | {"tool_calls": [call("c", '{"a": ')]}
    (message, _) = paired([broken, result("c")])
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


_IDS = st.sampled_from(["a", "b", "a_2", ""])
_MESSAGES = st.one_of(
    st.just(USER),
    st.builds(result, _IDS),
    st.builds(
        lambda ids, text: asks(*ids, content=text),
        st.lists(_IDS, max_size=3),
        st.sampled_from([None, "", "t"]),
    ),
)


@given(st.lists(_MESSAGES, max_size=12))
def test_no_history_keeps_a_half(messages: list[dict[str, Any]]) -> None:
    """As OpenAI demands it: each call is answered at once, each id is used once."""
    made = paired(messages)
    used: set[str] = set()
    waiting: list[str] = []
    for message in made:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        waiting = [item["id"] for item in message.get("tool_calls", ())]
        assert used.isdisjoint(waiting)
        assert len(set(waiting)) == len(waiting)
        used.update(waiting)
        assert message["role"] != "assistant" or waiting or message["content"]
    assert not waiting
    assert sum(m["role"] == "user" for m in made) == sum(m["role"] == "user" for m in messages)


async def test_the_model_of_a_run_gets_pairs(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    agent = {"id": "agent_x", "provider": "Fake", "model": "fake-1"}
    async with serve("agents", SignIn(), models) as server:
        runs = server.kernel.services.get(AGENT_RUNS)

        async def run(*said: dict[str, Any]) -> None:
            task = AgentTask(agent, said, str(uuid4()), f"run_{uuid4().hex}")
            async for _ in runs.run(Principal(kit.user), task):
                pass

        await run(USER, asks("c", content="fine"), USER)
        assert models.calls[-1].messages == [USER, says("fine"), USER]
        with pytest.raises(ModelFailure, match="no message"):
            await run(result("c"))
