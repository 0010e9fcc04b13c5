"""Mistakes of a plugin's author that can be known at build are told at build."""

import re
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner

from locutory import (
    JSON,
    Action,
    Can,
    PermissionGroup,
    PhaseTask,
    Plugin,
    Request,
    Route,
    Service,
    StartupError,
    hook,
)
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_testing import Serve

KEY: Service[Any] = Service("test.key", "a key")
SECRETS = {
    "JWT_SECRET": "x" * 32,
    "JWT_REFRESH_SECRET": "y" * 32,
    "CREDS_KEY": "00" * 32,
    "CREDS_IV": "00" * 16,
}


async def nothing(_request: Request) -> JSON:
    return JSON({})


def build(tmp_path: Path, *plugins: Plugin) -> Kernel:
    return Kernel(Sources(SECRETS, {}), plugins, data_dir=tmp_path)


def refused(tmp_path: Path, *plugins: Plugin) -> str:
    with pytest.raises(StartupError) as raised:
        build(tmp_path, *plugins)
    return str(raised.value)


class Unmarked(Plugin):
    name = "unmarked"
    summary = "Forgets to mark its hook"

    def routes(self) -> list[Route]:
        return []


def test_a_method_named_like_a_hook_that_is_none(tmp_path: Path) -> None:
    text = refused(tmp_path, Unmarked())
    assert "its method 'routes' has the name of a hook, and is none" in text
    assert "put @hook above it" in text


def test_a_task_of_a_phase_that_does_not_exist(tmp_path: Path, make_plugin: Any) -> None:
    task = PhaseTask("post startup", "warm up", nothing)  # type: ignore[arg-type]
    text = refused(tmp_path, make_plugin("late", phases=[task]))
    assert "warm up: there is no phase 'post startup'" in text
    assert "did you mean 'post-startup tasks'?" in text


def test_a_promise_that_nothing_can_keep(tmp_path: Path, make_plugin: Any) -> None:
    text = refused(tmp_path, make_plugin("mute", provides=(KEY,)))
    assert "declares test.key in 'provides', and has no hook 'services'" in text


def test_a_permission_that_nobody_declares(tmp_path: Path, make_plugin: Any) -> None:
    group = PermissionGroup("POLLS", {"USE": Action(user=True)}, "Polls")
    routes = [
        Route(path=f"/api/{name}", endpoint=nothing, access=access, summary=name)
        for name, access in (
            ("a", Can("POLLS", "USE")),
            ("b", Can("POLS", "USE")),
            ("c", Can("POLS", "USE")),
            ("d", Can("POLLS", "CREATE")),
        )
    ]
    kernel = build(tmp_path, make_plugin("polls", permissions=[group], routes=routes))
    assert kernel.configuration.warnings == [
        "plugin polls: 2 of its routes ask for the permission POLS.USE, which no plugin declares;"
        " nobody may call them (did you mean 'POLLS'?)",
        "plugin polls: 1 of its routes ask for the permission POLLS.CREATE, which no plugin"
        " declares; nobody may call them",
    ]


class Boom(Plugin):
    name = "boom"
    summary = "Fails in a hook"

    @hook
    def routes(self) -> list[Route]:
        raise RuntimeError("the fuse is short")


def test_the_place_in_the_code_is_shown(tmp_path: Path) -> None:
    from locutory_cli import report

    with pytest.raises(StartupError) as raised:
        build(tmp_path, Boom())

    def shown(**environment: str) -> str:
        import click

        @click.command()
        def command() -> None:
            report(raised.value, starting=True)

        return CliRunner(env=environment).invoke(command).output

    text = shown(DEBUG_CONSOLE="")
    assert "its hook 'routes' failed: RuntimeError: the fuse is short" in text
    assert re.search(r"test_kernel_mistakes\.py:\d+, in routes", text)
    assert 'raise RuntimeError("the fuse is short")' in text
    assert "Traceback" not in text
    assert "Traceback" in shown(DEBUG_CONSOLE="true")


async def test_a_fault_after_the_start_stays_with_its_plugin(
    serve: Serve, make_plugin: Any
) -> None:
    async def fail() -> None:
        raise ValueError("no cookies left")

    tasks = [PhaseTask("post-startup tasks", "bake", fail)]
    with structlog.testing.capture_logs() as lines:
        async with serve(make_plugin("baker", phases=tasks)) as server:
            assert (await server.client.get("/readyz")).text == "OK"
    (line,) = [line for line in lines if line["event"] == "start.task_failed"]
    assert (line["plugin"], line["task"]) == ("baker", "bake")
    assert line["exc_info"]


class Misspelt(Plugin):
    name = "misspelt"
    summary = "Calls its hook by another name"

    @hook
    def route(self) -> list[Route]:
        return []


class Curious(Plugin):
    name = "curious"
    summary = "Asks for what hooks are not given"

    @hook
    def routes(self, context: Any) -> list[Route]:
        return []


def test_a_hook_that_does_not_exist_or_asks_for_too_much(tmp_path: Path) -> None:
    text = refused(tmp_path, Misspelt())
    assert "there is no hook 'route'" in text
    assert "did you mean 'routes'?" in text
    text = refused(tmp_path, Curious())
    assert "its hook 'routes' takes context" in text
    assert "may take 'ctx'" in text


@pytest.mark.parametrize("returned", [Boom, "routes", 7])
def test_a_hook_returns_a_list(tmp_path: Path, make_plugin: Any, returned: Any) -> None:
    text = refused(tmp_path, make_plugin("single", checks=lambda _ctx: returned))
    assert "its hook 'checks' failed: TypeError: it must return a list" in text
