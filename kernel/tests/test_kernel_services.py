"""Services, extensions, and what the kernel checks while it assembles plugins."""

import asyncio
from typing import Any

import pytest

from locutory import (
    Context,
    Extension,
    Plugin,
    Provide,
    Route,
    Service,
    ServiceMissing,
    Services,
    StartupError,
    hook,
)
from locutory.access import Public
from locutory.plugins.plugin import Hooks
from locutory.responses import JSON
from locutory_testing import Serve

CLOCK: Service[str] = Service("test.clock", "Tells the time")
BELLS: Extension[Any] = Extension("test.bells", "Things that ring")


def registry(*offers: tuple[Provide, str]) -> Services:
    services = Services()
    for offer, owner in offers:
        services.provide(offer, owner)
    return services


def test_a_service_is_found_by_its_key() -> None:
    services = registry((Provide(CLOCK, "noon"), "tower"))
    assert services.get(CLOCK) == services.find(CLOCK) == "noon"
    assert services.owner(CLOCK) == "tower"
    assert services.offers() == [("test.clock", "", "tower")]


def test_a_missing_service_is_none_or_503() -> None:
    services = registry()
    assert services.find(CLOCK) is None
    assert services.owner(CLOCK) is None
    with pytest.raises(ServiceMissing, match=r"test\.clock") as raised:
        services.get(CLOCK)
    assert raised.value.status == 503


def test_a_second_provider_is_refused_and_both_are_named() -> None:
    with pytest.raises(StartupError, match=r"both 'tower' and 'sundial'") as raised:
        registry((Provide(CLOCK, 1), "tower"), (Provide(CLOCK, 2), "sundial"))
    assert "plugins.disabled: [tower]" in raised.value.problems[0].fix


def test_entries_of_an_extension_have_names() -> None:
    services = registry((Provide(BELLS, 1, "big"), "tower"), (Provide(BELLS, 2, "small"), "door"))
    assert dict(services.all(BELLS)) == {"big": 1, "small": 2}
    assert services.named(BELLS, "small") == 2
    assert services.named(BELLS, "none") is None
    assert services.owner(BELLS, "small") == "door"
    with pytest.raises(StartupError, match="'big' comes from both 'tower' and 'door'"):
        registry((Provide(BELLS, 1, "big"), "tower"), (Provide(BELLS, 2, "big"), "door"))
    with pytest.raises(StartupError, match="without a name"):
        registry((Provide(BELLS, 1), "tower"))


async def test_gather_keeps_slow_and_broken_entries_apart() -> None:
    async def good() -> str:
        return "ding"

    async def broken() -> str:
        raise ValueError("cracked")

    async def slow() -> str:
        await asyncio.sleep(3600)
        return "late"

    services = registry(
        *((Provide(BELLS, ring, ring.__name__), "tower") for ring in (slow, good, broken))
    )
    outcome = await services.gather(BELLS, lambda ring: ring(), timeout=0.05)
    assert outcome.results == {"good": "ding"}
    assert isinstance(outcome.failures["slow"], TimeoutError)
    assert isinstance(outcome.failures["broken"], ValueError)


async def test_gather_of_nothing_is_empty() -> None:
    outcome = await registry().gather(BELLS, lambda ring: ring())
    assert (outcome.results, outcome.failures) == ({}, {})


async def test_a_service_that_is_off_answers_503(serve: Serve, make_plugin: Any) -> None:
    def routes(ctx: Any) -> list[Route]:
        async def show(_request: Any) -> JSON:
            return JSON(ctx.services.get(CLOCK))

        return [Route(path="/api/time", endpoint=show, access=Public("test"), summary="Time")]

    reader = make_plugin("reader", wants=(CLOCK,), routes=routes)
    async with serve(reader) as server:
        answer = await server.client.get("/api/time")
        assert answer.status_code == 503
        assert answer.json()["code"] == "FEATURE_OFF"
    tower = make_plugin("tower", provides=(CLOCK,), services=[Provide(CLOCK, "noon")])
    async with serve(make_plugin("reader", wants=(CLOCK,), routes=routes), tower) as server:
        assert (await server.client.get("/api/time")).json() == "noon"


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ({"services": [Provide(CLOCK, 1)]}, "without declaring it"),
        ({"services": [CLOCK]}, "hook 'services' returned Service, not Provide"),
        ({"routes": 3}, "hook 'routes' failed: TypeError"),
        ({"routes": lambda _ctx: 1 / 0}, "ZeroDivisionError"),
        ({"rutes": []}, "there is no hook 'rutes'"),
    ],
)
async def test_a_wrong_plugin_does_not_start_and_is_named(
    serve: Serve, make_plugin: Any, hooks: dict[str, Any], message: str
) -> None:
    with pytest.raises(StartupError, match=message) as raised:
        async with serve(make_plugin("wrong", **hooks)):
            pass
    assert {problem.plugin for problem in raised.value.problems} == {"wrong"}


async def test_hooks_may_name_no_context(serve: Serve, make_plugin: Any) -> None:
    from locutory import Plugin, hook

    class Brief(Plugin):
        name = "brief"
        summary = "Names no context"

        @hook
        def permissions(self) -> list[Any]:
            return []

    async with serve(Brief()) as server:
        assert [plugin.name for plugin in server.kernel.plugins] == ["brief"]


async def test_hooks_are_called_in_the_order_of_their_specifications(
    serve: Serve, make_plugin: Any
) -> None:
    """``setup`` and ``services`` plugin by plugin, those first that others need; then each of all
    plugins before the next hook of any."""
    called: list[tuple[str, str]] = []
    order = [name for name in vars(Hooks) if not name.startswith("_") and name != "reload"]

    def recording(plugin: str, hook: str) -> Any:
        def call(_context: Any) -> list[Any]:
            called.append((hook, plugin))
            return [Provide(CLOCK, "noon")] if (hook, plugin) == ("services", "tower") else []

        return call

    def recorder(name: str, **keys: Any) -> Any:
        return make_plugin(name, **keys, **{hook: recording(name, hook) for hook in order})

    async with serve(recorder("bystander", needs=(CLOCK,)), recorder("tower", provides=(CLOCK,))):
        names, first = ("tower", "bystander"), ("setup", "services")
        assert called == [
            *((hook, name) for name in names for hook in first),
            *((hook, name) for hook in order if hook not in first for name in names),
        ]


async def test_setup_finds_what_plugins_before_it_offer(serve: Serve) -> None:
    class Tower(Plugin):
        name = "tower"
        summary = "Shows the time"
        provides = (CLOCK,)

        @hook
        def setup(self, ctx: Context) -> None:
            self.clock = ctx.data_dir.name

        @hook
        def services(self) -> list[Provide]:
            return [Provide(CLOCK, self.clock)]

    class Bystander(Plugin):
        name = "bystander"
        summary = "Looks at the clock"
        needs = (CLOCK,)

        @hook
        def setup(self, ctx: Context) -> None:
            self.seen = ctx.services.get(CLOCK)

    bystander = Bystander()
    async with serve(bystander, Tower()) as server:
        assert bystander.seen == server.kernel.data_dir.name
