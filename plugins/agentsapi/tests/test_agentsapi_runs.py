"""Running agents over ``/api/agents/v1`` (contract agents-api §2–§5), with the real loop and history."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from bson import ObjectId

from locutory import Decision, Plugin, Provide, hook, now
from locutory.access import Principal
from locutory.testing import Serve, SignIn
from locutory_contracts.access import VIEW
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.chat import TOOLS, Tool, ToolOutcome, Turn
from locutory_contracts.models import (
    CATALOGUE,
    ModelCall,
    ModelEvent,
    ModelFailure,
    PreparedModel,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolSchema,
    Usage,
)

ROOT = "/api/agents/v1"
CHAT, RESPONSES = f"{ROOT}/chat/completions", f"{ROOT}/responses"
AGENT = {
    "_id": ObjectId(),
    "id": "agent_echo",
    "name": "Echo",
    "description": "repeats",
    "provider": "Fake",
    "model": "fake",
    "author": ObjectId(),
    "createdAt": now(),
}


class Gallery(Plugin):
    """Stored agents, one of them out of reach, and models and a tool for them."""

    name = "testgallery"
    summary = "Agents and models for tests"
    provides = (STORED_AGENTS, CATALOGUE, TOOLS)

    def __init__(self) -> None:
        self.asked: list[ModelCall] = []
        self.closed = 0

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STORED_AGENTS, self), Provide(CATALOGUE, self), Provide(TOOLS, self, "t")]

    async def find(self, agent_id: str) -> Mapping[str, Any] | None:
        if agent_id == "agent_far":
            return AGENT | {"id": "agent_far"}
        return AGENT if agent_id == "agent_echo" else None

    async def decide(
        self,
        principal: Principal,
        agent: Mapping[str, Any],
        needed: int = VIEW,
        *,
        remote: bool = False,
    ) -> Decision:
        return Decision(remote and agent["id"] == "agent_echo", "test")

    async def reachable(self, principal: Principal) -> Sequence[Mapping[str, Any]]:
        return [AGENT]

    def spec(self, body: Mapping[str, Any]) -> str | None:
        return None

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        return PreparedModel("Fake", "custom", "fake", "openAI", "Fake", self, {}, 32_000)

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        self.asked.append(call)
        asked = str(call.messages[-1]["content"])
        try:
            if call.messages[-1]["role"] == "tool":
                yield TextDelta(f"result {asked}")
            elif asked == "fail":
                raise ModelFailure("no more credit", 402)
            elif asked == "break":
                yield TextDelta("half")
                raise ModelFailure("the line went dead")
            elif asked == "add":
                yield ToolCallDelta(0, id="call_1", name="add")
                yield ToolCallDelta(0, arguments='{"a": 1}')
            else:
                if asked.startswith("think"):
                    yield ReasoningDelta("hm")
                for word in ("echo ", asked):
                    yield TextDelta(word)
                yield Usage(input_tokens=7, output_tokens=3, total_tokens=10, cache_read=2)
        finally:
            self.closed += 1

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        async def add(arguments: Mapping[str, Any], turn: Turn) -> ToolOutcome:
            return ToolOutcome(str(arguments["a"] + 1))

        return [Tool(ToolSchema("add", "Adds one", {"type": "object"}), add)]


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[Any]:
    gallery = Gallery()
    plugins = ("agentsapi", "agents", "conversations", SignIn(), gallery)
    async with serve(*plugins, Accounts()) as server:
        session = {"authorization": f"Bearer {'a' * 24}:ADMIN"}
        made = await server.client.post("/api/api-keys", json={"name": "k"}, headers=session)
        key = {"authorization": f"Bearer {made.json()['key']}"}

        async def post(path: str, **body: Any) -> httpx2.Response:
            return await server.client.post(path, json=body, headers=key)

        async def get(path: str) -> httpx2.Response:
            return await server.client.get(ROOT + path, headers=key)

        post.get = get  # type: ignore[attr-defined]
        post.gallery = gallery  # type: ignore[attr-defined]
        post.server = server  # type: ignore[attr-defined]
        yield post


class Accounts(Plugin):
    """The one account of these tests."""

    name = "testaccounts"
    summary = "One account"
    provides = (ACCOUNTS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNTS, self)]

    async def find(self, user_id: str) -> Mapping[str, Any] | None:
        return {"_id": ObjectId(user_id), "role": "ADMIN"}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def events(answer: httpx2.Response) -> list[Any]:
    """The data of server-sent events; the last is ``[DONE]``."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_lists(serve: Serve) -> None:
    async with served(serve) as post:
        (model,) = (await post.get("/models")).json()["data"]
        assert (model["id"], model["root"], model["name"]) == ("agent_echo", "agent_echo", "Echo")
        assert isinstance(model["created"], int)
        assert (await post.get("/models/agent_echo")).json() == model
        (other,) = (await post.get("/responses/models")).json()["data"]
        assert other["owned_by"] == str(AGENT["author"])
        assert (await post.get("/models/agent_far")).status_code == 403
        assert (await post.get("/models/agent_none")).status_code == 404


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_agents_out_of_reach(serve: Serve, path: str) -> None:
    async with served(serve) as post:
        body = {"messages": said("hi"), "input": "hi"}
        far = await post(path, model="agent_far", **body)
        assert far.status_code == 403
        assert far.json()["error"] == {
            "message": "No remote access to agent: agent_far",
            "type": "permission_error",
            "code": "access_denied",
        }
        assert (await post(path, model="agent_none", **body)).status_code == 404
        for wrong in (None, 7, "", {"$ne": ""}):
            assert (await post(path, model=wrong, **body)).status_code == 400
        assert post.gallery.asked == []


