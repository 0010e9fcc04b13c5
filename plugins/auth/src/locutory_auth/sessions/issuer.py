"""Opening sessions: the last step of every way of signing in (contract auth §2, §5)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId

from locutory import Events, Request, Unauthorized
from locutory_auth.sessions.cookies import Cookies
from locutory_auth.sessions.revocation import Revocations
from locutory_auth.sessions.rotation import Device, Sessions
from locutory_auth.sessions.tokens import Tokens
from locutory_contracts.sign_in import AccountSignedIn, OpenedSession


class SessionIssuer:
    """Opens sessions of accounts that have shown who they are."""

    def __init__(
        self,
        tokens: Tokens,
        sessions: Sessions,
        revocations: Revocations,
        cookies: Cookies,
        events: Events,
    ) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._revocations = revocations
        self._cookies = cookies
        self._events = events

    async def open(
        self,
        account: Mapping[str, Any],
        requested_at: datetime,
        device: Device,
        token_provider: str = "librechat",
    ) -> OpenedSession:
        """Open a session of an account without secrets; return the cookies and the token.
        ``requested_at``: the beginning of the sign-in. When all sessions were ended since (a new
        password), the proof may be out of date, and a 401 is raised."""
        user: ObjectId = account["_id"]
        refresh = await self._sessions.start(account, device)
        if (await self._revocations.load(user)).covers(requested_at):
            await self._sessions.end_some(user, [refresh.session])
            raise Unauthorized
        await self._events.publish(
            AccountSignedIn(str(user), str(account.get("provider") or "local"))
        )
        return OpenedSession(
            access_token=self._tokens.access(account, refresh.session, requested_at),
            account=shown(account),
            cookies=self._cookies.values(refresh, token_provider),
        )

    def second_factor_pending(
        self, account: Mapping[str, Any], requested_at: datetime
    ) -> OpenedSession:
        """The temporary token of an account that still owes its second factor."""
        pending = self._tokens.pending(account["_id"], requested_at)
        return OpenedSession(None, shown(account), second_factor=pending)


def shown(account: Mapping[str, Any]) -> dict[str, Any]:
    """An account as the login answer shows it."""
    return {**account, "id": str(account["_id"])}


def device_of(request: Request) -> Device:
    """The IP address and User-Agent of a request."""
    return Device(request.ip, request.headers.get("user-agent", ""))
