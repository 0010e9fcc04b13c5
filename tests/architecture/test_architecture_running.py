"""Rules of the architecture that need a kernel."""

import random
import subprocess
import sys
import textwrap

import pytest
from tests.architecture.generator import ROOT, generator

from locutory.plugins import discovery
from locutory_configfile import env_name
from locutory_testing import Serve

BUNDLED = sorted(
    path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").exists()
)


def test_generated_documents_are_current() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in generator().pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert not stale, f"run make docs: {stale}"


def test_everything_is_documented() -> None:
    """Hooks, settings, routes and permissions stand in docs/reference."""
    kernel = generator().build_kernel()
    text = {
        path.stem: path.read_text("utf-8") for path in (ROOT / "docs" / "reference").glob("*.md")
    }
    for owner, route in kernel.routes.all():
        assert route.summary, route.path
        assert route.path in text["routes"], (owner, route.path)
    for plugin in kernel.plugins:
        assert plugin.summary
        for name, field in plugin.Config.model_fields.items():
            assert field.description, (plugin.name, name)
            assert (env_name(field) or name) in text["config"]
    for name in kernel.permission_groups:
        assert name in text["permissions"]


def test_every_public_route_says_why() -> None:
    for _, route in generator().build_kernel().routes.all():
        if type(route.access).__name__ in ("Public", "OptionalUser"):
            assert len(route.access.reason) > 10, route.path


def test_the_order_of_plugins_does_not_depend_on_chance() -> None:
    plugins = discovery.load(discovery.available(), BUNDLED)
    expected = [plugin.name for plugin in discovery.order(plugins)]
    for seed in range(20):
        random.Random(seed).shuffle(plugins)
        assert [plugin.name for plugin in discovery.order(plugins)] == expected


def test_a_disabled_plugin_is_not_imported() -> None:
    # A process each; what is no plugin is imported only once.
    script = textwrap.dedent(
        """
        import os, sys
        import beanie, httpx2, locutory.run.kernel, starlette.routing
        from locutory.config.configuration import Sources
        from locutory.config.selection import load_plugins

        def loads(name):
            load_plugins(Sources({}, {"plugins": {"disabled": [name]}}))
            return f"locutory_{name}" in sys.modules

        for name in sys.argv[1:]:
            if (child := os.fork()) == 0:
                os._exit(loads(name))
            if os.waitpid(child, 0)[1]:
                print(name)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *BUNDLED], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("off", BUNDLED)
async def test_the_server_boots_with_each_plugin_off(serve: Serve, off: str) -> None:
    """Without any one plugin the server starts, and no route of the others fails."""
    others = [name for name in BUNDLED if name != off]
    async with serve(*others) as server:
        assert (await server.client.get("/readyz")).text == "OK"
        for _, route in server.kernel.routes.all():
            path = route.path.replace("{", "x").replace("}", "").replace(":path", "")
            for method in route.methods:
                answer = await server.client.request(
                    method, path, json={} if method != "GET" else None
                )
                assert answer.status_code < 500, (method, path, answer.text)
