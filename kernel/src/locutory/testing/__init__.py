"""Test kit for plugins: a real kernel on a real database, served over real HTTP.

Load the fixtures with ``-p locutory.testing.fixtures``; see docs/testing.md.
"""

from locutory.testing.server import Serve, Server, SignIn
from locutory.testing.suite import PluginSuite

__all__ = ["PluginSuite", "Serve", "Server", "SignIn"]
