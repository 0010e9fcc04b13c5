"""Bans, stored as LibreChat stores them (contract kernel §12, §18).

A document of ``logs`` is ``{key: "BANS:<account id or address>", value: <JSON text>,
expiresAt}``. LibreChat looks into a second set of entries (``ban:…``) first, which lifting a
ban therefore removes as well.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Database
from locutory_auth.address import counted
from locutory_auth.documents import LogEntry

BANS = "BANS:"
_CACHED = ("ban:", "ban:ban_cache:user:", "ban:ban_cache:ip:")
_BELIEVED_SECONDS = 5.0
_MAX_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban of an account or an address. ``until`` in seconds since 1970, infinite for ever."""

    key: str
    until: float
    reason: str = ""
    user: str | None = None

    @property
    def active(self) -> bool:
        """``True`` while the ban has not expired."""
        return self.until > time.time()


class Bans:
    """The bans of a deployment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._addresses: dict[str, tuple[float, float]] = {}

    async def of_account(self, user: ObjectId) -> float:
        """Until when an account is banned, in seconds since 1970; 0 when it is not."""
        return await self._until([str(user)])

    async def of_address(self, ip: str) -> float:
        """Until when an address is banned; believed for a few seconds."""
        key, moment = counted(ip), time.monotonic()
        known = self._addresses.get(key)
        if known is not None and known[0] > moment:
            return known[1]
        # LibreChat bans a single address of IPv6, not its network.
        until = await self._until(dict.fromkeys((key, ip)))
        self._remember(key, until)
        return until

    def _remember(self, key: str, until: float) -> None:
        if len(self._addresses) >= _MAX_KNOWN:
            self._addresses.clear()
        self._addresses[key] = (time.monotonic() + _BELIEVED_SECONDS, until)

    async def _until(self, keys: Iterable[str]) -> float:
        latest = 0.0
        for key in keys:
            entry = await self._database[LogEntry].find_one({"key": BANS + key})
            ban = None if entry is None else _read(entry)
            if ban is not None and ban.active:
                latest = max(latest, ban.until)
        return latest

    async def put(
        self,
        reason: str,
        count: float,
        duration: float | None,
        *,
        user: str | None = None,
        ip: str | None = None,
    ) -> None:
        """Ban an account, an address, or both, for ``duration`` seconds; for ever when
        ``None``. ``reason`` is a type of violation, ``count`` its score."""
        until = math.inf if duration is None else time.time() + duration
        if user is not None:
            await self._write(Ban(user, until, reason), count, duration)
        if ip:
            await self._write(Ban(counted(ip), until, reason, user), count, duration)
            self._remember(counted(ip), until)

    async def _write(self, ban: Ban, count: float, duration: float | None) -> None:
        for_ever = math.isinf(ban.until)
        end = None if for_ever else round(ban.until * 1000)
        value: dict[str, Any] = {"type": ban.reason}
        if ban.user is not None:
            value["user_id"] = ban.user
        value["violation_count"] = int(count) if count == int(count) else count
        if duration is not None:
            # LibreChat takes a ban without an end for one that never ends.
            value["duration"], value["expiresAt"] = round(duration * 1000), end
        entry = {
            "value": orjson.dumps({"value": value, "expires": end}).decode(),
            "expiresAt": None if end is None else datetime.fromtimestamp(end / 1000, UTC),
        }
        logs = self._database[LogEntry]
        try:
            await logs.update_one({"key": BANS + ban.key}, {"$set": entry}, upsert=True)
        except DuplicateKeyError:
            await logs.update_one({"key": BANS + ban.key}, {"$set": entry})

    async def lift(self, *keys: str) -> bool:
        """End the bans of accounts and addresses; false when there was none."""
        chosen = {counted(key) for key in keys} | set(keys)
        names = [prefix + key for key in chosen for prefix in (BANS, *_CACHED)]
        gone = await self._database[LogEntry].delete_many({"key": {"$in": names}})
        for key in chosen:
            self._addresses.pop(key, None)
        return gone.deleted_count > 0

    async def all(self) -> list[Ban]:
        """Every ban that holds."""
        between = {"key": {"$gte": BANS, "$lt": BANS[:-1] + ";"}}
        entries = await self._database[LogEntry].find(between).to_list()
        return [ban for entry in entries if (ban := _read(entry)) is not None and ban.active]


def _read(entry: dict[str, Any]) -> Ban | None:
    """A stored ban, including LibreChat's; ``None`` for an invalid or expired one."""
    try:
        stored = orjson.loads(entry.get("value") or "")
        value, outer = stored["value"], stored.get("expires")
        end = value.get("expiresAt")
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(outer, int | float) and outer / 1000 <= time.time():
        return None
    until = end / 1000 if isinstance(end, int | float) and end else math.inf
    user = value.get("user_id")
    key = str(entry["key"]).removeprefix(BANS)
    return Ban(key, until, str(value.get("type") or ""), None if user is None else str(user))
