"""Members of ``GET /api/config``, to which every plugin contributes its own (user §2)."""

from collections.abc import Mapping
from typing import Any, Protocol

from locutory import Extension, Principal


class StartupConfig(Protocol):
    """Members of the client's startup configuration. The methods must be fast and not use the
    database."""

    def everyone(self) -> Mapping[str, Any]:
        """The members that anonymous callers see too."""
        ...

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """The members that are added after login."""
        ...


STARTUP_CONFIG: Extension[StartupConfig] = Extension(
    "client.startup", "Members of the client's startup configuration"
)
