"""What answers hold: what OpenAI's SDKs understand, or LibreChat's form for those who ask."""

from typing import Any

import pytest

LIBRECHAT = {"x-answer-form": "librechat"}


def kinds(told: list[Any]) -> list[str]:
    return [event["type"] for event in told]


async def test_calls_that_the_server_ran_stay_with_it(program: Any, events: Any) -> None:
    """SDKs would run them themselves, or fail for want of the tool."""
    async with program() as it:
        (choice,) = (await it.chat("add")).json()["choices"]
        message = {"role": "assistant", "content": "let me seeresult 2"}
        assert choice == {"index": 0, "message": message, "finish_reason": "stop"}
        chunks = events(await it.chat("add", stream=True))
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert {name for delta in deltas for name in delta} == {"role", "content"}
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        output = (await it.respond("add")).json()["output"]
        assert [item["content"][0]["text"] for item in output] == ["let me see", "result 2"]
        told = events(await it.respond("add", stream=True))
        assert {item["type"] for item in told[-1]["response"]["output"]} == {"message"}
        assert not [kind for kind in kinds(told) if "function" in kind]
        assert len({item["id"] for item in told[-1]["response"]["output"]}) == 2


async def test_nothing_but_a_call(program: Any) -> None:
    """There is a message all the same."""
    async with program() as it:
        answer = (await it.chat("add nothing")).json()["choices"][0]
        assert answer["message"] == {"role": "assistant", "content": None}
        assert answer["finish_reason"] == "stop"
        (item,) = (await it.respond("add nothing")).json()["output"]
        assert (item["type"], item["content"][0]["text"]) == ("message", "")


async def asked_for(it: Any, way: str, **body: Any) -> Any:
    headers = LIBRECHAT if way == "header" else {}
    return await it.post(headers=headers, **body)


@pytest.mark.parametrize("way", ["header", "setting"])
async def test_calls_of_a_completion_for_those_who_ask(program: Any, events: Any, way: str) -> None:
    settings = {"answer_form": "librechat"} if way == "setting" else {}
    body = {"path": "/chat/completions", "messages": [{"role": "user", "content": "add"}]}
    async with program(**settings) as it:
        answer = (await asked_for(it, way, **body)).json()["choices"][0]
        (call,) = answer["message"]["tool_calls"]
        assert call["id"] == "call_1"
        assert call["function"] == {"name": "add", "arguments": '{"a": 1}'}
        assert answer["finish_reason"] == "stop"
        streamed = events(await asked_for(it, way, stream=True, **body))
        pieces = [
            call
            for chunk in streamed
            for call in chunk["choices"][0]["delta"].get("tool_calls", ())
        ]
        assert pieces[0]["function"] == {"name": "add", "arguments": ""}
        assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"a": 1}'
        body["messages"][0]["content"] = "add nothing"  # type: ignore[index]
        silent = (await asked_for(it, way, **body)).json()["choices"][0]
        assert silent["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("way", ["header", "setting", "include"])
async def test_calls_of_a_response_for_those_who_ask(program: Any, events: Any, way: str) -> None:
    settings = {"answer_form": "librechat"} if way == "setting" else {}
    body: dict[str, Any] = {"path": "/responses", "input": "add"}
    if way == "include":
        body["include"] = ["message.output_text.logprobs", "function_call_output"]
    async with program(**settings) as it:
        for told in (
            (await asked_for(it, way, **body)).json(),
            events(await asked_for(it, way, stream=True, **body))[-1]["response"],
        ):
            output = told["output"]
            assert [item["type"] for item in output] == [
                "message",
                "function_call",
                "function_call_output",
                "message",
            ]
            assert output[1]["arguments"] == '{"a": 1}'
            assert output[2]["output"] == "2"
            assert output[1]["call_id"] == output[2]["call_id"] == "call_1"


async def test_a_header_overrules_the_setting(program: Any) -> None:
    async with program(answer_form="librechat") as it:
        body = {"messages": [{"role": "user", "content": "add"}]}
        plain = await it.post("/chat/completions", {"x-answer-form": "OpenAI"}, **body)
        assert "tool_calls" not in plain.json()["choices"][0]["message"]
        for path in ("/chat/completions", "/responses"):
            wrong = await it.post(path, {"x-answer-form": "libre"}, input="x", **body)
            assert wrong.status_code == 400
            message = wrong.json()["error"]["message"]
            assert message == "x-answer-form must be one of: openai, librechat"


REASONING = {
    "text": (
        {},
        {},
        [
            "response.content_part.added",
            "response.reasoning_text.delta",
            "response.reasoning_text.done",
            "response.content_part.done",
        ],
    ),
    "summary": (
        {"reasoning": {"summary": "auto"}},
        {},
        [
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
        ],
    ),
    "librechat": (
        {"reasoning": {"summary": "auto"}},
        LIBRECHAT,
        [
            "response.content_part.added",
            "response.reasoning.delta",
            "response.reasoning.done",
            "response.content_part.done",
        ],
    ),
}


@pytest.mark.parametrize("name", REASONING)
async def test_reasoning_has_the_names_that_are_read(program: Any, events: Any, name: str) -> None:
    body, headers, wanted = REASONING[name]
    async with program() as it:
        told = events(await it.post("/responses", headers, input="think", stream=True, **body))
        of_reasoning = [event for event in told if event.get("output_index") == 0]
        assert kinds(of_reasoning)[1:-1] == wanted
        number = "summary_index" if name == "summary" else "content_index"
        for event in of_reasoning[1:-1]:
            assert event["item_id"] == of_reasoning[0]["item"]["id"]
            assert event[number] == 0
        assert of_reasoning[2]["delta"] == "hm"
        item = told[-1]["response"]["output"][0]
        part = {"type": "summary_text" if name == "summary" else "reasoning_text", "text": "hm"}
        assert item["type"] == "reasoning"
        assert item["summary"] == ([part] if name == "summary" else [])
        assert item["content"] == ([] if name == "summary" else [part])
        whole = (await it.post("/responses", headers, input="think", **body)).json()
        assert whole["output"][0] == item | {"id": whole["output"][0]["id"]}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_a_cut_answer_is_told_as_cut(program: Any, events: Any, reason: str) -> None:
    details = {"reason": "max_output_tokens" if reason == "length" else reason}
    async with program() as it:
        assert (await it.chat(reason)).json()["choices"][0]["finish_reason"] == reason
        last = events(await it.chat(reason, stream=True))[-1]["choices"][0]
        assert last["finish_reason"] == reason
        told = events(await it.respond(reason, stream=True, store=True))
        assert told[-1]["type"] == "response.incomplete"
        for answer in (
            told[-1]["response"],
            (await it.respond(reason)).json(),
            (await it.get(f"/responses/{told[-1]['response']['id']}")).json(),
        ):
            assert answer["status"] == "incomplete"
            assert answer["incomplete_details"] == details
            assert answer["completed_at"] is None
            assert answer["output"][0]["status"] == "incomplete"
            assert answer["output"][0]["content"][0]["text"] == "half a sen"


async def test_usage_that_no_provider_told_is_what_is_charged(program: Any, events: Any) -> None:
    async with program() as it:
        chat = events(await it.chat("add", stream=True))[-1]["usage"]
        assert 0 < chat["completion_tokens"] < chat["prompt_tokens"]
        assert chat["total_tokens"] == chat["completion_tokens"] + chat["prompt_tokens"]
        usage = (await it.respond("add")).json()["usage"]
        assert usage["total_tokens"] == chat["total_tokens"]
