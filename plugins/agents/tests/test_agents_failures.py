"""What breaks, and what is left of the turn then (chat-stream §5, §6.6)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from plugins.agents.tests.conftest import Kit

from locutory import On, Plugin, StartupError, hook
from locutory_contracts.chat import TurnFinished, TurnRefused, TurnStarting
from locutory_contracts.models import ModelCall, ModelEvent
from locutory_testing import Serve, SignIn


async def test_provider_fails_before_it_speaks(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        events = await kit.chatter(server).chat("FAIL:500")
        assert kit.names(events) == ["created", "on_context_usage", "final"]
        answer = events[-1].data["responseMessage"]
        text = "An error occurred while processing the request: 500 forced failure 500"
        assert answer["content"] == [{"type": "error", "error": text}]
        assert answer["tokenCount"] == 4
        stored = history.answer(answer["conversationId"])
        assert (stored["error"], stored["unfinished"]) == (False, False)


async def test_provider_fails_in_the_middle(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        events = await user.chat("BREAK:half an answer")
        closed = next(e.data["data"] for e in events if e.name == "on_run_step_closed")
        assert closed["status"] == "failed"
        answer = events[-1].data["responseMessage"]
        assert [part["type"] for part in answer["content"]] == ["text", "error"]
        assert answer["content"][0]["text"] == "half an answer"
        assert answer["content"][1]["error"].endswith("the line went dead")
        await user.chat(
            "ECHO:go on",
            conversationId=answer["conversationId"],
            parentMessageId=answer["messageId"],
        )
        assert models.calls[-1].messages[1] == {"role": "assistant", "content": "half an answer"}


async def test_bug_of_a_provider_is_not_shown(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        events = await kit.chatter(server).chat("CRASH:")
        error = events[-1].data["responseMessage"]["content"][0]["error"]
        assert "/secret/path" not in error
        assert "failed unexpectedly" in error


async def test_one_of_two_models_fails(serve: Serve, kit: Kit) -> None:
    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        from locutory_contracts.models import ModelFailure, TextDelta

        if not fails:
            fails.append(1)
            raise ModelFailure("this one is down")
        yield TextDelta("this one works")

    fails: list[int] = []
    async with serve("agents", SignIn(), kit.Models(script), kit.History()) as server:
        events = await kit.chatter(server).chat("x", addedConvo={"endpoint": "O", "model": "m"})
        content = events[-1].data["responseMessage"]["content"]
        assert sorted(part["type"] for part in content) == ["error", "text"]
        assert all("agentId" in part and part["groupId"] == 1 for part in content)


async def test_without_history(serve: Serve, kit: Kit) -> None:
    """Nothing is saved, but the chat works."""
    async with serve("agents", SignIn(), kit.Models()) as server:
        user = kit.chatter(server)
        events = await user.chat("ECHO:unsaved")
        final = events[-1].data
        assert kit.said(events) == "unsaved"
        assert final["title"] is None
        assert final["conversation"]["title"] is None
        again = await user.chat(
            "ECHO:more",
            conversationId=final["conversation"]["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
        )
        assert again[-1].name == "final"
        started = await user.start("ON")
        await user.events(started, stop=4)
        assert (await user.stop(started)).json()["success"] is True


async def test_without_models(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.History()) as server:
        events = await kit.chatter(server).chat("hi")
        assert [event.kind for event in events] == ["error"]
        assert "switched off" in events[0].data["error"]


async def test_writes_are_repeated(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    history.fail = {"request": 1, "response": 1, "conversation": 1}
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        events = await kit.chatter(server).chat("ECHO:held fast")
        assert events[-1].name == "final"
        assert "reconcile" not in events[-1].data
        assert len(history.stored) == 2


@pytest.mark.parametrize("kind", ["request", "response", "conversation"])
async def test_write_that_fails(serve: Serve, kit: Kit, kind: str) -> None:
    """The reader is told to look for itself; the answer is saved once that is possible again."""
    history = kit.History()
    history.fail = {kind: 7}
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user, old = kit.chatter(server), kit.chatter(server, protocol=None)
        started = await user.start("ECHO:must not be lost")
        both = await asyncio.gather(user.events(started), old.events(started))
        end = both[0][-1].data
        assert end["reconcileReason"] == "terminal_payload_missing"
        assert end["terminalStatus"] == "complete"
        assert both[1][-1].kind == "error"
        assert "could not be saved" in both[1][-1].data["error"]
        assert (await user.get(f"/status/{started['streamId']}")).json()["active"] is False
        history.fail.clear()
        await kit.until(lambda: len(history.stored) == 2)
        stored = history.answer(started["conversationId"])
        assert stored["content"] == [{"type": "text", "text": "must not be lost"}]


class Balance(Plugin):
    """Refuses turns, and hears how they end."""

    name = "testbalance"
    summary = "Step handler for tests"

    def __init__(self) -> None:
        self.asked: list[TurnStarting] = []
        self.ended: list[TurnFinished] = []

    @hook
    def subscriptions(self) -> list[On]:
        return [On(TurnStarting, self._check), On(TurnFinished, self._charge)]

    async def _check(self, step: TurnStarting) -> None:
        self.asked.append(step)
        if step.turn.text == "ECHO:poor":
            raise TurnRefused('{"type":"token_balance"}')

    async def _charge(self, fact: TurnFinished) -> None:
        self.ended.append(fact)


async def test_refused_turn_keeps_the_question(serve: Serve, kit: Kit) -> None:
    models, history, balance = kit.Models(), kit.History(), Balance()
    async with serve("agents", SignIn(), models, history, balance) as server:
        user = kit.chatter(server)
        events = await user.chat("ECHO:poor")
        assert kit.names(events) == ["created", "error"]
        assert events[-1].data["error"] == '{"type":"token_balance"}'
        assert models.calls == []
        assert [m["text"] for m in history.stored.values()] == ["ECHO:poor"]
        step = balance.asked[0]
        assert step.prompt_tokens > 0
        assert step.turn.conversation_id == events[0].data["streamId"]
        await user.chat("ECHO:rich")
        await kit.until(lambda: len(balance.ended) == 2)
        assert [fact.outcome.status for fact in balance.ended] == ["error", "complete"]


async def test_history_that_cannot_be_read(
    serve: Serve, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = kit.History()

    async def broken(*_arguments: Any) -> None:
        raise ConnectionError("no database")

    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user = kit.chatter(server)
        final = (await user.chat("ECHO:first"))[-1].data
        monkeypatch.setattr(history, "branch", broken)
        events = await user.chat(
            "ECHO:second",
            conversationId=final["conversation"]["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
        )
        assert events[-1].kind == "error"
        assert "no database" not in events[-1].data["error"]


async def test_store_that_does_not_exist(serve: Serve, kit: Kit) -> None:
    for yaml, environment in (
        ({"plugins": {"agents": {"job_store": "nowhere"}}}, {}),
        ({}, {"USE_REDIS_STREAMS": "true"}),
    ):
        with pytest.raises(StartupError, match="there is no job store"):
            async with serve("agents", yaml=yaml, environment=environment):
                pass
