"""The connection to a model against a real HTTP server."""

import asyncio
import json
import time
from typing import Any

import pytest

from locutory_contracts.models import (
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    TextDelta,
    ToolSchema,
    Usage,
)
from locutory_endpoints.wire.connections import Connections
from locutory_endpoints.wire.model import CompletionsModel
from locutory_http import Outgoing
from locutory_testing.waiting import until

ASK = ModelCall([{"role": "user", "content": "hi"}])
HELLO = [TextDelta("Hello "), TextDelta("world"), Finished("stop"), Usage(3, 2, 5)]


async def collect(connection: CompletionsModel, call: ModelCall = ASK) -> list[ModelEvent]:
    return [event async for event in connection.stream(call)]


async def test_an_answer(provider: Any, connections: Connections, kit: Any) -> None:
    assert await collect(kit.model(provider, connections)) == HELLO
    [request] = provider.seen
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-secret-key"
    assert request.body == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "hi"}],
    }


async def test_the_connection_is_used_again(
    provider: Any, connections: Connections, kit: Any
) -> None:
    connection = kit.model(provider, connections)
    for _ in range(3):
        assert await collect(connection) == HELLO
    assert provider.connections == 1


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_split_bytes(provider: Any, connections: Connections, kit: Any, size: int) -> None:
    data = b"".join(kit.said("Grüße ", "an 👋"))
    provider.replies = [kit.stream([data[at : at + size] for at in range(0, len(data), size)])]
    assert [
        e.text for e in await collect(kit.model(provider, connections)) if isinstance(e, TextDelta)
    ] == [
        "Grüße ",
        "an 👋",
    ]


async def test_tools_tokens_and_headers(provider: Any, connections: Connections, kit: Any) -> None:
    call = ModelCall(
        ASK.messages,
        tools=[ToolSchema("clock", "Tells the time", {"type": "object", "properties": {}})],
        headers_context={"conversationId": "c-1"},
        max_tokens=7,
    )
    headers = {
        "Authorization": "Bearer k",
        "X-User": "{{LIBRECHAT_USER_ID}} {{LIBRECHAT_USER_EMAIL}}",
        "X-Name": "{{LIBRECHAT_USER_NAME}}",
        "X-Verified": "{{LIBRECHAT_USER_EMAILVERIFIED}}",
        "X-Turn": "{{LIBRECHAT_BODY_CONVERSATIONID}}/{{LIBRECHAT_BODY_MESSAGEID}}",
        "X-Token": "{{LIBRECHAT_OPENID_TOKEN}}",
        "X-Wrong": "{{LIBRECHAT_USER_EMIAL}}, {{ LIBRECHAT_BODY_ID }}",
    }
    await collect(kit.model(provider, connections, headers=headers), call)
    [request] = provider.seen
    assert request.headers["x-user"] == f"{'0' * 24} z@example.com"
    assert request.headers["x-name"].startswith("b64:")
    assert request.headers["x-verified"] == "true"
    assert request.headers["x-turn"] == "c-1/"
    assert request.headers["x-token"] == ""
    # Misspelt names stay, so that they are found.
    assert request.headers["x-wrong"] == "{{LIBRECHAT_USER_EMIAL}}, {{ LIBRECHAT_BODY_ID }}"
    assert request.body["max_tokens"] == 7
    assert request.body["tools"][0]["function"]["name"] == "clock"


async def test_no_usage(provider: Any, connections: Connections, kit: Any) -> None:
    pieces = [kit.event(kit.chunk({"content": "x"}, "stop")), kit.event("[DONE]")]
    provider.replies = [kit.stream(pieces)]
    assert await collect(kit.model(provider, connections)) == [TextDelta("x"), Finished("stop")]


async def test_an_unstreamed_answer(provider: Any, connections: Connections, kit: Any) -> None:
    body = {
        "choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}],
        "usage": kit.USAGE,
    }
    provider.replies = [kit.answer(200, body)]
    assert await collect(kit.model(provider, connections)) == [
        TextDelta("whole"),
        Finished("stop"),
        Usage(3, 2, 5),
    ]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_busy_providers_are_asked_again(
    provider: Any, connections: Connections, kit: Any, status: int
) -> None:
    provider.replies = [kit.answer(status, {"error": {"message": "busy"}})] * 3 + provider.replies
    assert await collect(kit.model(provider, connections)) == HELLO
    assert len(provider.seen) == 4


@pytest.mark.parametrize(
    ("status", "body", "expected", "tries"),
    [
        (500, {"error": {"message": "forced failure 500"}}, "500 forced failure 500", 4),
        (500, None, "500 status code (no body)", 4),
        (502, "<html>bad gateway</html>", "502 status code (no body)", 4),
        (
            400,
            {"error": {"message": "too long", "code": "context_length_exceeded"}},
            "400 too long",
            1,
        ),
        (400, {"detail": "wrong"}, "400 wrong", 1),
        (404, {"error": "no such model"}, "404 no such model", 1),
        (422, [{"message": "first"}], "422 first", 1),
        (403, {"error": {"message": "key sk-secret-key"}}, "403 key ***", 1),
        (403, {"error": {"message": "key sk-abcdefghijklmnop"}}, "403 key sk-***", 1),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, "429 pay", 1),
        (307, None, "307 status code (no body)", 1),
    ],
)
async def test_failures(
    provider: Any,
    connections: Connections,
    kit: Any,
    status: int,
    body: Any,
    expected: str,
    tries: int,
) -> None:
    raw = body.encode() if isinstance(body, str) else None
    provider.replies = [kit.answer(status, None if raw else body, raw=raw)]
    with pytest.raises(ModelFailure) as caught:
        await collect(kit.model(provider, connections))
    assert str(caught.value) == expected
    assert caught.value.status == status
    assert len(provider.seen) == tries