async def test_a_completion(serve: Serve) -> None:
    async with served(serve) as post:
        messages = [{"role": "system", "content": "be brief"}, *said("think of it")]
        answer = (await post(CHAT, model="agent_echo", messages=messages)).json()
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
        assert post.gallery.asked[0].messages[0] == {"role": "system", "content": "be brief"}
        database = post.server.kernel.database
        raw = database.client[database.name]
        assert await raw["messages"].count_documents({}) == 0
        assert await raw["conversations"].count_documents({}) == 0


async def test_a_streamed_completion(serve: Serve) -> None:
    async with served(serve) as post:
        answer = await post(CHAT, model="agent_echo", messages=said("hi"), stream=True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        chunks = events(answer)
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant"}
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == "echo hi"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert chunks[-1]["usage"]["total_tokens"] == 10
        assert len({chunk["id"] for chunk in chunks}) == 1


async def test_tools_of_a_completion(serve: Serve) -> None:
    async with served(serve) as post:
        answer = (await post(CHAT, model="agent_echo", messages=said("add"))).json()
        message = answer["choices"][0]["message"]
        assert message["content"] == "result 2"
        (call,) = message["tool_calls"]
        assert call["function"] == {"name": "add", "arguments": '{"a": 1}'}
        streamed = events(await post(CHAT, model="agent_echo", messages=said("add"), stream=True))
        pieces = [
            call
            for chunk in streamed
            for call in chunk["choices"][0]["delta"].get("tool_calls", ())
        ]
        assert pieces[0]["function"] == {"name": "add", "arguments": ""}
        assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"a": 1}'


async def test_completions_that_fail(serve: Serve) -> None:
    async with served(serve) as post:
        for stream in (False, True):
            body = {"model": "agent_echo", "stream": stream}
            before = await post(CHAT, **body, messages=said("fail"))
            assert before.status_code == 402
            assert before.json()["error"] == {
                "message": "no more credit",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        half = await post(CHAT, model="agent_echo", messages=said("break"))
        assert half.status_code == 500
        assert half.json()["error"]["type"] == "server_error"
        chunks = events(await post(CHAT, model="agent_echo", messages=said("break"), stream=True))
        last = chunks[-1]["choices"][0]
        assert last["delta"]["content"] == "\n\nError: the line went dead"
        assert last["finish_reason"] == "stop"


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
    ],
)
async def test_wrong_messages(serve: Serve, messages: Any, text: str) -> None:
    async with served(serve) as post:
        answer = await post(CHAT, model="agent_echo", messages=messages)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == text


