"""What every plugin must hold: subclass `PluginSuite` in its tests."""

from pathlib import Path
from typing import ClassVar

from locutory import discovery
from locutory.plugin import Plugin
from locutory.settings import env_name
from locutory.testing.server import Serve, SignIn


class PluginSuite:
    """Generic tests of one plugin; a subclass sets ``plugin`` to its name.

    ``readme`` is the plugin's README, checked to show its settings and routes.
    """

    plugin: ClassVar[str]
    readme: ClassVar[Path]

    def load(self) -> Plugin:
        return discovery.load(discovery.available(), [self.plugin])[0]

    async def test_boots_alone(self, serve: Serve) -> None:
        """The plugin starts with no other plugin on."""
        async with serve(self.plugin) as server:
            assert (await server.client.get("/readyz")).status_code == 200

    async def test_protected_routes_refuse_strangers(self, serve: Serve) -> None:
        """Every route that asks for a session answers 401 without one."""
        async with serve(self.plugin, SignIn()) as server:
            for owner, route in server.kernel.routes.all():
                if owner != self.plugin or type(route.access).__name__ in (
                    "Public",
                    "OptionalUser",
                ):
                    continue
                path = route.path.replace("{", "").replace("}", "").replace(":path", "")
                for method in route.methods:
                    answer = await server.client.request(method, path)
                    assert answer.status_code == 401, f"{method} {route.path}"

    async def test_routes_are_documented(self, serve: Serve) -> None:
        """Every route has a summary and stands in the README."""
        text = self.readme.read_text("utf-8")
        async with serve(self.plugin) as server:
            for owner, route in server.kernel.routes.all():
                if owner == self.plugin and not route.fallback:
                    assert route.summary, route.path
                    assert route.path in text, f"{route.path} is not in {self.readme.name}"

    def test_settings_are_documented(self) -> None:
        """Every setting has a description and stands in the README."""
        plugin = self.load()
        text = self.readme.read_text("utf-8")
        for name, field in plugin.Config.model_fields.items():
            assert field.description, name
            shown = env_name(field) or name
            assert shown in text, f"{shown} is not in {self.readme.name}"
