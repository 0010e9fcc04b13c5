"""Phases of the start, the stop in reverse, reload, background jobs and their leases."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from beanie import Document

from locutory import Check, Job, PhaseTask, StartupError
from locutory.config.configuration import Sources
from locutory.plugins.plugin import PHASES
from locutory.responses import now
from locutory.run.background import Background, Lease
from locutory.run.kernel import Kernel
from locutory.run.lifecycle import Lifecycle
from locutory_testing import Serve
from locutory_testing.waiting import until


class Diary:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str, *, fail: bool = False) -> Any:
        async def write() -> None:
            self.lines.append(line)
            if fail:
                raise ValueError(line)

        return write

    def task(self, phase: Any, name: str, **extra: Any) -> PhaseTask:
        return PhaseTask(phase, name, self.note(f"run {name}"), self.note(f"undo {name}"), **extra)


def test_there_are_eleven_phases() -> None:
    assert len(PHASES) == 11
    assert (PHASES[0], PHASES[-1]) == ("database connection", "post-startup tasks")


async def test_phases_run_in_order_and_are_undone_in_reverse(
    serve: Serve, make_plugin: Any
) -> None:
    diary = Diary()
    tasks = [diary.task(phase, f"{at:02}") for at, phase in reversed(list(enumerate(PHASES)))]
    with structlog.testing.capture_logs() as lines:
        async with serve(make_plugin("diary", phases=tasks)) as server:
            assert diary.lines == [f"run {at:02}" for at in range(11)]
            assert list(server.kernel.lifecycle.seconds) == list(PHASES)
            assert (await server.client.get("/readyz")).status_code == 200
    assert diary.lines[11:] == [f"undo {at:02}" for at in reversed(range(11))]
    logged = [line for line in lines if line["event"] == "start.phase"]
    assert [(line["number"], line["phase"]) for line in logged] == list(enumerate(PHASES, 1))
    assert all(line["ms"] >= 0 for line in logged)


async def test_within_a_phase_plugins_go_in_their_order() -> None:
    diary, lifecycle = Diary(), Lifecycle()
    lifecycle.add("a", diary.task("routes", "first"))
    lifecycle.add("b", diary.task("routes", "second"))
    await lifecycle.run(PHASES)
    await lifecycle.undo()
    assert diary.lines == ["run first", "run second", "undo second", "undo first"]
    await lifecycle.undo()
    assert len(diary.lines) == 4


@pytest.mark.parametrize("phase", ["file storage", "server start"])
async def test_a_failure_undoes_what_was_done(serve: Serve, make_plugin: Any, phase: Any) -> None:
    diary = Diary()
    broken = PhaseTask(phase, "shelf", diary.note("run shelf", fail=True), diary.note("undo shelf"))
    early = make_plugin("early", phases=[diary.task("database seeding", "seed")])
    with pytest.raises(StartupError, match="shelf failed: ValueError") as raised:
        async with serve(early, make_plugin("shelf", phases=[broken])):
            raise AssertionError("started")
    assert diary.lines == ["run seed", "run shelf", "undo shelf", "undo seed"]
    assert raised.value.problems[0].plugin == "shelf"
    assert raised.value.problems[0].where == f"phase '{phase}'"


async def test_an_undo_that_fails_holds_up_nothing() -> None:
    diary, lifecycle = Diary(), Lifecycle()
    lifecycle.add("a", diary.task("routes", "good"))
    lifecycle.add(
        "b", PhaseTask("routes", "bad", diary.note("run bad"), diary.note("undo bad", fail=True))
    )
    await lifecycle.run(PHASES)
    with structlog.testing.capture_logs() as lines:
        await lifecycle.undo()
    assert diary.lines[-2:] == ["undo bad", "undo good"]
    assert [(line["event"], line["plugin"]) for line in lines] == [("stop.failed", "b")]


async def test_draining_waits_for_all_but_not_for_ever() -> None:
    diary, lifecycle = Diary(), Lifecycle()

    async def slow() -> None:
        await asyncio.sleep(3600)

    for owner, drain in (
        ("good", diary.note("drained")),
        ("bad", diary.note("bad", fail=True)),
        ("slow", slow),
    ):
        lifecycle.add(owner, PhaseTask("server start", owner, drain=drain))
    await lifecycle.run(PHASES)
    assert lifecycle.ready
    with structlog.testing.capture_logs() as lines:
        await lifecycle.drain(0.1)
    assert not lifecycle.ready
    assert sorted(diary.lines) == ["bad", "drained"]
    assert sorted(line["plugin"] for line in lines) == ["bad", "slow"]


async def test_readyz_tells_when_the_start_is_over(serve: Serve, make_plugin: Any) -> None:
    """Requests are served from phase 10 on; the last phase may take its time."""
    async with serve() as server:
        server.kernel.lifecycle.ready = False
        answer = await server.client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "NOT_READY")
        assert (await server.client.get("/livez")).text == "OK"


async def test_checks_warn_and_never_stop_a_start(serve: Serve, make_plugin: Any) -> None:
    async def well() -> str | None:
        return None

    async def advice() -> str | None:
        return "buy more disks"

    async def broken() -> str | None:
        raise ValueError("no disk at all")

    checks = [Check("well", well), Check("disks", advice), Check("broken", broken)]
    with structlog.testing.capture_logs() as lines:
        async with serve(make_plugin("disks", checks=checks)):
            pass
    found = {line["event"]: line for line in lines if line["event"].startswith("check.")}
    assert found["check.failed"]["advice"] == "buy more disks"
    assert found["check.broken"]["plugin"] == "disks"


async def test_two_kernels_share_nothing(serve: Serve, make_plugin: Any) -> None:
    async with serve(make_plugin("a")) as one, serve(make_plugin("b")) as two:
        assert one.kernel.database.client is not two.kernel.database.client
        assert one.kernel.services is not two.kernel.services
        assert [plugin.name for plugin in two.kernel.plugins] == ["b"]


class Notes(Document):
    text: str

    class Settings:
        name = "test_notes"


async def test_a_collection_has_one_owner(serve: Serve, make_plugin: Any) -> None:
    pair = [make_plugin(name, documents=[Notes]) for name in ("one", "two")]
    with pytest.raises(StartupError, match="owned by both 'one' and 'two'"):
        async with serve(*pair):
            pass


async def test_a_wrong_address_is_explained(tmp_path: Path) -> None:
    """See test_kernel_process.py for a database that does not answer."""
    secrets = {"JWT_SECRET": "s" * 32, "JWT_REFRESH_SECRET": "r" * 32}
    keys = {"CREDS_KEY": "0" * 64, "CREDS_IV": "0" * 32}
    wrong = Sources({**secrets, **keys, "MONGO_URI": "mongodb://a b c:x"}, {})
    with pytest.raises(StartupError, match="MONGO_URI"):
        await Kernel(wrong, [], data_dir=tmp_path).start()


async def test_redis_that_does_not_answer_is_explained(serve: Serve) -> None:
    environment = {"USE_REDIS": "true", "REDIS_URI": "redis://127.0.0.1:1"}
    with pytest.raises(StartupError, match="Redis does not answer"):
        async with serve(environment=environment):
            pass
    with pytest.raises(StartupError, match="REDIS_URI is not set"):
        async with serve(environment={"USE_REDIS": "true"}):
            pass
    both = {"REDIS_KEY_PREFIX": "a", "REDIS_KEY_PREFIX_VAR": "B"}
    with pytest.raises(StartupError, match="set together with REDIS_KEY_PREFIX_VAR"):
        async with serve(environment=both):
            pass


# Background work


@pytest.fixture
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease runs out because the machine is slow."""
    monkeypatch.setattr("locutory.run.background._SHORTEST_LEASE", 3600.0)


