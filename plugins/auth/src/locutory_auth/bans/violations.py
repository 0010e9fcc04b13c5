"""Counting violations, and banning accounts and addresses with too many (contract kernel §12)."""

import math
from datetime import timedelta
from typing import Protocol

import structlog
from bson import ObjectId
from pymongo import ReturnDocument

from locutory import Cache, Database, LimitExceeded, now
from locutory_auth.address import counted
from locutory_auth.bans.store import Bans
from locutory_auth.config.limits import BanSettings
from locutory_auth.documents import ViolationScore
from locutory_auth.sessions.account_cache import AccountCache
from locutory_auth.sessions.rotation import Sessions

REMEMBERED = timedelta(days=7)
"""The time without a violation after which a score starts at 0 again; LibreChat's never does."""


class Scores(Protocol):
    """Keeps scores of violations."""

    async def add(self, kind: str, key: str, score: float, interval: int) -> tuple[float, bool]:
        """Add to the score of ``key`` in violations of ``kind``. Return the sum, and ``True`` when
        this addition took it past a multiple of ``interval``."""
        ...


class CachedScores:
    """Scores in the cache: that of this process, or Redis."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def add(self, kind: str, key: str, score: float, interval: int) -> tuple[float, bool]:
        """Add to a score that is kept in the cache. Return the sum, and ``True`` when it has passed
        a multiple of ``interval``."""
        total = await self._cache.increment(
            f"violation_scores:{kind}", key, score, REMEMBERED.total_seconds()
        )
        return total, math.floor(total / interval) > math.floor((total - score) / interval)


class StoredScores:
    """Scores in the database, for several workers without Redis."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kind: str, key: str, score: float, interval: int) -> tuple[float, bool]:
        """Add to a score that is kept in the database. Return the sum, and ``True`` when it has
        passed a multiple of ``interval``."""
        scores, row = self._database[ViolationScore], {"_id": f"{kind}:{key}"}
        change = {
            "$inc": {"score": score},
            "$set": {"expiresAt": now() + REMEMBERED},
            "$setOnInsert": {"level": 0},
        }
        found = await scores.find_one_and_update(
            row, change, {"score": 1}, upsert=True, return_document=ReturnDocument.AFTER
        )
        total = float(found["score"]) if found else score
        level = math.floor(total / interval)
        # Of additions at the same time, one takes the score past the multiple.
        passed = await scores.update_one(
            {**row, "level": {"$lt": level}}, {"$set": {"level": level}}
        )
        return total, passed.modified_count > 0


class Violations:
    """Hears of violations and draws the consequences.

    Those of a signed-in user count for the account, others for the address.
    """

    def __init__(
        self,
        settings: BanSettings,
        scores: Scores,
        bans: Bans,
        sessions: Sessions,
        cache: AccountCache,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._settings = settings
        self._scores = scores
        self._bans = bans
        self._sessions = sessions
        self._cache = cache
        self._log = log

    async def count(self, fact: LimitExceeded) -> None:
        """Count one violation."""
        settings = self._settings
        if not settings.ban_violations or not fact.violation or fact.score <= 0:
            return
        user = fact.user if fact.user and ObjectId.is_valid(fact.user) else None
        key = user or counted(fact.ip)
        if not key:
            return
        interval = settings.ban_interval
        total, passed = await self._scores.add(fact.violation, key, fact.score, interval)
        self._log.info("violation.counted", violation=fact.violation, who=key, score=total)
        if passed:
            await self._ban(fact, user, total)

    async def _ban(self, fact: LimitExceeded, user: str | None, total: float) -> None:
        if user is not None:
            # Access tokens stay good until they expire (contract auth trap 13): where it
            # matters, the ban itself keeps their bearer out.
            await self._sessions.end_all(ObjectId(user))
        seconds = self._settings.ban_duration / 1000
        if seconds > 0:
            await self._bans.put(fact.violation, total, seconds, user=user, ip=fact.ip)
            if user is not None:
                await self._cache.changed(user)
        self._log.warning(
            "violation.banned", violation=fact.violation, user=user, ip=fact.ip, seconds=seconds
        )
