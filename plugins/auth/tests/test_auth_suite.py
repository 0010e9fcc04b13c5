"""The generic tests of a plugin."""

from pathlib import Path

from locutory import SignedIn
from locutory_testing import PluginSuite, Serve


class TestAuth(PluginSuite):
    plugin = "auth"
    readme = Path(__file__).parents[1] / "README.md"

    async def test_protected_routes_refuse_strangers(self, serve: Serve) -> None:
        """As in the suite, with this plugin's own authentication."""
        async with serve("auth") as server:
            for owner, route in server.kernel.routes.all():
                if owner != "auth" or not isinstance(route.access, SignedIn):
                    continue
                for method in route.methods:
                    answer = await server.client.request(method, route.path)
                    assert answer.status_code == 401, route.path
                    assert answer.json() == {"message": "No auth token"}
