"""Two workers that share a Redis: any of them serves, resumes, stops any turn (design "Chat")."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from plugins.agents.tests.conftest import (
    Chatter,
    Event,
    FakeHistory,
    FakeModels,
    FakeTools,
    Kit,
)

from locutory_agents.stores.redis import keys as redis_keys
from locutory_agents.stores.redis import publisher as redis_publisher
from locutory_agents.stores.redis import subscriber as redis_subscriber
from locutory_contracts.chat import GENERATIONS
from locutory_testing import Serve, Server, SignIn
from locutory_testing.database import Databases
from locutory_testing.programs import redis_server
from locutory_testing.waiting import PATIENCE, until

FULL = " ".join(f"tok{index}" for index in range(40))


ALIVE_MS = 3000


class Pair:
    """Two servers with one history."""

    def __init__(
        self,
        kit: Kit,
        first: Server,
        second: Server,
        history: FakeHistory,
        models: FakeModels,
        tools: FakeTools,
    ) -> None:
        self.first, self.second = first, second
        self.history, self.models, self.tools = history, models, tools
        self.a, self.b = kit.chatter(first), kit.chatter(second)


@asynccontextmanager
async def pair(serve: Serve, kit: Kit, redis_uri: str, **environment: str) -> AsyncIterator[Pair]:
    settings = {
        "USE_REDIS": "true",
        "REDIS_URI": redis_uri,
        "REDIS_KEY_PREFIX": f"t{uuid4().hex[:8]}",
        "GENERATION_PROTOCOL_VERSION": "2",
        **environment,
    }
    history, models, tools = kit.History(), kit.Models(), kit.Tools()
    yaml = {"plugins": {"agents": {"drain_seconds": 0}}}
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(
                serve(
                    "agents",
                    SignIn(),
                    models,
                    history,
                    tools,
                    environment=settings,
                    yaml=yaml,
                )
            )
            for _ in range(2)
        ]
        yield Pair(kit, servers[0], servers[1], history, models, tools)


def generations(server: Server) -> Any:
    """The service with more than its contract has."""
    return server.kernel.services.get(GENERATIONS)


async def reading(
    who: Chatter, started: Mapping[str, Any]
) -> tuple[list[Event], asyncio.Task[None]]:
    """The growing list of a stream's events once some text came, and the task that reads it."""
    found: list[Event] = []

    async def follow() -> None:
        async for event in who.follow(started):
            found.append(event)  # noqa: PERF401  (looked at while it grows)

    task = asyncio.create_task(follow())
    await until(lambda: len(found) > 4 or task.done())
    return found, task


