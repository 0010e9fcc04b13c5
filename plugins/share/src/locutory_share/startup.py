"""Members of the client's start-up configuration (contract share §7)."""

from collections.abc import Mapping
from typing import Any

from locutory import Principal
from locutory_share.config import Settings


class ShareStartup:
    """Implements `locutory_contracts.startup.StartupConfig`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def everyone(self) -> Mapping[str, Any]:
        """No members: shared pages have a configuration of their own."""
        return {}

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """The settings for the share dialog."""
        settings = self._settings
        return {
            "sharedLinksEnabled": settings.enabled,
            "publicSharedLinksEnabled": settings.enabled and settings.public,
            "sharedLinksSnapshotFilesEnabled": settings.enabled and settings.files_by_default,
        }