async def test_conversations_of_others_are_unknown(serve: Serve) -> None:
    async with served(serve) as post:
        for name in (str(uuid4()), "nonsense"):
            body = {"model": "agent_echo", "messages": said("hi"), "conversation_id": name}
            answer = await post(CHAT, **body)
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == "Conversation not found"
        wrong = await post(CHAT, model="agent_echo", messages=said("hi"), conversation_id=7)
        assert wrong.status_code == 400


async def test_a_response(serve: Serve) -> None:
    async with served(serve) as post:
        answer = (await post(RESPONSES, model="agent_echo", input="hi", instructions="x")).json()
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
        await post(RESPONSES, model="agent_echo", input=items)
        sent = post.gallery.asked[-1].messages
        assert [message["role"] for message in sent] == [
            "system",
            "user",
            "assistant",
            "tool",
            "user",
        ]
        assert sent[2]["tool_calls"][0]["function"]["name"] == "f"


async def test_a_streamed_response(serve: Serve) -> None:
    async with served(serve) as post:
        body = {"model": "agent_echo", "stream": True}
        told = events(await post(RESPONSES, **body, input="think"))
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        kinds = [event["type"] for event in told]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds[-1] == "response.completed"
        assert "response.reasoning.delta" in kinds
        done = next(event for event in told if event["type"] == "response.output_text.done")
        assert done["text"] == "echo think"
        assert [item["type"] for item in told[-1]["response"]["output"]] == [
            "reasoning",
            "message",
        ]
        tools = events(await post(RESPONSES, **body, input="add"))
        output = tools[-1]["response"]["output"]
        assert [item["type"] for item in output] == [
            "function_call",
            "function_call_output",
            "message",
        ]
        assert output[0]["arguments"] == '{"a": 1}'
        assert output[1]["output"] == "2"


async def test_stored_responses_are_found_and_continued(serve: Serve) -> None:
    async with served(serve) as post:
        body = {"model": "agent_echo", "store": True}
        first = (await post(RESPONSES, **body, input="one")).json()
        found = (await post.get(f"/responses/{first['id']}")).json()
        assert found["output"][0]["content"][0]["text"] == "echo one"
        follow = {"previous_response_id": first["id"]}
        second = (await post(RESPONSES, **body, **follow, input="two")).json()
        assert [m["content"] for m in post.gallery.asked[-1].messages] == [
            "one",
            "echo one",
            "two",
        ]
        again = (await post.get(f"/responses/{second['id']}")).json()
        assert len(again["output"]) == 2
        for name in (str(uuid4()), "resp_none"):
            missing = await post.get(f"/responses/{name}")
            assert missing.status_code == 404
            assert missing.json()["error"]["code"] == "response_not_found"
            lost = await post(RESPONSES, **body, input="x", previous_response_id=name)
            assert lost.status_code == 404


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "input is required"),
        ({"input": 7}, "input must be a string or array of items"),
        ({"input": [{"type": "reasoning"}]}, "input is required"),
        ({"input": "x", "stream": "yes"}, "stream must be a boolean"),
        ({"input": "x", "temperature": 3}, "temperature must be a number between 0 and 2"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens must be a positive number"),
        ({"input": "x", "previous_response_id": 7}, "previous_response_id must be a string"),
    ],
)
async def test_wrong_inputs(serve: Serve, fields: dict[str, Any], text: str) -> None:
    async with served(serve) as post:
        answer = await post(RESPONSES, model="agent_echo", **fields)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["message"], error["type"]) == (text, "invalid_request")
