"""Running agents over ``/api/agents/v1`` (contract agents-api §2–§5), with the real loop and history."""

from typing import Any
from uuid import uuid4

import pytest

CHAT, RESPONSES = "/chat/completions", "/responses"


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_lists(program: Any) -> None:
    async with program() as it:
        (model,) = (await it.get("/models")).json()["data"]
        assert (model["id"], model["root"], model["name"]) == ("agent_echo", "agent_echo", "Echo")
        assert isinstance(model["created"], int)
        assert (await it.get("/models/agent_echo")).json() == model
        (other,) = (await it.get("/responses/models")).json()["data"]
        assert other["owned_by"] == str(it.gallery.agent["author"])
        assert (await it.get("/models/agent_far")).status_code == 403
        assert (await it.get("/models/agent_none")).status_code == 404


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_agents_out_of_reach(program: Any, path: str) -> None:
    async with program() as it:
        body = {"messages": said("hi"), "input": "hi"}
        far = await it.post(path, model="agent_far", **body)
        assert far.status_code == 403
        assert far.json()["error"] == {
            "message": "No remote access to agent: agent_far",
            "type": "permission_error",
            "code": "access_denied",
        }
        assert (await it.post(path, model="agent_none", **body)).status_code == 404
        for wrong in (None, 7, "", {"$ne": ""}):
            assert (await it.post(path, model=wrong, **body)).status_code == 400
        assert it.gallery.asked == []


async def test_a_completion(program: Any) -> None:
    async with program() as it:
        messages = [{"role": "system", "content": "be brief"}, *said("think of it")]
        answer = (await it.chat(messages=messages)).json()
        assert answer["object"] == "chat.completion"
        (choice,) = answer["choices"]
        assert choice == {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "echo think of it",
                "reasoning": "hm",
            },
            "finish_reason": "stop",
        }
        assert answer["usage"] == {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
        }
        assert it.sent[0] == {"role": "system", "content": "be brief"}
        assert await it.stored("messages") == 0
        assert await it.stored("conversations") == 0


async def test_a_streamed_completion(program: Any, events: Any) -> None:
    async with program() as it:
        answer = await it.chat("hi", stream=True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = events(answer)
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant"}
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == "echo hi"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert chunks[-1]["usage"]["total_tokens"] == 10
        assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (None, "messages array is required"),
        ("hi", "messages array is required"),
        ([], "messages array cannot be empty"),
        ([7], "messages[0].role is required"),
        ([{"content": "x"}], "messages[0].role is required"),
        (
            [{"role": "robot"}],
            "messages[0].role must be one of: system, user, assistant, tool",
        ),
        (
            [{"role": "user", "content": 7}],
            "messages[0].content must be a string or an array of parts",
        ),
        ([{"role": "tool", "tool_call_id": "c", "content": "x"}], "There is no message to answer."),
    ],
)
async def test_wrong_messages(program: Any, messages: Any, text: str) -> None:
    async with program() as it:
        answer = await it.chat(messages=messages)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == text


async def test_conversations_of_others_are_unknown(program: Any) -> None:
    async with program() as it:
        for name in (str(uuid4()), "nonsense"):
            answer = await it.chat("hi", conversation_id=name)
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == "Conversation not found"
        wrong = await it.chat("hi", conversation_id=7)
        assert wrong.status_code == 400


async def test_a_response(program: Any) -> None:
    async with program() as it:
        answer = (await it.respond("hi", instructions="x")).json()
        assert (answer["object"], answer["status"]) == ("response", "completed")
        (item,) = answer["output"]
        assert item["content"] == [
            {"type": "output_text", "text": "echo hi", "annotations": [], "logprobs": []}
        ]
        assert answer["usage"]["input_tokens_details"] == {"cached_tokens": 2}
        assert answer["instructions"] == "x"
        items = [
            {"type": "message", "role": "developer", "content": "rules"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "q"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
            {"type": "item_reference", "id": "x"},
            {"role": "user", "content": "last"},
        ]
        await it.respond(items)
        assert [message["role"] for message in it.sent] == [
            "system",
            "user",
            "assistant",
            "tool",
            "user",
        ]
        assert it.sent[2]["tool_calls"][0]["function"]["name"] == "f"


async def test_a_streamed_response(program: Any, events: Any) -> None:
    async with program() as it:
        told = events(await it.respond("think", stream=True))
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        kinds = [event["type"] for event in told]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds[-1] == "response.completed"
        done = next(event for event in told if event["type"] == "response.output_text.done")
        assert done["text"] == "echo think"
        assert [item["type"] for item in told[-1]["response"]["output"]] == [
            "reasoning",
            "message",
        ]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"input": None}, "input is required"),
        ({"input": 7}, "input must be a string or array of items"),
        ({"input": [{"type": "reasoning"}]}, "input is required"),
        ({"input": "x", "stream": "yes"}, "stream must be a boolean"),
        ({"input": "x", "temperature": 3}, "temperature must be a number between 0 and 2"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens must be a positive number"),
        ({"input": "x", "previous_response_id": 7}, "previous_response_id must be a string"),
        ({"input": "x", "instructions": ["be brief"]}, "instructions must be a string"),
    ],
)
async def test_wrong_inputs(program: Any, fields: dict[str, Any], text: str) -> None:
    async with program() as it:
        answer = await it.post(RESPONSES, **fields)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["message"], error["type"]) == (text, "invalid_request")
