"""Test kit for plugins: a real kernel on a real database, served over real HTTP.

It is a plugin of pytest: see docs/guides/testing.md.
"""

from locutory_testing.server import Serve, Server, SignIn
from locutory_testing.suite import PluginSuite

__all__ = ["PluginSuite", "Serve", "Server", "SignIn"]
