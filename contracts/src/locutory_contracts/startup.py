"""Members of ``GET /api/config``: every plugin contributes its own (user §2)."""

from collections.abc import Mapping
from typing import Any, Protocol

from locutory import Extension, Principal


class StartupConfig(Protocol):
    """Members for the client's startup configuration. Must be cheap: no database."""

    def everyone(self) -> Mapping[str, Any]:
        """Members that anonymous callers see too."""
        ...

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """Members added after login."""
        ...


STARTUP_CONFIG: Extension[StartupConfig] = Extension(
    "client.startup", "Members of the client's startup configuration"
)
