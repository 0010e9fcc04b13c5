"""Ends that nobody planned: stop, closed browsers, shutdown, silence (chat-stream §5, §7; security §8.10)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from plugins.agents.tests.conftest import Kit

from locutory import Plugin, Provide, hook
from locutory_agents.turns.turn_manager import TurnManager
from locutory_contracts.accounts import AccountDeleting
from locutory_contracts.chat import GENERATIONS, TURN_OBSERVERS, Turn, TurnOutcome
from locutory_contracts.models import Finished, ModelCall, ModelEvent
from locutory_testing import Serve, SignIn
from locutory_testing.waiting import PATIENCE


async def test_stop_keeps_what_was_said(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ON", isTemporary=False)
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: models.tokens > 5)
        answer = await user.stop(started)
        conversation = started["conversationId"]
        assert answer.status_code == 200
        assert answer.json() == {
            "success": True,
            "aborted": conversation,
            "generationProtocolVersion": 2,
        }
        events = await reader
        text = kit.said(events)
        final = events[-1].data
        asked = events[0].data["message"]
        response = final["responseMessage"]
        assert final == {
            "final": True,
            "conversation": {"conversationId": conversation},
            "title": "New Chat",
            "requestMessage": {
                "messageId": asked["messageId"],
                "parentMessageId": kit.root,
                "conversationId": conversation,
                "text": "ON",
                "isCreatedByUser": True,
            },
            "responseMessage": {
                "messageId": response["messageId"],
                "parentMessageId": asked["messageId"],
                "conversationId": conversation,
                "content": [{"type": "text", "text": text}],
                "sender": "Fake",
                "endpoint": "Fake",
                "model": "fake-1",
                "unfinished": True,
                "error": False,
                "isCreatedByUser": False,
            },
            "aborted": True,
            "earlyAbort": False,
            "generationProtocolVersion": 2,
        }
        stored = history.answer(conversation)
        assert stored["text"] == text
        assert stored["unfinished"] is True
        assert stored["isTemporary"] is False
        assert stored["tokenCount"] > 0
        assert text.startswith("tok0 tok1")
        assert models.closed == 1
        again = await user.stop(started)
        assert again.json()["code"] == "RUN_ALREADY_SETTLED" if again.status_code == 200 else True
        assert (await user.get(f"/status/{conversation}")).json()["active"] is False


async def test_stop_before_the_model_is_ready(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    models.delay = 3600
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ECHO:never")
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: models.bodies)
        assert (await user.stop(started)).json()["success"] is True
        (final,) = await reader
        assert final.data["earlyAbort"] is True
        assert final.data["conversation"] is None
        assert final.data["responseMessage"] is None
        assert history.stored == {}


async def test_stop_of_a_provider_that_says_nothing(serve: Serve, kit: Kit) -> None:
    """Nothing came after ``created``: both messages are saved, so that the next turn has a parent."""

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        await asyncio.sleep(3600)
        yield Finished("stop")

    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(script), history) as server:
        user = kit.chatter(server)
        started = await user.start("hello")
        await user.events(started, stop=2)
        assert (await user.stop(started)).status_code == 200
        stored = history.answer(started["conversationId"])
        assert (stored["content"], stored["unfinished"]) == ([], True)
        assert len(history.stored) == 2


@pytest.mark.parametrize("pause", [0, 1, 2, 3, 5, 8])
async def test_stop_races_with_the_end(serve: Serve, kit: Kit, pause: int) -> None:
    """Exactly one end, and the stored answer is the one that was told."""
    history = kit.History()
    history.pause = 0.002
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user = kit.chatter(server)
        for _ in range(6):
            started = await user.start("ECHO:a b c")
            reader = asyncio.create_task(user.events(started))
            await asyncio.sleep(pause / 1000)
            answers = await asyncio.gather(user.stop(started), user.stop(started))
            events = await reader
            ends = [event for event in events if event.name == "final" or event.kind == "error"]
            assert len(ends) == 1
            assert ends[0] is events[-1]
            final = ends[0].data
            won = [answer.json().get("success") is True for answer in answers]
            if final.get("aborted"):
                assert won.count(True) == 1
            else:
                assert won.count(True) == 0
            if not final.get("earlyAbort"):
                response = final["responseMessage"]
                stored = history.stored[(kit.user, response["messageId"])]
                assert stored["content"] == response["content"]
                assert stored["unfinished"] is bool(final.get("aborted"))


async def test_who_may_stop_what(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other)
        nothing = await user.post(
            "/abort", {"conversationId": "007411cb-f3d9-47fb-b7b5-ad288d7fdda3"}
        )
        assert nothing.status_code == 404
        assert nothing.json() == {
            "error": "Job not found",
            "streamId": "007411cb-f3d9-47fb-b7b5-ad288d7fdda3",
            "generationProtocolVersion": 1,
        }
        started = await user.start("ON")
        refused = await other.stop(started)
        assert (refused.status_code, refused.json()["error"]) == (403, "Unauthorized")
        stale = await user.stop({**started, "generationCreatedAt": 5})
        assert (stale.status_code, stale.json()["code"]) == (409, "RUN_REPLACED")
        wrong: list[Any] = [
            [],
            {"conversationId": {"$gt": ""}},
            {"streamId": 5},
            {"abortKey": ""},
            {"conversationId": "x" * 513},
        ]
        for body in wrong:
            bad = await user.post("/abort", body)
            assert (bad.status_code, bad.json()["code"]) == (400, "INVALID_ABORT_TARGET"), body
        for value in ("5", -1, 1.5, True, 2**60):
            bad = await user.post("/abort", {"streamId": "x", "generationCreatedAt": value})
            assert bad.json()["code"] == "INVALID_GENERATION_IDENTITY"
        key = f"{started['conversationId']}:x"
        assert (await user.post("/abort", {"abortKey": key})).json()["success"] is True
        first = await user.start("ON")
        second = await user.start("ON")
        unclear = await user.post("/abort", {"conversationId": "new"})
        assert (unclear.status_code, unclear.json()["code"]) == (409, "AMBIGUOUS_ACTIVE_RUN")
        assert (await user.stop({**first, "conversationId": "new"})).json()["success"] is True
        assert (await user.post("/abort", {"conversationId": "new"})).json() == {
            "success": True,
            "aborted": second["conversationId"],
            "generationProtocolVersion": 1,
        }


async def test_stop_when_nothing_can_be_saved(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: models.tokens > 5)
        history.fail["response"] = 3
        answer = (await user.stop(started)).json()
        assert answer["success"] is True
        assert answer["persistenceFailed"] is True
        end = (await reader)[-1].data
        assert end["reconcileReason"] == "abort_persistence_failed"
        assert end["terminalStatus"] == "aborted"


async def test_left_alone_the_turn_goes_on(serve: Serve, kit: Kit) -> None:
    """The last reader leaves: what was said is saved at once, and the turn ends normally."""
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        await user.events(started, stop=8)
        conversation = started["conversationId"]
        await kit.until(lambda: len(history.stored) == 2)
        partial = history.answer(conversation)
        assert partial["unfinished"] is True
        assert partial["content"][0]["text"].startswith("tok0 tok1")
        models.enough.set()
        await kit.until(lambda: history.answer(conversation)["unfinished"] is False)
        whole = " ".join(f"tok{index}" for index in range(models.tokens))
        assert history.answer(conversation)["content"] == [{"type": "text", "text": whole}]
        assert len(history.stored) == 2


async def test_shutdown_saves_what_runs(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    yaml = {"plugins": {"agents": {"drain_seconds": 0.1}}}
    async with serve("agents", SignIn(), models, history, yaml=yaml) as server:
        user = kit.chatter(server)
        started = [await user.start("ON") for _ in range(5)]
        readers = [asyncio.create_task(user.events(one)) for one in started]
        await kit.until(lambda: models.tokens > 20 and kit.readers(server) == [1] * 5)
        await server.kernel.lifecycle.drain(PATIENCE)
        for one, reader in zip(started, readers, strict=True):
            events = await reader
            assert events[-1].kind == "error"
            text = events[-1].data["error"]
            assert text == "Generation interrupted because its server shut down"
            stored = history.answer(one["conversationId"])
            assert stored["unfinished"] is True
            assert stored["content"][0]["text"] == kit.said(events)
        refused = await user.post("/Fake", user.body("ECHO:too late"))
        assert refused.status_code == 503
        assert refused.json()["code"] == "SERVER_NOT_READY"
        assert refused.headers["retry-after"] == "1"
        assert (await user.get("/active")).json() == {"activeJobIds": []}


async def test_shutdown_lets_short_turns_end(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    yaml = {"plugins": {"agents": {"drain_seconds": PATIENCE}}}
    async with serve("agents", SignIn(), models, kit.History(), yaml=yaml) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: kit.readers(server) == [1])
        draining = asyncio.create_task(server.kernel.lifecycle.drain(PATIENCE))
        await kit.until(lambda: not server.kernel.lifecycle.ready)
        models.enough.set()
        assert (await reader)[-1].name == "final"
        await draining


async def test_silent_turns_are_ended(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    yaml = {"plugins": {"agents": {"stale_minutes": 0.001}}}
    async with serve("agents", SignIn(), kit.Models(), history, yaml=yaml) as server:
        user = kit.chatter(server)
        started = await user.start("HANG")
        async for event in user.follow(started):
            if event.name == "on_message_delta":
                break
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: kit.readers(server) == [1])
        chat = server.kernel.services.get(GENERATIONS)
        assert isinstance(chat, TurnManager)

        async def cared() -> bool:
            await chat.reap_stale_turns()
            return reader.done()

        await kit.until(cared)
        assert (await reader)[-1].data["error"] == "Generation timed out"
        assert history.answer(started["conversationId"])["content"][0]["text"] == "before"


async def test_account_deletion_stops_turns(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other)
        mine = [await user.start("ON") for _ in range(3)]
        theirs = await other.start("ON")
        await server.kernel.events.check(AccountDeleting(kit.user))
        generations = server.kernel.services.get(GENERATIONS)
        for one in mine:
            assert not await generations.active(kit.user, one["streamId"])
        assert await generations.active(kit.other, theirs["streamId"])
        await other.stop(theirs)


class Watching(Plugin):
    """Notes how turns end."""

    name = "watching"
    summary = "Observer for tests"
    provides = (TURN_OBSERVERS,)

    def __init__(self) -> None:
        self.seen: list[TurnOutcome] = []

    @hook
    def services(self) -> list[Provide]:
        return [
            Provide(TURN_OBSERVERS, self, "watching"),
            Provide(TURN_OBSERVERS, _Broken(), "broken"),
        ]

    async def finished(self, turn: Turn, outcome: TurnOutcome) -> None:
        self.seen.append(outcome)


class _Broken:
    async def finished(self, turn: Turn, outcome: TurnOutcome) -> None:
        raise RuntimeError("an observer's own fault")


async def test_observers_learn_of_every_end(serve: Serve, kit: Kit) -> None:
    watching = Watching()
    async with serve("agents", SignIn(), kit.Models(), kit.History(), watching) as server:
        user = kit.chatter(server)
        await user.chat("USE:a b")
        await kit.until(lambda: len(watching.seen) == 1)
        outcome = watching.seen[0]
        assert outcome.status == "complete"
        assert outcome.response_message is not None
        assert outcome.response_message["content"][0]["text"] == "a b"
        assert outcome.request_message is not None
        assert outcome.request_message["text"] == "USE:a b"
        assert [used.output_tokens for used in outcome.usage] == [4]
        assert outcome.seconds >= 0
        started = await user.start("ON")
        await user.events(started, stop=4)
        await user.stop(started)
        await kit.until(lambda: len(watching.seen) == 2)
        assert watching.seen[1].status == "aborted"
        await user.chat("ECHO:" + "x" * 9000, maxContextTokens=1200)
        await kit.until(lambda: len(watching.seen) == 3)
        assert watching.seen[2].status == "error"
