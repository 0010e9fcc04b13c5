"""The generic tests of a plugin."""

from pathlib import Path

from locutory_testing import PluginSuite


class TestUsers(PluginSuite):
    plugin = "users"
    readme = Path(__file__).parents[1] / "README.md"
