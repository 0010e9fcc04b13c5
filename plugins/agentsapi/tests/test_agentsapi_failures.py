"""Runs that fail, and runs that are slow: statuses, headers, the ends and silences of streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from locutory_agentsapi.routes.running import EventStream, Run
from locutory_contracts.models import TextDelta

PATHS = ["/chat/completions", "/responses"]


def body(text: str, **more: Any) -> dict[str, Any]:
    """For either API."""
    return {"input": text, "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_word_is_a_status(
    program: Any, path: str, stream: bool
) -> None:
    async with program() as it:
        answer = await it.post(path, **body("fail", stream=stream))
        assert answer.status_code == 402
        error = answer.json()["error"]
        assert (error["message"], error["code"]) == ("no more credit", None)
        assert error["type"].startswith("invalid_request")


STATUSES = {
    "429 7": (429, "7"),
    "429 0.2": (429, "1"),
    "503 3600": (503, "3600"),
    "500 inf": (500, "86400"),
    "401 1": (502, "1"),
    "403 1": (502, "1"),
    "407 1": (502, "1"),
    "404 1": (404, "1"),
    "0 1": (500, "1"),
}


@pytest.mark.parametrize("path", PATHS)
async def test_programs_are_told_not_to_try_again(program: Any, path: str) -> None:
    """The provider was asked again already. Its refusal of the server's key is not that of
    the caller's."""
    async with program() as it:
        for told, (status, after) in STATUSES.items():
            answer = await it.post(path, **body(f"status {told}"))
            assert answer.status_code == status
            assert answer.headers["x-should-retry"] == "false"
            assert answer.headers["retry-after"] == after
            kind = answer.json()["error"]["type"]
            assert (kind == "server_error") is (status >= 500)


async def test_wrong_requests_say_nothing_of_retries(program: Any) -> None:
    async with program() as it:
        wrong = await it.chat(messages=[])
        assert wrong.status_code == 400
        assert "x-should-retry" not in wrong.headers


async def test_a_chat_that_breaks_off(program: Any, events: Any) -> None:
    """The text tells it, as upstream; SDKs raise the error beside it."""
    async with program() as it:
        whole = await it.chat("break")
        assert whole.status_code == 429
        last = events(await it.chat("break", stream=True))[-1]
        assert last["choices"][0]["delta"]["content"] == "\n\nError: the line went dead"
        assert last["choices"][0]["finish_reason"] == "stop"
        assert last["error"] == whole.json()["error"]


async def test_a_response_that_breaks_off(program: Any, events: Any) -> None:
    async with program() as it:
        assert (await it.respond("break")).json()["error"]["message"] == "the line went dead"
        told = events(await it.respond("break", stream=True))
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
        assert told[-1]["type"] == "response.failed"
        failed = told[-1]["response"]
        assert failed["status"] == "failed"
        assert failed["error"] == {"code": "rate_limit_exceeded", "message": "the line went dead"}
        (item,) = failed["output"]
        assert (item["status"], item["content"][0]["text"]) == ("incomplete", "half")
        assert (await it.get(f"/responses/{failed['id']}")).status_code == 404


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_begins_before_the_first_word(program: Any, path: str) -> None:
    """Proxies give up an answer whose head does not come, and a stream that is silent."""
    first = {"/chat/completions": '"role":"assistant"', "/responses": "response.in_progress"}
    async with program(first_event_seconds=0, ping_seconds=0.02) as it, asyncio.timeout(20):
        request = body("wait", stream=True, model="agent_echo")
        async with it.stream(path, request) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            seen: list[str] = []
            while not (seen and seen[-1] == ": ping"):
                seen.append(await anext(lines))
            assert first[path] in "".join(seen)
            assert it.gallery.asked
            it.gallery.go.set()
            rest = [line async for line in lines]
        assert rest[-2] == "data: [DONE]"
        assert any("at last" in line for line in rest)
        assert it.gallery.closed == len(it.gallery.asked)


@pytest.mark.parametrize("path", PATHS)
async def test_silence_in_the_middle(program: Any, path: str) -> None:
    async with program(ping_seconds=0.02) as it, asyncio.timeout(20):
        async with it.stream(path, body("pause", stream=True, model="agent_echo")) as answer:
            lines = answer.aiter_lines()
            seen = ""
            while "first" not in seen or ": ping" not in seen:
                seen += await anext(lines)
            it.gallery.go.set()
            rest = [line async for line in lines]
        data = [line[6:] for line in rest if line.startswith("data: ")]
        assert any("then" in line for line in data)
        assert data[-1] == "[DONE]"
        for line in data[:-1]:
            json.loads(line)


@pytest.mark.parametrize("path", PATHS)
async def test_a_late_failure_is_told_in_the_stream(program: Any, events: Any, path: str) -> None:
    async with program(first_event_seconds=0) as it, asyncio.timeout(20):
        request = body("wait and fail", stream=True, model="agent_echo")
        async with it.stream(path, request) as answer:
            assert answer.status_code == 200
            it.gallery.go.set()
            await answer.aread()
        last = events(answer)[-1]
        error = last["error"] if path == "/chat/completions" else last["response"]["error"]
        assert error["message"] == "too late"


async def test_a_stream_whose_caller_is_gone_ends_its_run() -> None:
    """Also before the first byte of its body."""
    ended = asyncio.Event()

    async def words() -> AsyncIterator[TextDelta]:
        try:
            while True:
                yield TextDelta("word ")
        finally:
            ended.set()

    async def frames() -> AsyncIterator[bytes]:
        yield b"never"

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.Event().wait()

    run = Run(words())
    assert await run.begun(None)
    async with asyncio.timeout(10):
        await EventStream(frames(), run)({"type": "http"}, gone, send)
        await ended.wait()


async def test_every_answer_has_an_id(program: Any) -> None:
    async with program() as it:
        answers = [
            await it.chat("hi"),
            await it.chat("hi", stream=True),
            await it.respond("hi"),
            await it.respond("fail"),
            await it.get("/models"),
            await it.chat("hi", model="agent_none"),
        ]
        it.key = {"authorization": "Bearer sk-bad"}
        answers.append(await it.get("/models"))
        assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
        named = await it.post("/responses", {"x-request-id": "mine-1"}, input="x")
        assert named.headers["x-request-id"] == "mine-1"
        other = await it.session("GET", "/api/api-keys", None)
        assert "x-request-id" not in other.headers
