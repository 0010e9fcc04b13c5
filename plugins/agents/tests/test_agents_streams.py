"""Readers: late, many, slow, coming back (chat-stream §6, §6.8, §6.10)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from plugins.agents.tests.conftest import Kit

from locutory_agents.routes import stream
from locutory_agents.stream import sse
from locutory_agents.stream.log import EventLog
from locutory_contracts.chat import GENERATIONS
from locutory_contracts.models import ModelCall, ModelEvent
from locutory_testing import Serve, SignIn

FULL = " ".join(f"tok{index}" for index in range(40))


async def test_late_reader_gets_everything(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("ECHO:over before you came")
        await kit.until(lambda: not kit.readers(server))
        assert (await user.get("/active")).json() == {"activeJobIds": []}
        status = (await user.get(f"/status/{started['streamId']}")).json()
        assert (status["active"], status["status"]) == (False, "complete")
        events = await user.events(started)
        assert events[0].name == "created"
        assert kit.said(events) == "over before you came"
        assert events[-1].name == "final"


async def test_a_tab_that_comes_just_after_the_end_gets_it(serve: Serve, kit: Kit) -> None:
    """It loaded the history while the answer was still being made."""
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("ECHO:read by the first tab")
        assert (await user.events(started))[-1].name == "final"
        events = await user.events(started, resume=True)
        assert kit.said(events) == "read by the first tab"
        assert events[-1].name == "final"


async def test_resume_mid_stream_is_exact(serve: Serve, kit: Kit) -> None:
    """Snapshot plus what follows is the whole text, once, wherever the reader comes back."""
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        for count in (3, 4, 2, 5):
            events = await user.events(started, resume=count != 3, stop=count)
            assert len(events) == count
        models.enough.set()
        events = await user.events(started, resume=True)
        assert events[0].name == "sync"
        state = events[0].data["resumeState"]
        assert events[0].data["pendingEvents"] == []
        assert state["conversationId"] == started["conversationId"]
        assert [step["index"] for step in state["runSteps"]] == [0]
        assert state["userMessage"] == {
            "messageId": state["userMessage"]["messageId"],
            "parentMessageId": kit.root,
            "conversationId": started["conversationId"],
            "text": "ON",
        }
        assert (state["sender"], state["model"]) == ("Fake", "fake-1")
        assert state["contextUsage"]["contextBudget"] == 28880
        assert "created" not in kit.names(events)
        text = kit.said(events)
        assert kit.unbroken(text)
        final = events[-1].data
        assert final["responseMessage"]["messageId"] == state["responseMessageId"]
        assert final["responseMessage"]["content"] == [{"type": "text", "text": text}]


async def test_many_readers_see_the_same(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("SLOW:40:5")

        async def read(delay: float, resume: bool) -> str:
            await asyncio.sleep(delay)
            return kit.said(await user.events(started, resume=resume))

        texts = await asyncio.gather(*(read(i * 0.01, i % 2 == 1) for i in range(12)))
        assert set(texts) == {FULL}


async def test_status_of_a_running_turn(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other, None)
        started = await user.start("ON")
        await user.events(started, stop=6)
        stream = started["streamId"]
        status = (await user.get(f"/status/{stream}")).json()
        assert status["active"] is True
        assert (status["status"], status["streamId"]) == ("running", stream)
        assert status["createdAt"] == started["generationCreatedAt"]
        assert status["aggregatedContent"] == status["resumeState"]["aggregatedContent"]
        assert status["aggregatedContent"][0]["text"].startswith("tok0 tok1")
        assert (await user.get("/active")).json() == {"activeJobIds": [stream]}
        assert (await other.get("/active")).json() == {"activeJobIds": []}
        refused = await other.get(f"/status/{stream}")
        assert refused.status_code == 403
        assert refused.json() == {"error": "Unauthorized", "generationProtocolVersion": 1}
        assert refused.headers["x-librechat-generation-protocol"] == "1"
        refused = await other.get(f"/stream/{stream}")
        assert (refused.status_code, refused.json()["error"]) == (403, "Unauthorized")
        generations = server.kernel.services.get(GENERATIONS)
        assert await generations.active(kit.user, stream)
        assert not await generations.active(kit.other, stream)
        unknown = await user.get("/status/00000000-0000-4000-9000-000000000000")
        assert unknown.json() == {"active": False, "generationProtocolVersion": 2}
        await user.stop(started)


async def test_stream_answers_before_streaming(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user, plain = kit.chatter(server), kit.chatter(server, protocol=None)
        missing = await plain.get("/stream/00000000-0000-4000-9000-000000000000")
        assert missing.status_code == 404
        assert missing.json() == {
            "error": "Stream not found",
            "message": "The generation job does not exist or has expired.",
            "generationProtocolVersion": 1,
        }
        started = await user.start("ON")
        stream = started["streamId"]
        for wrong in ("x", "-1", "1.5", "9" * 17):
            bad = await user.get(f"/stream/{stream}?generationCreatedAt={wrong}")
            assert bad.status_code == 400
            assert bad.json()["error"] == "Invalid generation identity"
        stale = await user.get(f"/stream/{stream}?generationCreatedAt=5")
        assert (stale.status_code, stale.json()["code"]) == (409, "GENERATION_REPLACED")
        head = await server.client.head(f"/api/agents/chat/stream/{stream}", headers=user.headers)
        assert head.headers["content-type"] == "text/event-stream"
        async with server.client.stream(
            "GET", f"/api/agents/chat/stream/{stream}", headers=user.headers
        ) as answer:
            wanted = {
                "content-type": "text/event-stream",
                "content-encoding": "identity",
                "cache-control": "no-cache, no-transform",
                "connection": "keep-alive",
                "x-accel-buffering": "no",
                "x-librechat-generation-protocol": "1",
                "access-control-allow-origin": "*",
                "x-robots-tag": "noindex",
            }
            assert {key: answer.headers[key] for key in wanted} == wanted
        await user.stop(started)


async def test_markers_that_disagree_mean_version_one(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        for header, field, expected in (("2", 2, 2), ("2", "2", 2), ("1", 2, 1), ("x", 2, 1)):
            body = user.body("ECHO:hi") | {"generationProtocolVersion": field}
            answer = await server.client.post(
                "/api/agents/chat/Fake",
                json=body,
                headers=user.headers | {"x-librechat-generation-protocol": header},
            )
            assert answer.json()["generationProtocolVersion"] == expected
            assert answer.headers["x-librechat-generation-protocol"] == str(expected)


async def test_server_version_can_be_set(serve: Serve, kit: Kit) -> None:
    environment = {"GENERATION_PROTOCOL_VERSION": "1"}
    async with serve(
        "agents", SignIn(), kit.Models(), kit.History(), environment=environment
    ) as server:
        started = await kit.chatter(server).start("ECHO:hi")
        assert started["generationProtocolVersion"] == 1


async def test_replacement(serve: Serve, kit: Kit) -> None:
    """A new turn ends the running one: what it said is saved, its readers reconcile."""
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user, old = kit.chatter(server), kit.chatter(server, protocol=None)
        started = await user.start("ON")
        reader = asyncio.create_task(user.events(started))
        legacy = asyncio.create_task(old.events(started))
        await kit.until(lambda: models.tokens > 5 and kit.readers(server) == [2])
        conversation = started["conversationId"]
        again = await user.start("ECHO:second", conversationId=conversation)
        assert again["streamId"] == conversation
        assert again["generationCreatedAt"] > started["generationCreatedAt"]
        events = await reader
        assert events[-1].kind == "message"
        assert events[-1].data == {
            "final": True,
            "reconcile": True,
            "reconcileReason": "generation_replaced",
            "generationCreatedAt": started["generationCreatedAt"],
            "conversation": {"conversationId": conversation},
            "generationProtocolVersion": 2,
        }
        told = (await legacy)[-1]
        assert told.kind == "error"
        assert isinstance(told.data["error"], str)
        assert kit.said(await user.events(again)) == "second"
        partial = [m for m in history.stored.values() if m.get("unfinished")]
        assert len(partial) == 1
        assert partial[0]["content"][0]["text"].startswith("tok0 tok1")
        assert models.closed == 2
        stale = await user.get(
            f"/stream/{conversation}?generationCreatedAt={started['generationCreatedAt']}"
        )
        assert stale.status_code in (404, 409)


async def test_slow_reader_goes_on_from_a_snapshot(
    serve: Serve, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that forgets: the reader gets ``sync`` in the middle, and the text stays exact."""
    original = EventLog.__init__
    monkeypatch.setattr(EventLog, "__init__", lambda self: original(self, max_events=6))
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("SLOW:40:5")
        late = asyncio.create_task(user.events(started))
        await late
        assert kit.said(late.result()) == FULL
        started = await user.start("ON")
        await kit.until(lambda: models.tokens > 20)
        follower = await user.events(started, stop=4)
        await kit.until(lambda: models.tokens > 40)
        models.enough.set()
        events = await user.events(started)
        assert kit.unbroken(kit.said(events))
        assert follower


