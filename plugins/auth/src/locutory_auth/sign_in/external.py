"""Sessions that identity providers keep (contract oauth §5.4, §5.5; kernel §6).

The cookie ``token_provider`` names the provider, which interprets its tokens; whether the account
is admitted, and the session was ended, is decided here.
"""

import time
from dataclasses import replace

import structlog
from bson import ObjectId
from starlette.responses import Response

from locutory import AUTHENTICATORS, Empty, Request, Services, Text, Unauthorized, answer
from locutory_auth.accounts.stored import StoredAccounts, deletion_in_progress
from locutory_auth.bans.gate import banned
from locutory_auth.sessions.cookies import PROVIDER, add, read
from locutory_auth.sessions.revocation import Revocations
from locutory_contracts.sign_in import (
    OUTSIDE_SESSIONS,
    OutsideEnd,
    OutsideSession,
    OutsideSessions,
)

LOGIN = {"location": "/login"}


class ExternalSessions:
    """Asks those providers."""

    def __init__(
        self,
        services: Services,
        accounts: StoredAccounts,
        revocations: Revocations,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._services = services
        self._accounts = accounts
        self._revocations = revocations
        self._log = log

    def _named(self, request: Request) -> tuple[str, OutsideSessions] | None:
        """The provider that the cookie names. Only those that keep sessions can be named."""
        name = read(request, PROVIDER)
        sessions = None if name is None else self._services.named(OUTSIDE_SESSIONS, name)
        return None if name is None or sessions is None else (name, sessions)

    def session(self, request: Request) -> OutsideSession | None:
        """The session of a request that a provider keeps, as the browser's cookies prove it;
        it may be over."""
        named = self._named(request)
        return None if named is None else named[1].session(request)

    async def authenticate(self, request: Request) -> OutsideSession | None:
        """The session of a bearer token that a provider issued; ``None`` when no provider
        keeps the session of this request, `Unauthorized` when its token is not good."""
        named = self._named(request)
        if named is None:
            return None
        name, sessions = named
        authenticator = self._services.named(AUTHENTICATORS, name)
        session = None if authenticator is None else sessions.session(request)
        if authenticator is None or session is None:
            return None
        principal = await authenticator.authenticate(request)
        if principal.id != session.user_id:
            raise Unauthorized
        return session

    async def refresh(self, request: Request) -> Response | None:
        """The answer of the provider that keeps the session; ``None`` when none does."""
        named = self._named(request)
        if named is None:
            return None
        _, sessions = named
        session = sessions.session(request)
        if session is not None:
            known = await self._accounts.load(session.user_id)
            if known is None:
                return Empty(302, LOGIN)
            if known.being_deleted:
                raise deletion_in_progress()
            if known.banned > time.time():
                raise banned()
            if known.revoked.covers(session.began, session.id):
                return Text("Invalid refresh token", 403)
        found = await sessions.refresh(request)
        if found is None:
            return None
        headers = {"location": found.location} if found.location else None
        response = answer(found.status, found.body, headers)
        add(response, found.cookies)
        return response

    async def end(self, request: Request) -> OutsideEnd:
        """End the caller's sessions at every provider; return their additions to the response."""
        await self._end_session(request)
        account = request.caller.account
        outcome = await self._services.gather(
            OUTSIDE_SESSIONS, lambda sessions: sessions.end(request, account)
        )
        for name, failure in outcome.failures.items():
            self._log.warning("session.outside_not_ended", provider=name, reason=repr(failure))
        end = OutsideEnd()
        for each in outcome.results.values():
            end = replace(
                end, members={**end.members, **each.members}, cookies=[*end.cookies, *each.cookies]
            )
        return end

    async def _end_session(self, request: Request) -> None:
        """The cookies of this session open nothing any more, wherever a copy of them is."""
        session = self.session(request)
        if session is None or session.user_id != request.caller.id:
            return
        if session.id is not None and ObjectId.is_valid(session.id):
            user, ended = ObjectId(session.user_id), [ObjectId(session.id)]
            await self._revocations.of_sessions(user, ended, external=True)
