"""Access tokens that no longer count.

An access token is believed until it expires, so ending a session needs a note. It stands in
``locutory_revocations``, one document an account, until the last token it concerns has
expired anyway, and is read along with the account. The same notes end sessions that an
identity provider keeps: there is nothing else here that could. Notes that other processes write (other
workers, the command line) are noticed within `WATCH_SECONDS`.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Database, Services, now
from locutory_auth.documents import Revocation
from locutory_auth.sessions.account_cache import AccountCache
from locutory_auth.sessions.tokens import PENDING_SECONDS
from locutory_contracts.chat import GENERATIONS

WATCH_SECONDS = 5.0
_OVERLAP = timedelta(seconds=60)
"""Overlap of two reads, since clocks of servers differ; entries that were seen before are
recognised."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """Tokens that count no more: those asked for until ``before``, and those of ``sessions``."""

    before: datetime | None = None
    sessions: frozenset[str] = field(default_factory=frozenset)

    def covers(self, issued: datetime, session: str | None = None) -> bool:
        """``True`` when a token is revoked."""
        ended = self.before is not None and issued <= self.before
        return ended or session in self.sessions


NOTHING = Revoked()


class Revocations:
    """The notes of all accounts.

    Args:
        access_seconds: life of an access token.
        session_seconds: life of a session without a sign of life.
    """

    def __init__(
        self,
        database: Database,
        services: Services,
        cache: AccountCache,
        access_seconds: float,
        session_seconds: float,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._services = services
        self._cache = cache
        self._life = timedelta(seconds=max(access_seconds, PENDING_SECONDS) + 60)
        # What is left of a session that an identity provider keeps is only in the browser.
        self._external_life = self._life + timedelta(seconds=session_seconds)
        self._log = log
        self._began = self._since = now()
        self._seen: set[tuple[ObjectId, datetime]] = set()
        self._runs_nothing = False

    def for_a_command(self) -> None:
        """Only note: a command runs nothing, and servers that do act on its notes."""
        self._runs_nothing = True

    async def load(self, user: ObjectId) -> Revoked:
        """The note of an account."""
        found = await self._database[Revocation].find_one(
            {"_id": user}, {"before": 1, "sessions": 1}
        )
        if found is None:
            return NOTHING
        sessions = frozenset(str(session) for session in found.get("sessions") or ())
        return Revoked(found.get("before"), sessions)

    async def all_of(self, user: ObjectId) -> None:
        """Revoke every token of an account that was requested until now; its running work is
        stopped."""
        moment = now()
        change = {"$set": {"before": moment, "changedAt": moment}}
        await self._note(user, moment + self._external_life, change)
        self._seen.add((user, moment))
        await self._stop(user)

    async def of_sessions(
        self, user: ObjectId, sessions: Collection[ObjectId], *, external: bool = False
    ) -> None:
        """The tokens of single sessions. ``external``: an identity provider keeps them."""
        if sessions:
            change = {"$addToSet": {"sessions": {"$each": list(sessions)}}}
            life = self._external_life if external else self._life
            await self._note(user, now() + life, change)

    async def _note(self, user: ObjectId, expires: datetime, change: dict[str, Any]) -> None:
        change = {**change, "$max": {"expiration": expires}}
        notes = self._database[Revocation]
        try:
            await notes.update_one({"_id": user}, change, upsert=True)
        except DuplicateKeyError:  # another writer was faster to insert
            await notes.update_one({"_id": user}, change)
        await self._cache.changed(str(user))

    async def watch(self) -> None:
        """Apply the revocations of other processes: drop cached accounts, and stop their running
        work here."""
        since, self._since = max(self._began, self._since - _OVERLAP), now()
        recent = self._database[Revocation].find({"changedAt": {"$gt": since}}, {"changedAt": 1})
        found = {(note["_id"], note["changedAt"]) for note in await recent.to_list()}
        for user, _ in found - self._seen:
            self._cache.forget(str(user))
            await self._stop(user)
        self._seen = {note for note in self._seen | found if note[1] > since}

    async def _stop(self, user: ObjectId) -> None:
        generations = None if self._runs_nothing else self._services.find(GENERATIONS)
        if generations is None:
            return
        try:
            await generations.stop_all(str(user))
        except Exception:
            # The sessions are over all the same.
            self._log.exception("session.generations_not_stopped", user=str(user))
