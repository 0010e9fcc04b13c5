"""What one turn may hold: text, reasoning, calls, results, parts; and what is left when it is
too much, or when the database does not take it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId
from plugins.agents.tests.conftest import Kit
from pymongo.errors import DocumentTooLarge, OperationFailure

from locutory.access import Principal
from locutory_agents.stream import recorder as recording
from locutory_agents.turns.writer import NOT_STORED, refused
from locutory_contracts.agents import AGENT_RUNS, AgentTask
from locutory_contracts.chat import GENERATIONS
from locutory_contracts.models import (
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from locutory_testing import Serve, SignIn

LIMIT = 20_000
SMALL = {"LOCUTORY_ANSWER_BYTES": str(LIMIT)}
TOO_LONG = (
    "An error occurred while processing the request: The answer is too long: it was cut off after"
)


async def words(call: ModelCall) -> AsyncIterator[ModelEvent]:
    while True:
        yield TextDelta("word ")
        await asyncio.sleep(0)


async def one_piece(call: ModelCall) -> AsyncIterator[ModelEvent]:
    yield TextDelta("ö" * LIMIT * 3)


async def thoughts(call: ModelCall) -> AsyncIterator[ModelEvent]:
    while True:
        yield ReasoningDelta("word ")
        await asyncio.sleep(0)


async def parts(call: ModelCall) -> AsyncIterator[ModelEvent]:
    while True:
        yield TextDelta("a")
        yield ReasoningDelta("b")
        await asyncio.sleep(0)


async def arguments(call: ModelCall) -> AsyncIterator[ModelEvent]:
    yield ToolCallDelta(0, "call_1", "add", '{"a": "')
    while True:
        yield ToolCallDelta(0, arguments="word ")
        await asyncio.sleep(0)


async def calls(call: ModelCall) -> AsyncIterator[ModelEvent]:
    yield ToolCallDelta(0, f"call_{len(call.messages)}", "add", '{"a": 1, "b": 2}')
    yield Finished("tool_calls")


async def results(call: ModelCall) -> AsyncIterator[ModelEvent]:
    yield ToolCallDelta(0, f"call_{len(call.messages)}", "long", "{}")
    yield Finished("tool_calls")


SCRIPTS = [words, one_piece, thoughts, parts, arguments, calls, results]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
async def test_an_endless_answer_is_cut_and_told(serve: Serve, kit: Kit, script: Any) -> None:
    models, history = kit.Models(script), kit.History()
    yaml = {"endpoints": {"agents": {"recursionLimit": 10_000, "maxToolCallArgBytes": 0}}}
    async with serve(
        "agents", SignIn(), models, history, kit.Tools(), environment=SMALL, yaml=yaml
    ) as server:
        user = kit.chatter(server)
        events = await user.chat("go on for ever")
        assert events[-1].name == "final"
        answer = events[-1].data["responseMessage"]
        assert answer["content"][-1]["type"] == "error"
        assert answer["content"][-1]["error"].startswith(TOO_LONG)
        assert answer["unfinished"] is True
        stored = history.answer(answer["conversationId"])
        assert stored["content"] == answer["content"]
        assert stored["unfinished"] is True
        assert len(answer["content"]) > 1
        size = len(json.dumps(stored["content"], ensure_ascii=False).encode())
        assert LIMIT / 20 < size < LIMIT * 2
        assert models.closed == len(models.calls)  # the provider is not left running
        again = await user.chat(
            "go on",
            conversationId=answer["conversationId"],
            parentMessageId=answer["messageId"],
        )
        assert again[-1].name == "final"


async def test_what_fits_is_kept_to_the_last_character(serve: Serve, kit: Kit) -> None:
    async with serve(
        "agents", SignIn(), kit.Models(one_piece), kit.History(), environment=SMALL
    ) as server:
        events = await kit.chatter(server).chat("x")
        text = kit.said(events)
        assert set(text) == {"ö"}
        assert LIMIT - 600 < len(text.encode()) <= LIMIT
        assert events[-1].data["responseMessage"]["content"][0]["text"] == text


async def test_two_models_share_what_a_turn_may_hold(serve: Serve, kit: Kit) -> None:
    async with serve(
        "agents", SignIn(), kit.Models(words), kit.History(), environment=SMALL
    ) as server:
        events = await kit.chatter(server).chat("x", addedConvo={"endpoint": "Other", "model": "m"})
        content = events[-1].data["responseMessage"]["content"]
        assert sum(part["type"] == "error" for part in content) == 2
        assert sum(len(part.get("text", "")) for part in content) <= LIMIT


async def test_an_edited_answer_counts_with_what_it_keeps(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history, environment=SMALL) as server:
        user = kit.chatter(server)
        first = (await user.chat("ECHO:" + "a" * 15_000))[-1].data
        models.script = words
        events = await user.chat(
            "x",
            conversationId=first["conversation"]["conversationId"],
            isRegenerate=True,
            overrideParentMessageId=first["requestMessage"]["messageId"],
            responseMessageId=first["responseMessage"]["messageId"],
            editedContent={"index": 0, "type": "text", "text": "b" * 15_000},
        )
        content = events[-1].data["responseMessage"]["content"]
        assert content[0]["text"].startswith("b" * 15_000)
        assert len(content[0]["text"]) <= LIMIT
        assert content[-1]["error"].startswith(TOO_LONG)


async def _read(run: Any) -> tuple[str, str]:
    """The text of a run, and how it failed."""
    text = ""
    try:
        async for event in run:
            text += event.text
    except ModelFailure as failure:
        return text, str(failure)
    return text, ""


async def test_a_run_for_a_program_is_cut_too(serve: Serve, kit: Kit) -> None:
    models = kit.Models(words)
    async with serve("agents", SignIn(), models, environment=SMALL) as server:
        said = [{"role": "user", "content": "x"}]
        agent = {"id": "agent_x", "provider": "Fake", "model": "fake-1"}
        runs = server.kernel.services.get(AGENT_RUNS)
        run = runs.run(Principal(kit.user), AgentTask(agent, said, str(ObjectId()), "r"))
        text, failure = await _read(run)
        assert "too long" in failure
        assert LIMIT - 600 < len(text) <= LIMIT
        assert models.closed == 1


async def test_nobody_reads_and_little_is_held(
    serve: Serve, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces become one long before anybody looks, and the end comes when it is asked for."""
    many = 200
    monkeypatch.setattr(recording, "MANY_PIECES", many)
    seen = 0

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        nonlocal seen
        while True:
            seen += 1
            yield TextDelta("ü")
            if seen % 100 == 0:
                await asyncio.sleep(0)

    async with serve("agents", SignIn(), kit.Models(script), kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("x")
        await kit.until(lambda: seen > 20 * many)
        chat: Any = server.kernel.services.get(GENERATIONS)
        (live,) = chat._live.values()
        (part,) = live.recorder.transcript.parts.values()
        assert len(part.pieces) <= 2 * many
        answer = await user.stop(started)
        assert answer.json()["success"] is True
        events = await user.events(started)
        assert events[-1].data["aborted"] is True


# -- what the database does not take ------------------------------------------------------


class Small:
    """A history whose database refuses long answers, as MongoDB does beyond 16 MB."""

    def __init__(self, history: Any, error: Exception) -> None:
        self.tries = 0
        save = history.save_message

        async def save_message(user: str, message: Any, **more: Any) -> Any:
            if len(json.dumps(message, default=str)) > 5000:
                self.tries += 1
                raise error
            return await save(user, message, **more)

        history.save_message = save_message


@pytest.mark.parametrize("protocol", [1, 2])
async def test_an_answer_that_cannot_be_stored_leaves_a_message(
    serve: Serve, kit: Kit, protocol: int
) -> None:
    history = kit.History()
    small = Small(history, DocumentTooLarge("BSON document too large"))
    models = kit.Models(one_piece)
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server, protocol=protocol)
        started = await user.start("x")
        events = await user.events(started)
        if protocol == 2:
            assert events[-1].data["reconcile"] is True
        else:
            assert events[-1].kind == "error"
        stored = history.answer(started["conversationId"])
        assert stored["content"] == [{"type": "error", "error": NOT_STORED}]
        assert (stored["unfinished"], stored["error"]) == (True, False)
        assert stored["parentMessageId"] in {m["messageId"] for m in history.stored.values()}
        assert small.tries == 1  # it would never succeed
        models.script = None
        again = await user.chat(
            "ECHO:and now",
            conversationId=started["conversationId"],
            parentMessageId=stored["messageId"],
        )
        assert kit.said(again) == "and now"


async def test_a_stopped_answer_that_cannot_be_stored(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    small = Small(history, DocumentTooLarge("BSON document too large"))

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        yield TextDelta("a" * 10_000)
        await asyncio.sleep(3600)

    async with serve("agents", SignIn(), kit.Models(script), history) as server:
        user = kit.chatter(server)
        started = await user.start("x")
        await user.events(started, stop=4)
        await kit.until(lambda: small.tries)  # the reader left: saved, as far as that goes
        answer = (await user.stop(started)).json()
        assert (answer["success"], answer["persistenceFailed"]) == (True, True)
        stored = history.answer(started["conversationId"])
        assert stored["content"] == [{"type": "error", "error": NOT_STORED}]
        assert small.tries == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DocumentTooLarge("x"), True),
        (OperationFailure("x", 10334), True),
        (OperationFailure("x", 17419), True),
        (OverflowError("x"), True),
        (OperationFailure("not primary", 10107), False),
        (ConnectionError("x"), False),
        (TimeoutError("x"), False),
    ],
)
def test_what_is_futile_to_repeat(error: Exception, *, expected: bool) -> None:
    assert refused(error) is expected
