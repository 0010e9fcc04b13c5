"""What a model gets of what a program sends: calls in pairs, instructions, roles."""

from typing import Any

import pytest

USER = {"role": "user", "content": "q"}
DONE = {"role": "assistant", "content": "fine"}


def call(call_id: str = "c1", arguments: Any = "{}") -> dict[str, Any]:
    function = {"name": "server_weather", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def result(call_id: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "sunny"}


# As SDKs send back a message that they got.
ECHOED = {
    "role": "assistant",
    "content": "fine",
    "refusal": None,
    "annotations": [],
    "audio": None,
    "function_call": None,
    "reasoning": "hm",
    "tool_calls": [call()],
}


CHATS = [
    ([USER, ECHOED, USER], [USER, DONE, USER]),
    ([USER, ECHOED | {"content": None}, USER], [USER, USER]),
    ([USER, ECHOED | {"content": ""}, USER], [USER, USER]),
    ([USER, ECHOED | {"content": []}, USER], [USER, USER]),
    (
        [USER, ECHOED | {"content": [{"type": "text", "text": "fine"}]}, USER],
        [USER, DONE, USER],
    ),
    ([USER, ECHOED, result("c2"), USER], [USER, DONE, USER]),
    ([USER, result(), USER], [USER, USER]),
    ([USER, ECHOED | {"tool_calls": None}, USER], [USER, DONE, USER]),
    ([USER, ECHOED | {"tool_calls": [{"type": "custom"}]}, USER], [USER, DONE, USER]),
    (
        [USER, ECHOED, result(), USER],
        [USER, DONE | {"tool_calls": [call()]}, result(), USER],
    ),
    (
        [USER, ECHOED | {"tool_calls": [call(), call("c2")]}, result("c2"), USER],
        [USER, DONE | {"tool_calls": [call("c2")]}, result("c2"), USER],
    ),
    (
        [USER, DONE | {"tool_calls": [call(arguments={"a": 1})]}, result(), USER],
        [USER, DONE | {"tool_calls": [call(arguments='{"a":1}')]}, result(), USER],
    ),
]


async def test_calls_in_the_history_of_a_chat(program: Any) -> None:
    async with program() as it:
        for messages, wanted in CHATS:
            answer = await it.chat(messages=messages)
            assert answer.status_code == 200, answer.text
            assert it.sent == wanted


ASKED = {"type": "function_call", "call_id": "c1", "name": "server_weather", "arguments": "{}"}
ANSWERED = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
SAID = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "fine"}],
}


RESPONSES = [
    (
        [USER, ASKED | {"arguments": {"a": 1}}, ANSWERED | {"output": {"sun": True}}, USER],
        [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call(arguments='{"a":1}')]},
            result() | {"content": '{"sun":true}'},
            USER,
        ],
    ),
    (
        [
            USER,
            ASKED | {"arguments": None},
            ANSWERED | {"output": [{"type": "input_text", "text": "sunny"}]},
            SAID | {"content": [{"type": "refusal", "refusal": "no"}]},
            USER,
        ],
        [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call()]},
            result(),
            {"role": "assistant", "content": "no"},
            USER,
        ],
    ),
    (
        [USER, ASKED, ANSWERED | {"output": None}, USER],
        [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call()]},
            result() | {"content": ""},
            USER,
        ],
    ),
    ([USER, ASKED, SAID, USER], [USER, DONE, USER]),
    ([USER, SAID, ASKED, USER], [USER, DONE, USER]),
    ([USER, ANSWERED, SAID, USER], [USER, DONE, USER]),
    (
        [USER, {"type": "reasoning", "id": "r", "summary": []}, ASKED, ANSWERED, SAID, USER],
        [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call()]},
            result(),
            DONE,
            USER,
        ],
    ),
    (
        [USER, SAID, ASKED, ANSWERED, USER],
        [USER, DONE | {"tool_calls": [call()]}, result(), USER],
    ),
    (
        [USER, ASKED, {**ASKED, "call_id": "c2"}, {**ANSWERED, "call_id": "c2"}, USER],
        [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call("c2")]},
            result("c2"),
            USER,
        ],
    ),
]


async def test_calls_in_the_items_of_a_response(program: Any) -> None:
    async with program() as it:
        for items, wanted in RESPONSES:
            answer = await it.respond(items)
            assert answer.status_code == 200, answer.text
            assert it.sent == wanted


@pytest.mark.parametrize("form", ["openai", "librechat"])
async def test_answers_can_be_sent_back_as_they_came(program: Any, form: str) -> None:
    """A second turn, of both APIs, after a tool of the server ran."""
    async with program(answer_form=form) as it:
        first = (await it.chat("add")).json()["choices"][0]["message"]
        second = await it.chat(messages=[{"role": "user", "content": "add"}, first, USER])
        assert second.status_code == 200
        assert it.sent == [
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": "let me seeresult 2"},
            USER,
        ]
        output = (await it.respond("add")).json()["output"]
        assert (await it.respond([{"role": "user", "content": "add"}, *output, USER])).is_success
        assert [m.get("tool_call_id") for m in it.sent if m["role"] == "tool"] == (
            ["call_1"] if form == "librechat" else []
        )


async def test_instructions_come_after_those_of_the_agent(program: Any) -> None:
    async with program() as it:
        it.gallery.agent["instructions"] = "Be brief."
        answer = (await it.respond("hi", instructions="Say only BLUE.")).json()
        assert answer["instructions"] == "Say only BLUE."
        assert it.sent[0] == {"role": "system", "content": "Be brief.\n\nSay only BLUE."}
        follow = {"previous_response_id": answer["id"]}
        await it.respond("go on", instructions="Say only RED.", **follow)
        assert it.sent[0] == {"role": "system", "content": "Be brief.\n\nSay only RED."}
        await it.respond("go on", **follow)
        assert it.sent[0] == {"role": "system", "content": "Be brief."}
        given = [{"role": "developer", "content": "rules"}, USER]
        await it.respond(given, instructions="x")
        assert it.sent[0] == {"role": "system", "content": "Be brief.\n\nx\n\nrules"}


async def test_developers_are_heard_as_the_system(program: Any) -> None:
    async with program() as it:
        parts = [{"type": "text", "text": "rules"}]
        for content in ("rules", parts):
            answer = await it.chat(messages=[{"role": "developer", "content": content}, USER])
            assert answer.status_code == 200
            assert it.sent == [{"role": "system", "content": "rules"}, USER]
