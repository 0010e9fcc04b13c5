"""Steps, facts, and durable facts in the outbox."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from locutory import Events, Fact, On, StartupError, Step, Veto
from locutory.data.outbox import OutboxEntry
from locutory_testing import Serve, Server


@dataclass
class Painting(Step):
    colour: str


@dataclass
class Painted(Fact):
    colour: str


@dataclass
class Removed(Fact):
    durable: ClassVar[bool] = True
    thing: str


@dataclass
class Faded(Fact):
    durable: ClassVar[bool] = True
    kept_days: ClassVar[int | None] = 30
    thing: str


@dataclass
class Bleached(Fact):
    durable: ClassVar[bool] = True
    erases: ClassVar[tuple[str, str] | None] = ("all", "thing")
    all: str


class Listener:
    """Remembers what it was told; fails as long as ``broken``."""

    def __init__(self, *, broken: bool = False) -> None:
        self.heard: list[Any] = []
        self.broken = broken

    async def hear(self, event: Any) -> None:
        self.heard.append(event)
        if self.broken:
            raise ValueError("broken listener")


def outbox(server: Server) -> Any:
    """The kernel's own, which can more than plugins may ask of it."""
    return server.kernel.events.outbox


async def test_a_step_runs_its_handlers_in_order_until_one_objects() -> None:
    events, first, second, third = Events(), Listener(), Listener(broken=True), Listener()
    for name, listener in (("a", first), ("b", second), ("c", third)):
        events.subscribe(On(Painting, listener.hear), name)
    with pytest.raises(ValueError, match="broken listener"):
        await events.check(Painting("red"))
    assert (len(first.heard), len(second.heard), len(third.heard)) == (1, 1, 0)


async def test_a_veto_carries_its_answer() -> None:
    async def forbid(step: Painting) -> None:
        raise Veto(409, {"message": f"no {step.colour}"})

    events = Events()
    events.subscribe(On(Painting, forbid), "taste")
    with pytest.raises(Veto) as raised:
        await events.check(Painting("pink"))
    assert (raised.value.status, raised.value.body) == (409, {"message": "no pink"})


async def test_faults_of_fact_handlers_stay_with_their_plugin() -> None:
    events, good, bad = Events(), Listener(), Listener(broken=True)
    events.subscribe(On(Painted, bad.hear), "bad")
    events.subscribe(On(Painted, good.hear), "good")
    await events.publish(Painted("blue"))
    await events.publish(Painted("blue"))
    assert good.heard == [Painted("blue")] * 2
    assert events.failures == {"bad": 2}


async def test_nobody_needs_to_listen() -> None:
    events = Events()
    await events.check(Painting("red"))
    await events.publish(Painted("red"))


def test_only_events_can_be_subscribed_to() -> None:
    with pytest.raises(StartupError, match="derives from Step or Fact"):
        Events().subscribe(On(str, Listener().hear), "odd")


async def test_a_durable_fact_needs_a_started_kernel() -> None:
    with pytest.raises(RuntimeError, match="started kernel"):
        await Events().publish(Removed("shed"))


async def done(server: Any) -> list[list[str]]:
    entries = await server.kernel.database[OutboxEntry].find({}).to_list()
    return [sorted(entry["done"]) for entry in entries]


async def test_a_plugin_that_was_off_catches_up(serve: Serve, make_plugin: Any) -> None:
    name = "test_kernel_outbox_off"
    present, late = Listener(), Listener()

    def plugin(label: str, listener: Listener) -> Any:
        return make_plugin(label, subscriptions=[On(Removed, listener.hear)])

    async with serve(plugin("present", present), database=name) as server:
        await server.kernel.events.publish(Removed("shed"))
        assert present.heard == [Removed("shed")]
        assert await done(server) == [["present"]]
    async with serve(plugin("present", present), plugin("late", late), database=name) as server:
        assert late.heard == [Removed("shed")]
        assert len(present.heard) == 1
        assert await done(server) == [["late", "present"]]
    again = Listener()
    async with serve(plugin("late", again), database=name) as server:
        assert again.heard == []
        await server.kernel.database.client.drop_database(name)


