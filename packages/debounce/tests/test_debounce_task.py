"""Debounced tasks, with notes in a dictionary."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import structlog

from locutory_debounce import DebouncedTask


class Rows:
    def __init__(self, rows: list[dict[str, str]]) -> None:
        self._rows = rows

    async def to_list(self) -> list[dict[str, str]]:
        return self._rows


class Collection:
    """As much of a collection as the task asks for."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def find(self, filter: Mapping[str, Any]) -> Rows:
        assert filter == {}
        return Rows([{"_id": key} for key in sorted(self.keys)])

    async def update_one(
        self, filter: Mapping[str, Any], update: Mapping[str, Any], upsert: bool = False
    ) -> None:
        assert upsert
        self.keys.add(filter["_id"])

    async def delete_one(self, filter: Mapping[str, Any]) -> None:
        self.keys.discard(filter["_id"])

    async def delete_many(self, filter: Mapping[str, Any]) -> None:
        span = filter["_id"]
        self.keys = {key for key in self.keys if not span["$gte"] <= key < span["$lt"]}


class Bench:
    """A task that remembers for whom it ran; it fails while ``failures`` are left, and waits
    while ``gate`` is shut."""

    def __init__(self, pause: float) -> None:
        self.runs: list[str] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.notes = Collection()
        log = structlog.get_logger("tests")
        self.task = DebouncedTask(self.run, lambda: self.notes, log, pause)

    async def run(self, key: str) -> None:
        await self.gate.wait()
        self.runs.append(key)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("for tests")

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(2000):
            if holds():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it never held")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench(pause=60.0)
    yield made
    made.gate.set()
    await made.task.stop()


async def test_the_first_request_is_served_at_once_and_a_burst_once(bench: Bench) -> None:
    for _ in range(50):
        await bench.task.request("ann")
    await bench.task.request("bob")
    assert bench.runs == ["ann", "bob"]
    assert bench.notes.keys == {"ann"}
    assert bench.task.waiting() == ["ann"]
    await bench.task.flush("ann")
    await bench.task.flush("ann")
    await bench.task.flush("bob")
    await bench.task.flush("nobody")
    assert bench.runs == ["ann", "bob", "ann"]
    assert not bench.notes.keys
    assert bench.task.waiting() == []


async def test_the_rest_of_a_burst_follows_by_itself() -> None:
    bench = Bench(pause=0.01)
    for _ in range(3):
        await bench.task.request("ann")
    await bench.until(lambda: len(bench.runs) == 2 and not bench.task._pending)
    assert bench.runs == ["ann", "ann"]
    assert not bench.notes.keys
    await bench.task.request("ann")
    assert bench.runs == ["ann"] * 3
    await bench.task.stop()


async def test_what_fails_is_tried_again_and_stays_noted() -> None:
    bench = Bench(pause=0.01)
    await bench.task.request("ann")
    bench.failures = 2
    await bench.task.request("ann")
    with pytest.raises(RuntimeError):
        await bench.task.flush("ann")
    assert bench.notes.keys == {"ann"}
    assert bench.task.waiting() == ["ann"]
    await bench.until(lambda: len(bench.runs) == 3)
    await bench.task.flush("ann")
    assert bench.runs == ["ann"] * 4
    assert not bench.notes.keys
    await bench.task.stop()


async def test_a_first_run_that_fails_is_felt_and_tried_again(bench: Bench) -> None:
    bench.failures = 1
    with pytest.raises(RuntimeError):
        await bench.task.request("ann")
    assert bench.task.waiting() == ["ann"]
    await bench.task.flush_all()
    assert bench.runs == ["ann", "ann"]


async def test_a_reader_waits_for_the_run_that_is_under_way(bench: Bench) -> None:
    bench.gate.clear()
    first = asyncio.create_task(bench.task.request("ann"))
    await asyncio.sleep(0)
    assert bench.task.waiting() == ["ann"]
    reader = asyncio.create_task(bench.task.flush("ann"))
    await bench.task.request("ann")  # while it runs: once more
    assert not reader.done()
    bench.gate.set()
    await asyncio.gather(first, reader)
    assert bench.runs == ["ann", "ann"]


async def test_what_is_forgotten_is_not_done(bench: Bench) -> None:
    for key in ("ann:1", "ann:2", "bob:1"):
        await bench.task.request(key)
        await bench.task.request(key)
    await bench.task.forget("ann:")
    assert bench.notes.keys == {"bob:1"}
    assert bench.task.waiting() == ["bob:1"]
    await bench.task.flush_all()
    assert bench.runs == ["ann:1", "ann:2", "bob:1", "bob:1"]


async def test_a_new_process_does_what_another_left(bench: Bench) -> None:
    bench.notes.keys = {"ann", "bob"}
    bench.failures = 1
    await bench.task.catch_up()
    assert bench.runs == ["ann", "bob"]
    assert bench.notes.keys == {"ann"}  # which failed, and waits for the next start
    await bench.task.catch_up()
    assert not bench.notes.keys
