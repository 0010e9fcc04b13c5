"""How a stream of a model server may end, over real HTTP."""

import asyncio
import gzip
from typing import Any

import pytest

from locutory_contracts.models import (
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    TextDelta,
    Usage,
)
from locutory_endpoints.wire import failures, model
from locutory_endpoints.wire.connections import Connections


async def collect(connection: Any, events: list[ModelEvent] | None = None) -> list[ModelEvent]:
    """The events of an answer, also those before it fails."""
    events = [] if events is None else events
    call = ModelCall([{"role": "user", "content": "hi"}])
    async for event in connection.stream(call):
        events += [event]
    return events


async def outcome(connection: Any) -> tuple[str, ModelFailure | None]:
    """The text of an answer, and how it failed."""
    events: list[ModelEvent] = []
    failure = None
    try:
        await collect(connection, events)
    except ModelFailure as error:
        failure = error
    return "".join(event.text for event in events if isinstance(event, TextDelta)), failure


async def test_an_error_in_the_same_read_leaves_the_text(
    provider: Any, connections: Connections, kit: Any
) -> None:
    said = b"".join(kit.event(kit.chunk({"content": f"word{n} "})) for n in range(300))
    error = kit.event({"error": {"message": "upstream overloaded", "code": 502}})
    provider.replies = [kit.stream([said + error])]
    text, failure = await outcome(kit.model(provider, connections))
    assert text == "".join(f"word{n} " for n in range(300))
    assert failure is not None
    assert (str(failure), failure.status, len(provider.seen)) == ("upstream overloaded", 502, 1)


@pytest.mark.parametrize("reset", [True, False])
async def test_a_connection_that_breaks_in_the_same_read_leaves_the_text(
    provider: Any, connections: Connections, kit: Any, *, reset: bool
) -> None:
    async def reply(_: Any, writer: asyncio.StreamWriter) -> None:
        said = (
            kit.event(kit.chunk({"content": "some "}))
            + b'data: {"choices":[{"delta":{"content":"words"}}]}'
        )
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%s\r\n" % (len(said), said))
        await writer.drain()
        await asyncio.sleep(0.05)
        if reset:
            writer.transport.abort()
        raise ConnectionError

    provider.replies = [reply]
    text, failure = await outcome(kit.model(provider, connections))
    assert text == "some words"
    assert failure is not None
    assert failure.cut
    assert "lost" in str(failure)


@pytest.mark.parametrize("end", [[], ["[DONE]"]])
async def test_an_end_without_a_reason_is_no_complete_answer(
    provider: Any, connections: Connections, kit: Any, end: list[str]
) -> None:
    pieces = [kit.event(kit.chunk({"content": "he"})), *map(kit.event, end)]
    provider.replies = [kit.stream(pieces)]
    text, failure = await outcome(kit.model(provider, connections))
    assert text == "he"
    assert failure is not None
    assert (str(failure), failure.cut) == (failures.INCOMPLETE, True)
    assert len(provider.seen) == 1
    # Some servers never tell a reason; the operator may know.
    events = await collect(kit.model(provider, connections, strict=False))
    assert events == [TextDelta("he"), Finished("stop")]


async def test_usage_at_the_end_tells_that_it_is_complete(
    provider: Any, connections: Connections, kit: Any
) -> None:
    pieces = [
        kit.event(kit.chunk({"content": "he"})),
        kit.event({"choices": [], "usage": kit.USAGE}),
    ]
    provider.replies = [kit.stream(pieces)]
    assert (await collect(kit.model(provider, connections)))[-1] == Usage(3, 2, 5)
    running = [kit.event(kit.chunk({"content": "he"}, usage=kit.USAGE))]
    provider.replies = [kit.stream(running)]
    assert (await outcome(kit.model(provider, connections)))[1] is not None