async def test_keep_alive(serve: Serve, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse.Heartbeat.__init__, "__defaults__", (0.05,))
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("HANG")
        seen = ""
        path = f"/api/agents/chat/stream/{started['streamId']}"
        async with server.client.stream("GET", path, headers=user.headers) as answer:
            async for text in answer.aiter_text():
                seen += text
                if seen.count(": ping\n\n") == 3:
                    break
        assert '"before"' in seen
        await user.stop(started)


async def test_readers_have_a_limit(
    serve: Serve, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_READERS", 2)
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        readers = [asyncio.create_task(user.events(started)) for _ in range(2)]
        await kit.until(lambda: kit.readers(server) == [2])
        full = await user.get(f"/stream/{started['streamId']}")
        assert (full.status_code, full.headers["retry-after"]) == (429, "5")
        await user.stop(started)
        assert all(events[-1].name == "final" for events in await asyncio.gather(*readers))


async def test_fifty_chats_at_once(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        users = [kit.chatter(server, f"{number:024x}") for number in range(50)]
        turns = await asyncio.gather(*(user.chat("SLOW:20:10") for user in users))
        expected = " ".join(f"tok{index}" for index in range(20))
        for events in turns:
            assert kit.said(events) == expected
            assert events[-1].name == "final"
        assert len(history.stored) == 100
        chat: Any = server.kernel.services.get(GENERATIONS)
        assert len(chat._live) == 0


async def test_text_that_is_not_unicode(serve: Serve, kit: Kit) -> None:
    from locutory_contracts.models import Finished, TextDelta

    async def script(call: ModelCall) -> AsyncIterator[ModelEvent]:
        yield TextDelta("a\ud800b ")
        yield TextDelta("c\u2028d\n\ne")
        yield Finished("stop")

    async with serve("agents", SignIn(), kit.Models(script), kit.History()) as server:
        events = await kit.chatter(server).chat("x")
        assert kit.said(events) == "a?b c\u2028d\n\ne"
        assert json.dumps(events[-1].data)
