"""What every plugin must hold."""

from pathlib import Path

from locutory_testing import PluginSuite


class TestAgentsApi(PluginSuite):
    plugin = "agentsapi"
    readme = Path(__file__).parents[1] / "README.md"
