"""What a turn tells of its model calls to whoever charges for them (`UsageReported`)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from plugins.agents.tests.conftest import Kit

from locutory import On, Plugin, hook
from locutory_contracts.chat import TurnRefused, TurnStarting, UsageReported
from locutory_contracts.models import ModelCall, ModelEvent, TitleSettings
from locutory_testing import Serve, SignIn


class Till(Plugin):
    """Notes what is to be paid."""

    name = "testtill"
    summary = "Usage for tests"

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.reports: list[UsageReported] = []

    @hook
    def subscriptions(self) -> list[On]:
        return [On(UsageReported, self._used), On(TurnStarting, self._check)]

    async def _check(self, step: TurnStarting) -> None:
        if step.turn.text == "ECHO:poor":
            raise TurnRefused('{"type":"token_balance"}')

    async def _used(self, fact: UsageReported) -> None:
        await asyncio.sleep(self.pause)
        self.reports.append(fact)

    @property
    def calls(self) -> list[tuple[str, int]]:
        return [(u.context, u.output_tokens) for fact in self.reports for u in fact.usage]


async def test_usage_is_told_before_the_last_event(serve: Serve, kit: Kit) -> None:
    till = Till(pause=0.2)
    async with serve("agents", SignIn(), kit.Models(), till) as server:
        events = await kit.chatter(server).chat("USE:four tokens")
        assert events[-1].name == "final"
        assert till.calls == [("message", 4)]
        assert [fact.settles for fact in till.reports] == [True]
        used = till.reports[0].usage[0]
        assert (used.input_tokens, used.cache_read) == (10, 2)


async def test_usage_that_no_provider_told_is_counted(serve: Serve, kit: Kit) -> None:
    till = Till()
    async with serve("agents", SignIn(), kit.Models(), till) as server:
        events = await kit.chatter(server).chat("ECHO:" + "word " * 40)
        (context, tokens) = till.calls[0]
        assert context == "message"
        assert 20 <= tokens <= 120
        assert till.reports[0].usage[0].input_tokens > 20
        assert "metadata" not in events[-1].data["responseMessage"]


@pytest.mark.parametrize("text", ["FAIL:500", "BREAK:some words", "CRASH:"])
async def test_failed_calls_cost_nothing_of_ours(serve: Serve, kit: Kit, text: str) -> None:
    till = Till()
    async with serve("agents", SignIn(), kit.Models(), till) as server:
        await kit.chatter(server).chat(text)
        assert till.calls == []
        assert [fact.settles for fact in till.reports] == [True]


async def test_a_call_that_is_cut_off_is_counted_as_such(serve: Serve, kit: Kit) -> None:
    till, models = Till(), kit.Models()
    async with serve("agents", SignIn(), models, till) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        await kit.until(lambda: models.tokens > 5)
        await user.post("/abort", {"conversationId": started["conversationId"]})
        await kit.until(lambda: till.reports)
        (context, tokens) = till.calls[0]
        assert context == "incomplete"
        assert tokens > 0


async def test_a_title_is_told_when_it_is_there(serve: Serve, kit: Kit) -> None:
    models = kit.Models(title=TitleSettings(timing="final"))
    till = Till()

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        from locutory_contracts.models import TextDelta, Usage

        yield TextDelta("A Title")
        yield Usage(input_tokens=7, output_tokens=2)

    models.script = script
    async with serve("agents", SignIn(), models, kit.History(), till) as server:
        await kit.chatter(server).chat("ECHO:hello")
        await kit.until(lambda: len(till.reports) == 2)
        assert till.calls == [("message", 2), ("title", 2)]
        assert [fact.settles for fact in till.reports] == [True, False]


async def test_a_refused_turn_makes_no_title(serve: Serve, kit: Kit) -> None:
    models, till = kit.Models(title=TitleSettings()), Till()
    async with serve("agents", SignIn(), models, till) as server:
        events = await kit.chatter(server).chat("ECHO:poor")
        assert kit.names(events) == ["created", "error"]
        await asyncio.sleep(0.05)
        assert models.calls == []
        assert [fact.settles for fact in till.reports] == [True]
        assert till.calls == []