EMPTY = {
    "nothing": [],
    "only the end": ["[DONE]"],
    "only the role": [{"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}, "[DONE]"],
}  # fmt: skip


@pytest.mark.parametrize("pieces", EMPTY.values(), ids=EMPTY)
async def test_an_empty_stream_is_asked_for_once_more_in_one_piece(
    provider: Any, connections: Connections, kit: Any, pieces: list[Any]
) -> None:
    """Servers that cannot say in a stream that a prompt is too long say so outside of one."""
    empty = kit.stream([kit.event(piece) for piece in pieces])
    whole = {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}
    provider.replies = [empty, kit.answer(200, whole)]
    assert await outcome(kit.model(provider, connections)) == ("whole", None)
    assert [body["stream"] for body in provider.bodies] == [True, False]
    assert "stream_options" not in provider.bodies[1]
    provider.replies = [empty, kit.answer(400, {"error": {"message": "prompt too long"}})]
    _, failure = await outcome(kit.model(provider, connections))
    assert str(failure) == "400 prompt too long"
    provider.replies = [empty]
    provider.seen.clear()
    _, failure = await outcome(kit.model(provider, connections))
    assert str(failure) == failures.EMPTY
    assert len(provider.seen) == 2


async def test_an_empty_answer_that_says_so_is_one(
    provider: Any, connections: Connections, kit: Any
) -> None:
    provider.replies = [kit.stream([kit.event(kit.chunk({}, "stop"))])]
    assert await collect(kit.model(provider, connections)) == [Finished("stop")]
    assert len(provider.seen) == 1


async def test_a_finished_answer_is_not_waited_for(
    provider: Any, connections: Connections, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that keeps the connection open after its last word."""
    monkeypatch.setattr(model, "AFTERWARDS_SECONDS", 0.2)

    async def reply(_: Any, writer: asyncio.StreamWriter) -> None:
        data = b"".join(kit.said("a")[:3])
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%s\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.Event().wait()

    provider.replies = [reply]
    assert await collect(kit.model(provider, connections)) == [TextDelta("a"), Finished("stop")]


async def test_a_compressed_body_is_inflated_in_steps(
    provider: Any, connections: Connections, kit: Any
) -> None:
    """Nobody asked for one; 100 MB in 100 kB are given up before they are held."""
    said = gzip.compress(b"".join(kit.said("Hello ", "world")))
    provider.replies = [kit.answer(200, raw=said, headers={"content-encoding": "gzip"})]
    assert (await outcome(kit.model(provider, connections)))[0] == "Hello world"
    bomb = gzip.compress(b"data: " + b"x" * 100_000_000)
    provider.replies = [kit.answer(200, raw=bomb, headers={"content-encoding": "gzip"})]
    _, failure = await outcome(kit.model(provider, connections))
    assert str(failure) == failures.TOO_LONG
    for coding, body in (("br", b"x"), ("gzip", b"no gzip")):
        provider.replies = [kit.answer(200, raw=body, headers={"content-encoding": coding})]
        _, failure = await outcome(kit.model(provider, connections))
        assert str(failure) == failures.UNREADABLE


async def test_a_refusal_that_cannot_be_read_counts_by_its_status(
    provider: Any, connections: Connections, kit: Any
) -> None:
    whole = provider.replies[0]
    provider.replies = [kit.answer(503, raw=b"x", headers={"content-encoding": "br"}), whole]
    assert await outcome(kit.model(provider, connections)) == ("Hello world", None)
    provider.replies = [kit.answer(400, raw=b"x", headers={"content-encoding": "br"})]
    _, failure = await outcome(kit.model(provider, connections))
    assert str(failure) == "400 status code (no body)"


async def test_a_long_refusal_is_read_to_its_limit(
    provider: Any, connections: Connections, kit: Any
) -> None:
    bomb = gzip.compress(b"x" * 50_000_000)
    provider.replies = [kit.answer(400, raw=bomb, headers={"content-encoding": "gzip"})]
    _, failure = await outcome(kit.model(provider, connections))
    assert str(failure).startswith("400 xxx")
    assert len(str(failure)) < 1100