async def test_jobs_run_again_and_again_also_after_a_fault(serve: Serve, make_plugin: Any) -> None:
    runs: list[str] = []

    async def tick() -> None:
        runs.append("tick")
        raise ValueError("this time not")

    plugin = make_plugin("clock", jobs=[Job("tick", 0.02, tick)])
    with structlog.testing.capture_logs() as lines:
        async with serve(plugin) as server:
            await until(lambda: len(runs) >= 3)
            assert (await server.client.get("/livez")).status_code == 200
    failed = [line for line in lines if line["event"] == "job.failed"]
    assert {(line["plugin"], line["job"]) for line in failed} == {("clock", "tick")}
    count = len(runs)
    await asyncio.sleep(0.06)
    assert len(runs) == count, "a job runs after the stop"


async def test_spawned_work_is_supervised_and_ended(serve: Serve) -> None:
    async with serve() as server:
        background = server.kernel.background

        async def fail() -> None:
            raise ValueError("lost?")

        async def forever() -> None:
            await asyncio.sleep(1000)

        with structlog.testing.capture_logs() as lines:
            await background.spawn(fail(), owner="shop", name="errand")
        assert [(line["plugin"], line["task"]) for line in lines] == [("shop", "errand")]
        task = background.spawn(forever(), owner="shop", name="watch")
    assert task.cancelled()


