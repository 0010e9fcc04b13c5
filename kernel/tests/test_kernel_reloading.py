"""Taking a changed configuration while the server runs: what is taken, refused and named."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, ConfigDict

from locutory import Check, env, option
from locutory.config.configuration import Sources
from locutory_testing import Serve


def lamp(make_plugin: Any, seen: list[Any], **hooks: Any) -> Any:
    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")
        colour: str = env("LAMP_COLOUR", "white", "Colour of the lamp")

    def reload(ctx: Any) -> None:
        seen.append((ctx.config.colour, ctx.environment.get("LAMP_COLOUR"), ctx.section("cache")))

    return make_plugin("lamp", config=Config, reload=reload, sections={"cache": None}, **hooks)


async def test_reload_hands_over_the_new_values(serve: Serve, make_plugin: Any) -> None:
    seen: list[Any] = []

    def fails(ctx: Any) -> None:
        raise ValueError("will not")

    stubborn = make_plugin("aaa", reload=fails)
    async with serve(stubborn, lamp(make_plugin, seen)) as server:
        new = Sources({"LAMP_COLOUR": "red"}, {"cache": True})
        with structlog.testing.capture_logs() as lines:
            server.kernel.reload(new)
        assert seen == [("red", "red", True)]
        assert [line["plugin"] for line in lines if line["event"] == "config.reload_failed"] == [
            "aaa"
        ]
        assert server.kernel.contexts["lamp"].config.colour == "red"


async def test_what_a_reload_does_not_take_is_named(serve: Serve, make_plugin: Any) -> None:
    class Garden(BaseModel):
        trees: int = 0
        flowers: int = 0

    class Config(BaseModel):
        colour: str = env("WALL_COLOUR", "white", "Colour of the wall")
        height: int = env("WALL_HEIGHT", 1, "Height of the wall")
        depth: int = option(1, "Depth of the wall")

    def plugins() -> list[Any]:
        wall = make_plugin(
            "wall",
            config=Config,
            sections={"garden": Garden, "fence": None},
            reload=lambda ctx: None,
        )
        type(wall).reloads = ("colour", "garden.trees")
        return [wall, make_plugin("gate", sections={"garden": Garden})]

    def restart(kernel: Any, environment: dict[str, str], yaml: dict[str, Any]) -> str | None:
        with structlog.testing.capture_logs() as lines:
            kernel.reload(Sources({**before, **environment}, yaml))
        assert lines[-1]["event"] == "config.reloaded"
        named = [line["settings"] for line in lines if line["event"] == "config.needs_restart"]
        return named[0] if named else None

    async with serve(*plugins()) as server:
        kernel, before = server.kernel, dict(server.kernel.environment)
        assert restart(kernel, {}, {}) is None
        assert restart(kernel, {"WALL_COLOUR": "red"}, {}) is None
        assert restart(kernel, {"PORT": "1", "NO_INDEX": "false"}, {}) == "PORT, NO_INDEX"
        assert restart(kernel, {"JWT_SECRET": "x" * 40}, {}) == "JWT_SECRET"
        assert restart(kernel, {"WALL_HEIGHT": "2"}, {}) == "WALL_HEIGHT"
        in_file = {"plugins": {"wall": {"depth": 5, "height": 7}, "disabled": ["x"]}, "fence": 1}
        assert restart(kernel, {}, in_file) == (
            "plugins.disabled, plugins.wall.height, plugins.wall.depth, fence"
        )
        # 'wall' takes the trees, 'gate' does not.
        assert restart(kernel, {}, {"garden": {"trees": 2}}) == "garden.trees"
        # What waited is still said at the next reload, until it is as it was at the start.
        assert restart(kernel, {}, in_file) is not None
        assert restart(kernel, {}, in_file) is not None
        assert restart(kernel, {}, {}) is None


async def test_a_reload_tells_warnings_and_makes_checks_anew(
    serve: Serve, make_plugin: Any
) -> None:
    def checks(ctx: Any) -> list[Check]:
        async def look() -> str | None:
            return f"colour {ctx.section('cache')}"

        return [Check("colour", look, offline=True)]

    async with serve(lamp(make_plugin, [], checks=checks)) as server:
        with structlog.testing.capture_logs() as lines:
            server.kernel.reload(Sources({"USE_REDIS": "1"}, {"cache": "x", "speech": {}}))
            await server.kernel.advice(offline=True)
        said = [line.get("text") or line.get("advice") for line in lines]
        assert "USE_REDIS=1 is neither true nor false: it counts as false" in said
        assert "'speech' has no effect: plugin 'speech' is off or not installed" in said
        assert "colour x" in said


async def test_a_bypass_is_for_a_start_only(serve: Serve, make_plugin: Any) -> None:
    seen: list[Any] = []
    async with serve(lamp(make_plugin, seen)) as server:
        bypass = {"CONFIG_BYPASS_VALIDATION": "true"}
        with structlog.testing.capture_logs() as lines:
            server.kernel.reload(Sources(bypass, {"nosuch": 1}))
        assert [line["event"] for line in lines] == ["config.reload_refused"]
        assert seen == []


async def test_a_wrong_configuration_changes_nothing(serve: Serve, make_plugin: Any) -> None:
    seen: list[Any] = []
    async with serve(lamp(make_plugin, seen), environment={"LAMP_COLOUR": "blue"}) as server:
        before = server.kernel.contexts["lamp"]
        with structlog.testing.capture_logs() as lines:
            server.kernel.reload(Sources({}, {"plugins": {"lamp": {"color": "red"}}}))
        (line,) = [line for line in lines if line["event"] == "config.reload_refused"]
        assert "did you mean 'colour'?" in line["problems"]
        assert seen == []
        assert server.kernel.contexts["lamp"] is before


async def test_reload_reads_the_files_again(
    serve: Serve, make_plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    async with serve(lamp(make_plugin, seen)) as server:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("CONFIG_PATH", raising=False)
        (tmp_path / "librechat.yaml").write_text("plugins: {lamp: {colour: green}}\n", "utf-8")
        server.kernel.reload()
        (tmp_path / "librechat.yaml").write_text("- not a mapping\n", "utf-8")
        server.kernel.reload()
        assert seen == [("green", None, None)]


async def test_a_file_that_vanished_keeps_what_works(serve: Serve) -> None:
    """Whoever moves the file away for a moment does not open what it closes."""
    async with serve() as server:
        kernel = server.kernel
        kernel.reload(Sources({}, {"version": "1.3.14"}, path="librechat.yaml"))
        assert kernel.configuration.yaml == {"version": "1.3.14"}
        with structlog.testing.capture_logs() as lines:
            kernel.reload(Sources({}, {}, path="librechat.yaml"))
        assert [line["event"] for line in lines] == ["config.reload_refused"]
        assert kernel.configuration.yaml == {"version": "1.3.14"}
