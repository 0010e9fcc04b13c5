"""Keeps banned callers out, on the paths that the contract names (kernel §12)."""

import time

from locutory import HTTPError, Request
from locutory_auth.bans.store import Bans

BANNED = "Your account has been temporarily banned due to violations of our service."
PREFIXES = ("/api/agents", "/api/files", "/api/assistants", "/api/permissions")


def banned() -> HTTPError:
    """The answer to those who are banned."""
    return HTTPError(403, {"message": BANNED})


class BanGate:
    """Refuses banned callers.

    Args:
        addresses: bans of addresses count too (``BAN_VIOLATIONS``). Bans of accounts always do,
            since an administrator can make one without that setting.
    """

    def __init__(self, bans: Bans, *, addresses: bool) -> None:
        self._bans = bans
        self._addresses = addresses

    async def check_address(self, request: Request) -> None:
        """403 when the caller's address is banned."""
        await self.check_ip(request.ip)

    async def check_ip(self, ip: str) -> None:
        """403 when an address is banned."""
        if self._addresses and await self._bans.of_address(ip) > time.time():
            raise banned()

    async def check_path(self, request: Request, until: float) -> None:
        """403 for a banned caller on the paths where bans count. ``until``: end of the ban of
        the account, 0 without one."""
        path: str = request.scope["path"].lower()
        for prefix in PREFIXES:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
                if until > time.time():
                    raise banned()
                await self.check_address(request)
                return
