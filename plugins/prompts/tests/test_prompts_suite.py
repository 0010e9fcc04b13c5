"""The generic tests of a plugin."""

from pathlib import Path

from locutory_testing import PluginSuite


class TestPrompts(PluginSuite):
    plugin = "prompts"
    readme = Path(__file__).parents[1] / "README.md"