async def test_a_fact_is_kept_as_long_as_it_says(serve: Serve, make_plugin: Any) -> None:
    listener = Listener()
    async with serve(
        make_plugin("ears", subscriptions=[On(Removed, listener.hear), On(Faded, listener.hear)])
    ) as server:
        await server.kernel.events.publish(Removed("shed"))
        await server.kernel.events.publish(Faded("colour"))
        entries = await server.kernel.database[OutboxEntry].find({}).to_list()
        ends = {entry["event"]: entry.get("expiresAt") for entry in entries}
        assert ends["Removed"] is None
        assert ends["Faded"] - entries[1]["createdAt"] == timedelta(days=30)
        collection: Any = server.kernel.database[OutboxEntry]
        indexes = await collection.index_information()
        assert indexes["expiresAt_1"]["expireAfterSeconds"] == 0
        await server.kernel.events.publish(Bleached("colour"))
        entries = await server.kernel.database[OutboxEntry].find({}).to_list()
        assert sorted(entry["event"] for entry in entries) == ["Bleached", "Removed"]


async def test_a_handler_that_fails_is_asked_again(serve: Serve, make_plugin: Any) -> None:
    weak, strong = Listener(broken=True), Listener()
    plugins = [
        make_plugin("strong", subscriptions=[On(Removed, strong.hear)]),
        make_plugin("weak", subscriptions=[On(Removed, weak.hear)]),
    ]
    async with serve(*plugins) as server:
        await server.kernel.events.publish(Removed("shed"))  # the publisher feels nothing
        assert await done(server) == [["strong"]]
        assert server.kernel.events.failures["weak"] == 1
        weak.broken = False
        await outbox(server).deliver_pending()
        assert (len(weak.heard), len(strong.heard)) == (2, 1)
        await outbox(server).deliver_pending()
        assert (len(weak.heard), len(strong.heard)) == (2, 1)


async def test_a_crash_between_storing_and_telling_loses_nothing(
    serve: Serve, make_plugin: Any
) -> None:
    """What the outbox holds after a crash: the entry, and nobody in ``done``."""
    listener = Listener()
    async with serve(make_plugin("ears", subscriptions=[On(Removed, listener.hear)])) as server:
        entry = {"event": "Removed", "payload": {"thing": "barn"}, "done": []}
        await server.kernel.database[OutboxEntry].insert_one(entry)
        await outbox(server).deliver_pending()
        assert listener.heard == [Removed("barn")]


async def test_a_start_that_is_stopped_leaves_nothing_running(
    serve: Serve, make_plugin: Any
) -> None:
    """What the start catches up on ends before the database is closed."""
    name, listener, begun, ended = "test_kernel_outbox_stop", Listener(), asyncio.Event(), []

    async def hear(_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def start() -> None:
        plugin = make_plugin("ears", subscriptions=[On(Removed, hear)])
        async with serve(plugin, database=name):
            raise AssertionError("it should not have got so far")

    async with serve(
        make_plugin("mouth", subscriptions=[On(Removed, listener.hear)]), database=name
    ) as server:
        try:
            await server.kernel.events.publish(Removed("shed"))
            starting = asyncio.create_task(start())
            await begun.wait()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert ended == [True]
        finally:
            await server.kernel.database.client.drop_database(name)


async def test_a_fact_of_another_version_holds_up_nothing(serve: Serve, make_plugin: Any) -> None:
    name, listener = "test_kernel_outbox_odd", Listener()
    plugin = make_plugin("ears", subscriptions=[On(Removed, listener.hear)])
    async with serve(database=name) as server:
        for payload in ({"object": "barn"}, {"thing": "shed"}):
            entry = {"event": "Removed", "payload": payload, "done": []}
            await server.kernel.database[OutboxEntry].insert_one(entry)
    async with serve(plugin, database=name) as server:
        assert listener.heard == [Removed("shed")]
        await server.kernel.database.client.drop_database(name)


async def test_a_fact_that_cannot_be_stored_is_not_published(
    serve: Serve, make_plugin: Any
) -> None:
    listener = Listener()
    async with serve(make_plugin("ears", subscriptions=[On(Removed, listener.hear)])) as server:
        with pytest.raises(Exception, match="8-byte"):
            await server.kernel.events.publish(Removed(2**70))  # type: ignore[arg-type]
        assert listener.heard == []