async def test_read_on_another_worker(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("SLOW:40:10")
        here, there = await asyncio.gather(two.a.events(started), two.b.events(started))
        assert kit.said(here) == kit.said(there) == FULL
        assert kit.names(here) == kit.names(there)
        assert here[-1].data == there[-1].data
        late = await two.b.events(started)
        assert kit.said(late) == FULL
        assert late[-1].name == "final"
        status = (await two.b.get(f"/status/{started['streamId']}")).json()
        assert (status["active"], status["status"]) == (False, "complete")


async def test_resume_on_another_worker_is_exact(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        await two.a.events(started, stop=5)
        await two.b.events(started, resume=True, stop=3)
        await two.a.events(started, resume=True, stop=2)
        two.models.enough.set()
        events = await two.b.events(started, resume=True)
        assert events[0].name == "sync"
        assert events[0].data["resumeState"]["sender"] == "Fake"
        assert kit.unbroken(kit.said(events))
        whole = [{"type": "text", "text": kit.said(events)}]
        assert events[-1].data["responseMessage"]["content"] == whole


async def test_snapshots_keep_it_exact(
    serve: Serve, kit: Kit, redis_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log in Redis is cut again and again; readers that come at any time miss nothing."""
    monkeypatch.setattr(redis_publisher, "MAX_EVENTS", 4)
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("SLOW:40:10")

        async def read(delay: float, resume: bool) -> str:
            await asyncio.sleep(delay)
            return kit.said(await two.b.events(started, resume=resume))

        texts = await asyncio.gather(*(read(i * 0.05, i % 2 == 0) for i in range(8)))
        assert set(texts) == {FULL}


async def test_status_and_lists_on_another_worker(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        other = kit.chatter(two.second, kit.other)
        started = await two.a.start("ON")
        stream = started["streamId"]
        await two.b.events(started, stop=6)
        assert (await two.b.get("/active")).json() == {"activeJobIds": [stream]}
        assert (await other.get("/active")).json() == {"activeJobIds": []}
        status = (await two.b.get(f"/status/{stream}")).json()
        assert status["active"] is True
        assert status["aggregatedContent"][0]["text"].startswith("tok0 tok1")
        assert (await other.get(f"/status/{stream}")).status_code == 403
        assert (await other.get(f"/stream/{stream}")).status_code == 403
        assert (await other.stop(started)).status_code == 403
        assert await two.second.kernel.services.get(GENERATIONS).active(kit.user, stream)
        await two.second.kernel.services.get(GENERATIONS).stop_all(kit.user)
        assert (await two.a.get("/active")).json() == {"activeJobIds": []}


async def test_stop_on_another_worker(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        readers = [asyncio.create_task(who.events(started)) for who in (two.a, two.b)]
        await kit.until(lambda: two.models.tokens > 5)
        answer = await two.b.stop(started)
        assert answer.json() == {
            "success": True,
            "aborted": started["conversationId"],
            "generationProtocolVersion": 2,
        }
        here, there = await asyncio.gather(*readers)
        assert here[-1].data == there[-1].data
        assert here[-1].data["aborted"] is True
        text = kit.said(here)
        assert kit.said(there) == text
        stored = two.history.answer(started["conversationId"])
        assert stored["text"] == text
        assert stored["unfinished"] is True
        assert two.models.closed == 1
        again = (await two.b.stop(started)).json()
        assert again["code"] == "RUN_ALREADY_SETTLED"
        assert again["terminalStatus"] == "aborted"


async def test_stops_from_both_workers(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        for pause in (0, 2, 4, 6, 8):
            started = await two.a.start("ECHO:a b c")
            reader = asyncio.create_task(two.b.events(started))
            await asyncio.sleep(pause / 1000)
            answers = await asyncio.gather(two.a.stop(started), two.b.stop(started))
            events = await reader
            ends = [event for event in events if event.name == "final" or event.kind == "error"]
            assert len(ends) == 1
            won = [answer.json().get("success") is True for answer in answers]
            assert won.count(True) == (1 if ends[0].data.get("aborted") else 0)


async def test_replacement_by_another_worker(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        readers = [asyncio.create_task(who.events(started)) for who in (two.a, two.b)]
        await kit.until(lambda: two.models.tokens > 5)
        again = await two.b.start("ECHO:second", conversationId=started["conversationId"])
        assert again["generationCreatedAt"] > started["generationCreatedAt"]
        for events in await asyncio.gather(*readers):
            assert events[-1].data["reconcileReason"] == "generation_replaced"
        assert kit.said(await two.a.events(again)) == "second"
        partial = [m for m in two.history.stored.values() if m.get("unfinished")]
        assert len(partial) == 1
        assert partial[0]["content"][0]["text"].startswith("tok0 tok1")


async def test_steer_from_another_worker(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start('CALL:[["wait", {}]]')
        await kit.until(lambda: two.tools.running == 1)
        body = {"conversationId": started["conversationId"], "text": "ECHO:steered"}
        answer = await two.b.post("/steer", body)
        assert answer.status_code == 202
        two.tools.go_on.set()
        events = await two.b.events(started)
        assert "on_steer_applied" in kit.names(events)
        assert events[-1].data["responseMessage"]["content"][-1]["text"] == "steered"


async def test_last_reader_leaves_on_another_worker(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        await two.b.events(started, stop=8)
        await kit.until(lambda: len(two.history.stored) == 2)
        assert two.history.answer(started["conversationId"])["unfinished"] is True
        await two.b.stop(started)


async def test_one_generation_across_workers(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri, LIMIT_CONCURRENT_MESSAGES="true") as two:
        body = two.a.body("ON", clientRequestId="same")
        answers = await asyncio.gather(
            *(who.post("/Fake", body) for who in (two.a, two.b, two.a, two.b))
        )
        found = [answer.json() for answer in answers]
        assert sorted(one["status"] for one in found) == ["resumed"] * 3 + ["started"]
        assert len({one["generationCreatedAt"] for one in found}) == 1
        second = await two.b.start("ON")
        full = await two.a.post("/Fake", two.a.body("x"))
        assert (full.status_code, full.json()["pendingRequests"]) == (429, 2)
        await two.a.stop(second)
        third = await two.a.start("ECHO:x")
        await two.a.events(third)
        fence = {
            "conversationId": found[0]["streamId"],
            "expectedPredecessorCreatedAt": found[0]["generationCreatedAt"],
        }
        early = await two.b.post("/Fake", two.b.body("x", **fence))
        assert early.json()["code"] == "GENERATION_PREDECESSOR_MISMATCH"
        two.models.enough.set()
        await two.b.events(found[0])
        assert (await two.b.post("/Fake", two.b.body("ECHO:x", **fence))).status_code == 200


async def test_version_one_by_default(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri, GENERATION_PROTOCOL_VERSION="") as two:
        started = await two.a.start("ECHO:x")
        assert started["generationProtocolVersion"] == 1
        assert (await two.b.events(started))[-1].data["generationProtocolVersion"] == 1


async def test_coalesced_events(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri, STREAM_DELTA_COALESCE_MS="80") as two:
        started = await two.a.start("SLOW:40:10")
        events = await two.b.events(started)
        assert kit.said(events) == FULL


async def test_memory_store_beside_redis(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri, USE_REDIS_STREAMS="false") as two:
        started = await two.a.start("SLOW:40:10")
        assert (await two.b.get(f"/stream/{started['streamId']}")).status_code == 404
        assert kit.said(await two.a.events(started)) == FULL


def told_to_come_again(events: Sequence[Event], started: Mapping[str, Any], protocol: int) -> None:
    """The last event says so: a dropped connection is a clean end behind some proxies."""
    last = events[-1]
    if protocol == 1:
        assert last.kind == "error"
        assert "reload" in last.data["error"]
        return
    assert last.data == {
        "final": True,
        "reconcile": True,
        "reconcileReason": "terminal_payload_missing",
        "generationCreatedAt": started["generationCreatedAt"],
        "conversation": {"conversationId": started["conversationId"]},
        "generationProtocolVersion": 2,
    }


@pytest.mark.parametrize("protocol", [1, 2])
async def test_worker_that_shuts_down_sends_readers_away(
    serve: Serve, kit: Kit, redis_uri: str, protocol: int
) -> None:
    """A reader of another worker's turn is told, and comes again elsewhere."""
    version = {"GENERATION_PROTOCOL_VERSION": str(protocol)}
    async with pair(serve, kit, redis_uri, **version) as two:
        started = await two.a.start("ON")
        events, reader = await reading(two.b, started)
        await two.second.kernel.lifecycle.drain(PATIENCE)
        await reader
        told_to_come_again(events, started, protocol)
        two.models.enough.set()
        events = await two.a.events(started, resume=True)
        assert kit.unbroken(kit.said(events))


async def test_a_feed_that_breaks_off_is_found_again(
    serve: Serve, kit: Kit, redis_uri: str
) -> None:
    """The log has a gap (Redis was away for a while): the stream goes on from a snapshot."""
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        reader = asyncio.create_task(two.b.events(started))
        subscriber = generations(two.second).store._subscriber
        broken = []
        for _ in range(3):
            await until(
                lambda: any(f.log.watchers and f not in broken for f in subscriber._feeds.values())
            )
            broken.extend(subscriber._feeds.values())
            subscriber.break_off()
        await until(
            lambda: any(f.log.watchers and f not in broken for f in subscriber._feeds.values())
        )
        two.models.enough.set()
        events = await reader
        assert kit.names(events).count("sync") == 3
        assert kit.unbroken(kit.said(events))
        assert events[-1].name == "final"


@pytest.mark.parametrize("protocol", [1, 2])
async def test_redis_comes_back_empty(
    serve: Serve, kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    """Nobody knows of the turn any more: its readers on other workers are told, those of its
    own worker see it to the end."""
    monkeypatch.setattr(redis_subscriber, "HEARTBEAT_SECONDS", 0.2)
    version = {"GENERATION_PROTOCOL_VERSION": str(protocol)}
    with redis_server(tmp_path) as (url, process):
        async with pair(serve, kit, url, **version) as two:
            started = await two.a.start("ON")
            here, reader_here = await reading(two.a, started)
            there, reader_there = await reading(two.b, started)
            process.kill()
            process.wait()
            with redis_server(tmp_path, port=int(url.rpartition(":")[2])):
                await reader_there
                told_to_come_again(there, started, protocol)
                two.models.enough.set()
                await reader_here
                assert (here[-1].name, here[-1].data.get("reconcile")) == ("final", None)
                assert two.history.answer(started["conversationId"])["unfinished"] is False


async def test_owner_that_shuts_down_ends_its_turns(serve: Serve, kit: Kit, redis_uri: str) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        events, reader = await reading(two.b, started)
        await two.first.kernel.lifecycle.drain(PATIENCE)
        await reader
        assert events[-1].kind == "error"
        assert "shut down" in events[-1].data["error"]
        stored = two.history.answer(started["conversationId"])
        assert stored["content"][0]["text"] == kit.said(events)


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers count as dead soon, but not because the machine is slow."""
    monkeypatch.setattr(redis_keys, "ALIVE_MS", ALIVE_MS)
    monkeypatch.setattr(redis_subscriber, "ALIVE_MS", ALIVE_MS)
    monkeypatch.setattr(redis_subscriber, "HEARTBEAT_SECONDS", 0.2)


async def test_worker_that_is_killed(
    serve: Serve, kit: Kit, redis_uri: str, short_lives: None, databases: Databases
) -> None:
    """Its turn ends with an error, and what it had said is saved, by somebody else."""
    async with pair(serve, kit, redis_uri) as two:
        prefix = two.second.kernel.config.redis_key_prefix
        script = Path(__file__).with_name("agents_worker.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            redis_uri,
            prefix,
            databases.address(f"killed_{prefix}"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            url = await _address(process)
            async with httpx2.AsyncClient(
                base_url=url, timeout=PATIENCE, trust_env=False
            ) as client:
                doomed = type(two.a)(client)
                started = await doomed.start("ON")
                reader = asyncio.create_task(two.b.events(started))
                seen = await two.b.events(started, stop=12)
                assert len(seen) == 12
                process.kill()
                await process.wait()
            chat = generations(two.second)

            async def cared() -> bool:
                await chat.reap_stale_turns()
                return reader.done()

            await kit.until(cared)
            events = await reader
            assert events[-1].kind == "error"
            stored = two.history.answer(started["conversationId"])
            assert stored["unfinished"] is True
            assert stored["content"] == [{"type": "text", "text": kit.said(events)}]
            assert len(two.history.stored) == 2
            status = (await two.a.get(f"/status/{started['streamId']}")).json()
            assert (status["active"], status["status"]) == (False, "error")
            late = await two.a.events(started)
            assert late[-1].kind == "error"
            assert (await two.a.get("/active")).json() == {"activeJobIds": []}
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"URL "):
            return line.decode().split()[1]
    raise AssertionError("the worker did not start")


async def test_stop_of_a_dead_worker(
    serve: Serve, kit: Kit, redis_uri: str, short_lives: None
) -> None:
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        events, reader = await reading(two.b, started)
        store = generations(two.first).store
        tasks = list(store._subscriber._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(ALIVE_MS / 1000 + 0.1)
        answer = await two.b.stop(started)
        assert answer.json()["success"] is True
        await reader
        assert events[-1].data["aborted"] is True
        # The worker was not dead but deaf: its turn notices that it has been ended elsewhere.
        chat = generations(two.first)
        live = next(iter(chat._live.values()))
        assert (await live.stop("abort"))["won"] is False
        await kit.until(lambda: not chat._live)
        assert two.models.closed == 1


async def test_an_edited_answer_of_a_dead_worker_keeps_its_parts(
    serve: Serve, kit: Kit, redis_uri: str, short_lives: None
) -> None:
    async with pair(serve, kit, redis_uri) as two:
        events = await two.a.events(await two.a.start("THINK:thought|old text"))
        asked, answered = events[-1].data["requestMessage"], events[-1].data["responseMessage"]
        started = await two.a.start(
            "ON",
            conversationId=asked["conversationId"],
            parentMessageId=asked["parentMessageId"],
            isRegenerate=True,
            overrideParentMessageId=asked["messageId"],
            responseMessageId=answered["messageId"],
            editedContent={"index": 1, "type": "text", "text": "new text,"},
        )
        await reading(two.b, started)
        for task in list(generations(two.first).store._subscriber._tasks):
            task.cancel()
        await asyncio.sleep(ALIVE_MS / 1000 + 0.1)
        assert (await two.b.stop(started)).json()["success"] is True
        stored = [row for row in two.history.stored.values() if row.get("unfinished")]
        assert stored[0]["content"][0] == {"type": "think", "think": "thought"}
        assert stored[0]["content"][1]["text"].startswith("new text,")


@pytest.mark.parametrize("was_saved", [False, True])
async def test_worker_that_dies_while_it_saves(
    serve: Serve, kit: Kit, redis_uri: str, short_lives: None, was_saved: bool
) -> None:
    """The end was claimed, the last event never came: another worker sends it."""
    async with pair(serve, kit, redis_uri) as two:
        started = await two.a.start("ON")
        events, reader = await reading(two.b, started)
        first = generations(two.first)
        job = await first.store.get(started["streamId"])
        assert await first.store.settle(job, "complete")
        if was_saved:
            answer = {"messageId": job.record.response_message_id, "text": "all of it"}
            answer |= {"conversationId": started["conversationId"], "sender": "Fake"}
            await two.history.save_message(job.user, answer)
        for task in list(first.store._subscriber._tasks):
            task.cancel()
        await asyncio.sleep(ALIVE_MS / 1000 + 0.1)
        assert (await two.b.get(f"/status/{started['streamId']}")).status_code == 503
        await generations(two.second).reap_stale_turns()
        await reader
        assert events[-1].data["reconcile"] is True
        assert events[-1].data["terminalStatus"] == "complete"
        status = (await two.b.get(f"/status/{started['streamId']}")).json()
        assert (status["active"], status["status"]) == (False, "complete")
        stored = two.history.stored[(job.user, job.record.response_message_id)]
        assert stored.get("unfinished", False) is not was_saved
        assert ("content" in stored) is not was_saved


async def test_redis_goes_away(serve: Serve, kit: Kit, tmp_path: Path) -> None:
    """The turn goes on, its reader here sees the end, and the answer is saved."""
    with redis_server(tmp_path) as (url, process):
        await _without_redis(serve, kit, url, process)


async def _without_redis(serve: Serve, kit: Kit, url: str, process: Popen[bytes]) -> None:
    history = kit.History()
    settings = {"USE_REDIS": "true", "REDIS_URI": url}
    models = kit.Models()
    async with serve("agents", SignIn(), models, history, environment=settings) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        events, reader = await reading(user, started)
        process.kill()
        process.wait()
        models.enough.set()
        await reader
        assert events[-1].name == "final"
        assert history.answer(started["conversationId"])["unfinished"] is False
        refused = await user.post("/Fake", user.body("x", clientRequestId="r"))
        assert refused.status_code in (500, 503)
        server.kernel.lifecycle._done = [
            entry for entry in server.kernel.lifecycle._done if entry[0] != "agents"
        ]
