"""Work that runs beside an answer (memories §4)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from plugins.agents.tests.conftest import Event, Kit

from locutory import On, Plugin, Provide, hook
from locutory_agents.turns import companions
from locutory_contracts.chat import TURN_COMPANIONS, Turn, TurnRefused, TurnStarting
from locutory_testing import Serve, SignIn

Attach = Callable[[Mapping[str, Any]], None]
Work = Callable[["Companion"], Awaitable[None]]

NOTE = {"type": "memory", "toolCallId": "call_1", "memory": {"key": "color", "type": "update"}}


class Companion(Plugin):
    """Does what the test says, with what it was given."""

    name = "testcompanion"
    summary = "Companion for tests"
    provides = (TURN_COMPANIONS,)

    def __init__(self, work: Work) -> None:
        self.work = work
        self.turns: list[Turn] = []
        self.messages: list[Sequence[Mapping[str, Any]]] = []
        self.began = asyncio.Event()
        self.ended: list[str] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(TURN_COMPANIONS, self, "test")]

    async def accompany(
        self, turn: Turn, messages: Sequence[Mapping[str, Any]], attach: Attach
    ) -> None:
        self.turns.append(turn)
        self.messages.append(messages)
        self.attach = attach
        self.began.set()
        try:
            await self.work(self)
            self.ended.append("done")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise


async def note(companion: Companion) -> None:
    companion.attach(NOTE)


def attachments(events: Sequence[Event]) -> list[Mapping[str, Any]]:
    return [event.data["data"] for event in events if event.name == "attachment"]


async def test_attachment_of_a_companion(serve: Serve, kit: Kit) -> None:
    """It is told, it is part of the answer, and it carries the ids of the turn."""
    history, companion = kit.History(), Companion(note)
    async with serve("agents", SignIn(), kit.Models(), history, companion) as server:
        user = kit.chatter(server)
        events = await user.chat("ECHO:first")
        final = events[-1].data
        expected = {
            **NOTE,
            "messageId": final["responseMessage"]["messageId"],
            "conversationId": final["conversation"]["conversationId"],
        }
        assert attachments(events) == [expected]
        assert final["responseMessage"]["attachments"] == [expected]
        assert history.answer(expected["conversationId"])["attachments"] == [expected]
        assert companion.messages == [[{"role": "user", "content": "ECHO:first"}]]
        assert companion.turns[0].response_message_id == expected["messageId"]
        await user.chat(
            "ECHO:second",
            conversationId=expected["conversationId"],
            parentMessageId=expected["messageId"],
            isTemporary=True,
        )
        assert companion.messages[1] == [
            {"role": "user", "content": "ECHO:first"},
            {"role": "assistant", "content": "first"},
            {"role": "user", "content": "ECHO:second"},
        ]
        assert [turn.temporary for turn in companion.turns] == [False, True]


async def test_broken_companion(serve: Serve, kit: Kit) -> None:
    async def broken(companion: Companion) -> None:
        raise RuntimeError("a bug")

    async with serve("agents", SignIn(), kit.Models(), Companion(broken)) as server:
        events = await kit.chatter(server).chat("ECHO:whole answer")
        assert kit.said(events) == "whole answer"
        assert events[-1].name == "final"
        assert events[-1].data["responseMessage"]["attachments"] == []


async def test_slow_companion_costs_three_seconds(
    serve: Serve, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it goes on by itself, and what it shows comes too late."""
    monkeypatch.setattr(companions, "WAIT_SECONDS", 0.2)
    gate = asyncio.Event()

    async def slow(companion: Companion) -> None:
        await gate.wait()
        companion.attach(NOTE)

    history, companion = kit.History(), Companion(slow)
    async with serve("agents", SignIn(), kit.Models(), history, companion) as server:
        events = await kit.chatter(server).chat("ECHO:answer")
        assert companion.ended == []
        gate.set()
        await kit.until(lambda: companion.ended == ["done"])
        assert attachments(events) == []
        conversation = events[-1].data["conversation"]["conversationId"]
        assert history.answer(conversation)["attachments"] == []


async def test_long_answer_does_not_wait(serve: Serve, kit: Kit) -> None:
    """A companion that ends before the answer costs nothing."""
    companion, models = Companion(note), kit.Models()
    async with serve("agents", SignIn(), models, companion) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        await kit.until(lambda: companion.ended)
        models.enough.set()
        events = await user.events(started)
        assert kit.names(events).index("attachment") < kit.names(events).index("final")


async def test_stop_cancels(serve: Serve, kit: Kit) -> None:
    async def endless(companion: Companion) -> None:
        await asyncio.sleep(3600)

    companion = Companion(endless)
    async with serve("agents", SignIn(), kit.Models(), companion) as server:
        user = kit.chatter(server)
        for question in ("HANG", "ECHO:it waits for its companion"):
            companion.ended.clear()
            companion.began.clear()
            started = await user.start(question)
            await companion.began.wait()
            await asyncio.sleep(0.1)
            answer = await user.stop(started)
            assert answer.json()["success"] is True
            await kit.until(lambda: companion.ended == ["cancelled"])
            companion.attach(NOTE)


async def test_shutdown_cancels(serve: Serve, kit: Kit) -> None:
    async def endless(companion: Companion) -> None:
        await asyncio.sleep(3600)

    companion = Companion(endless)
    yaml = {"plugins": {"agents": {"drain_seconds": 0.1}}}
    async with serve("agents", SignIn(), kit.Models(), companion, yaml=yaml) as server:
        await kit.chatter(server).start("HANG")
        await companion.began.wait()
    assert companion.ended == ["cancelled"]


async def test_refused_turn_has_no_companions(serve: Serve, kit: Kit) -> None:
    """They start once the turn may ask its model."""
    companion = Companion(note)
    async with serve("agents", SignIn(), kit.Models(), companion) as server:

        async def refuse(step: TurnStarting) -> None:
            raise TurnRefused("no")

        server.kernel.events.subscribe(On(TurnStarting, refuse), "test")
        events = await kit.chatter(server).chat("ECHO:poor")
        assert events[-1].kind == "error"
        assert companion.turns == []


async def test_failing_model_keeps_the_companion(serve: Serve, kit: Kit) -> None:
    """The answer of a failing provider ends normally, and so does the work beside it."""
    companion = Companion(note)
    async with serve("agents", SignIn(), kit.Models(), companion) as server:
        events = await kit.chatter(server).chat("FAIL:500")
        assert events[-1].name == "final"
        assert len(attachments(events)) == 1