async def test_a_refused_key_reads_as_clients_know_it(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.answer(401, {"error": {"message": "forced failure 401"}})]
    with pytest.raises(ModelFailure) as caught:
        await collect(kit.model(provider, connections))
    assert str(caught.value) == (
        "401 forced failure 401\n\nTroubleshooting URL: "
        "https://docs.langchain.com/oss/javascript/langchain/errors/MODEL_AUTHENTICATION/\n"
    )


async def test_retry_after_is_obeyed_within_reason(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.answer(429, {}, {"retry-after": "0.2"}), *provider.replies]
    started = time.monotonic()
    assert await collect(kit.model(provider, connections)) == HELLO
    assert time.monotonic() - started >= 0.2
    provider.replies = [kit.answer(429, {}, {"retry-after": "3600"})]
    with pytest.raises(ModelFailure) as caught:
        await collect(kit.model(provider, connections))
    assert len(provider.seen) == 3
    assert caught.value.retry_after == 3600


async def test_stream_options_are_left_out_where_they_are_unknown(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [
        kit.answer(400, {"error": {"message": "unknown field stream_options"}}),
        *provider.replies,
    ]
    assert await collect(kit.model(provider, connections)) == HELLO
    assert "stream_options" not in provider.bodies[1]


async def test_an_error_inside_the_stream(
    provider: Any, connections: Connections, kit: Any
) -> None:
    pieces = [kit.said("a")[1], kit.event({"error": {"message": "overloaded"}})]
    provider.replies = [kit.stream(pieces)]
    events = kit.model(provider, connections).stream(ASK)
    assert await anext(events) == TextDelta("a")
    with pytest.raises(ModelFailure, match=r"^overloaded$"):
        await anext(events)
    assert len(provider.seen) == 1


async def test_a_cut_stream_is_a_failure_and_not_repeated(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.stream(kit.said("a", "b")[:2], cut=True)]
    with pytest.raises(ModelFailure, match="lost"):
        await collect(kit.model(provider, connections))
    assert len(provider.seen) == 1


async def test_cut_after_the_end_is_no_failure(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.stream(kit.said("a")[:3], cut=True)]
    assert await collect(kit.model(provider, connections)) == [TextDelta("a"), Finished("stop")]


async def test_a_connection_dropped_before_anything_came_is_tried_again(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.stream([], cut=True), *provider.replies]
    assert await collect(kit.model(provider, connections)) == HELLO


async def test_garbage_is_a_failure(provider: Any, connections: Connections, kit: Any) -> None:
    provider.replies = [
        kit.answer(200, raw=b"<html>hello</html>", headers={"content-type": "text/html"})
    ]
    with pytest.raises(ModelFailure, match="could not be read"):
        await collect(kit.model(provider, connections))


async def test_silence_ends_by_itself(provider: Any, connections: Connections, kit: Any) -> None:
    brief = Connections(Outgoing(), connect_seconds=1, idle_seconds=0.2)
    provider.replies = [kit.stream(kit.said("a", "b"), pause=1)]
    with pytest.raises(ModelFailure, match="timed out"):
        await collect(kit.model(provider, brief, client=brief.configured(provider.url)))
    await brief.close()


async def test_slow_answers_may_take_longer_than_the_silence_allowed(
    provider: Any, kit: Any
) -> None:
    brief = Connections(Outgoing(), connect_seconds=1, idle_seconds=0.3)
    provider.replies = [kit.stream(kit.said(*"abcdef"), pause=0.1)]
    events = await collect(kit.model(provider, brief, client=brief.configured(provider.url)))
    assert len(events) == 8
    await brief.close()


async def test_unreachable(connections: Connections, kit: Any) -> None:
    class Nobody:
        url = "http://127.0.0.1:9/v1"

    with pytest.raises(ModelFailure, match=r"^Connection error\.$") as caught:
        await collect(kit.model(Nobody(), connections))
    assert caught.value.retryable


async def test_closing_the_iterator_closes_the_connection_at_once(
    provider: Any, connections: Connections, kit: Any
) -> None:
    gone = asyncio.Event()

    async def endless(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        data = kit.event(kit.chunk({"content": "x"}))
        try:
            while True:
                writer.write(b"%x\r\n%s\r\n" % (len(data), data))
                await writer.drain()
                await asyncio.sleep(0.005)
        finally:
            gone.set()

    provider.replies = [endless]
    events = kit.model(provider, connections).stream(ASK)
    assert await anext(events) == TextDelta("x")
    await events.aclose()
    await gone.wait()


async def test_cancelling_the_consumer_closes_the_connection(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.stream(kit.said(*["x"] * 100_000), pause=0.01)]
    task = asyncio.create_task(collect(kit.model(provider, connections)))
    await until(lambda: provider.open_streams)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not provider.open_streams)


def test_nothing_secret_is_in_representations(kit: Any) -> None:
    class Provider:
        url = "http://127.0.0.1:9/v1"

    connection = kit.model(Provider(), Connections(Outgoing(), 1, 1))
    assert "sk-secret-key" not in repr(vars(connection)) + json.dumps(str(connection._connection))