@pytest.mark.usefixtures("long_leases")
async def test_an_exclusive_job_runs_on_one_server(serve: Serve, make_plugin: Any) -> None:
    name = "test_kernel_leases"
    runs: list[str] = []

    def plugin(label: str) -> Any:
        async def sweep() -> None:
            runs.append(label)

        return make_plugin("broom", jobs=[Job("sweep", 0.02, sweep, exclusive=True)])

    async with serve(plugin("second"), database=name) as second:
        async with serve(plugin("first"), database=name):
            await until(lambda: len(runs) >= 5)
            holder = runs[0]
            assert set(runs) == {holder}
        if holder == "first":
            # A stopped server gives its lease back at once.
            await until(lambda: runs[-1] == "second")
        await second.kernel.database.client.drop_database(name)


@pytest.mark.usefixtures("long_leases")
async def test_a_lease_outlives_a_crash_only_for_a_while(serve: Serve) -> None:
    async with serve() as server:
        leases = server.kernel.database[Lease]
        job = Job("sweep", 1, lambda: asyncio.sleep(0), exclusive=True)
        one, two = Background(server.kernel.database), Background(server.kernel.database)
        assert await one._take_lease("broom.sweep", job)
        assert await one._take_lease("broom.sweep", job)
        assert not await two._take_lease("broom.sweep", job)
        past = now() - timedelta(seconds=1)
        await leases.update_one({"_id": "broom.sweep"}, {"$set": {"until": past}})
        takers = [Background(server.kernel.database) for _ in range(5)]
        won = await asyncio.gather(*(t._take_lease("broom.sweep", job) for t in takers))
        assert sum(won) == 1


@pytest.mark.usefixtures("long_leases")
async def test_a_long_run_keeps_its_lease(serve: Serve) -> None:
    async with serve() as server:
        begun = asyncio.Event()

        async def long() -> None:
            begun.set()
            await asyncio.sleep(3600)

        job = Job("long", 0.05, long, exclusive=True)
        holder, other = Background(server.kernel.database), Background(server.kernel.database)
        holder.repeat(job, "broom")
        await begun.wait()
        collection = server.kernel.database.collection("locutory_leases")
        for _ in range(3):
            seen = await collection.find_one({"_id": "broom.long"})
            assert seen is not None
            later = {"_id": "broom.long", "until": {"$gt": seen["until"]}}
            await until(partial(collection.find_one, later))
            assert not await other._take_lease("broom.long", job)
        await holder.stop()
        assert await other._take_lease("broom.long", job)
