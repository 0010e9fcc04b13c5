"""Sessions, and the rotation of their refresh tokens (contract auth §3, §5).

A refresh token is good once. Whoever comes with the previous one within `GRACE` gets the
same successor, so tabs that refresh side by side and clients that lost an answer go on.
Later it counts as stolen: the session ends, for the thief as for the owner.

``sessions`` holds what LibreChat knows: the hash of the current token. ``locutory_refresh``
is the arbiter between refreshes that happen at once, and knows the tokens just replaced, and
where the session is used.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Database, now
from locutory_auth.documents import Rotation, Session
from locutory_auth.sessions.revocation import Revocations
from locutory_auth.sessions.tokens import RefreshClaims, Tokens

GRACE = timedelta(seconds=30)
_RECENT = 16
_ATTEMPTS = 5
_AGENT = 256


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token to hand out, its session, and when that ends."""

    token: str
    expires: datetime
    session: ObjectId


@dataclass(frozen=True, slots=True)
class Device:
    """The device on which a session is used: IP address and User-Agent, "" when unknown."""

    ip: str = ""
    agent: str = ""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """The sessions of all accounts.

    Args:
        life: how long a session lasts from sign-in; refreshing does not extend it.
    """

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        life: timedelta,
        revocations: Revocations,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._life = life
        self._revocations = revocations
        self._log = log

    async def start(self, account: Mapping[str, Any], device: Device) -> Refresh:
        """A new session of an account."""
        issued = now()
        expires = issued + self._life
        claims = RefreshClaims(account["_id"], ObjectId())
        serial = secrets.token_hex(8)
        token = self._tokens.refresh(claims, serial, issued, expires)
        document: dict[str, Any] = {
            "_id": claims.session,
            "user": claims.user,
            "expiration": expires,
            "refreshTokenHash": _hash(token),
            "__v": 0,
        }
        if account.get("tenantId"):
            document["tenantId"] = account["tenantId"]
        await self._database[Session].insert_one(document)
        state = _state(claims, 0, document["refreshTokenHash"], serial, issued, expires)
        await self._database[Rotation].insert_one(
            {"_id": claims.session, **state, "recent": [], **_used(device, issued)}
        )
        return Refresh(token, expires, claims.session)

    async def rotate(
        self, token: str, claims: RefreshClaims, device: Device | None = None
    ) -> Refresh | None:
        """The successor of a refresh token that verified; ``None`` when its session is over,
        also because the token was used before."""
        mine = _hash(token)
        for _ in range(_ATTEMPTS):
            session = await self._database[Session].find_one(
                {"_id": claims.session, "user": claims.user},
                {"refreshTokenHash": 1, "expiration": 1},
            )
            moment = now()
            if session is None or session["expiration"] <= moment:
                return None
            state = await self._database[Rotation].find_one({"_id": claims.session})
            if state is not None and _is_recent(state, mine, moment):
                return await self._successor(claims, session, state, mine)
            if session["refreshTokenHash"] != mine:
                await self._revoke(claims)
                return None
            used = _used(device or Device(), moment)
            rotated = await self._turn(claims, session["expiration"], state, mine, used)
            if rotated is not None:
                return rotated
        return None

    async def holds(self, token: str, claims: RefreshClaims) -> bool:
        """``True`` when a verified refresh token is the current one of a live session, or was
        replaced recently. Neither token is changed."""
        mine, moment = _hash(token), now()
        session = await self._database[Session].find_one(
            {"_id": claims.session, "user": claims.user}, {"refreshTokenHash": 1, "expiration": 1}
        )
        if session is None or session["expiration"] <= moment:
            return False
        if session["refreshTokenHash"] == mine:
            return True
        state = await self._database[Rotation].find_one({"_id": claims.session}, {"recent": 1})
        return state is not None and _is_recent(state, mine, moment)

    async def _turn(
        self,
        claims: RefreshClaims,
        expires: datetime,
        state: Mapping[str, Any] | None,
        mine: str,
        used: Mapping[str, Any],
    ) -> Refresh | None:
        """Replace the current token; ``None`` when another refresh was faster."""
        moment: datetime = used["seenAt"]
        generation = 0 if state is None else state["generation"]
        serial = secrets.token_hex(8)
        token = self._tokens.refresh(claims, serial, moment, expires)
        recent = [] if state is None else [e for e in state["recent"] if e["until"] > moment]
        successor = _hash(token)
        fresh = {
            **_state(claims, generation + 1, successor, serial, moment, expires),
            "recent": [*recent, {"hash": mine, "until": moment + GRACE}][-_RECENT:],
            **used,
        }
        rotations = self._database[Rotation]
        if state is None:
            try:
                await rotations.insert_one({"_id": claims.session, **fresh})
            except DuplicateKeyError:
                return None
        else:
            turned = await rotations.update_one(
                {"_id": claims.session, "generation": generation}, {"$set": fresh}
            )
            if turned.modified_count == 0:
                return None
        if not await self._announce(claims, mine, successor):
            return None
        return Refresh(token, expires, claims.session)

    async def _successor(
        self,
        claims: RefreshClaims,
        session: Mapping[str, Any],
        state: Mapping[str, Any],
        mine: str,
    ) -> Refresh | None:
        """The current token again, for a token that was replaced a moment ago."""
        stored = session["refreshTokenHash"]
        if stored == mine:
            # The faster refresh has not written the session yet, or died before it could.
            # Whoever holds the successor must find it there.
            await self._announce(claims, mine, state["current"])
        elif stored != state["current"]:
            return None  # another server has turned this session since
        expires = session["expiration"]
        token = self._tokens.refresh(claims, state["serial"], state["issuedAt"], expires)
        return Refresh(token, expires, claims.session)

    async def _announce(self, claims: RefreshClaims, old: str, new: str) -> bool:
        """Write the hash that LibreChat knows. False when the session has ended meanwhile, or
        the hash is another."""
        written = await self._database[Session].update_one(
            {"_id": claims.session, "refreshTokenHash": old}, {"$set": {"refreshTokenHash": new}}
        )
        return written.matched_count > 0

    async def _revoke(self, claims: RefreshClaims) -> None:
        await self.end(claims)
        self._log.warning(
            "session.refresh_token_reused", user=str(claims.user), session=str(claims.session)
        )

    async def end(self, claims: RefreshClaims) -> bool:
        """End the session of a refresh token, current or old; false when it was over. Its
        access tokens count no longer."""
        return await self.end_some(claims.user, [claims.session]) > 0

    async def end_some(self, user: ObjectId, sessions: Collection[ObjectId]) -> int:
        """End some sessions of an account; return their number. Sessions of other accounts are not
        changed."""
        ids = list(sessions)
        if not ids:
            return 0
        chosen = {"_id": {"$in": ids}, "user": user}
        own = [
            row["_id"] for row in await self._database[Session].find(chosen, {"_id": 1}).to_list()
        ]
        if not own:
            return 0
        ended = await self._database[Session].delete_many({"_id": {"$in": own}})
        await self._database[Rotation].delete_many({"_id": {"$in": own}})
        await self._revocations.of_sessions(user, own)
        return ended.deleted_count

    async def end_all(self, user: ObjectId) -> None:
        """End every session of an account; access tokens stay good until they expire."""
        await self._database[Session].delete_many({"user": user})
        await self._database[Rotation].delete_many({"user": user})

    async def close_all(self, user: ObjectId) -> None:
        """End every session of an account at once, with its access tokens and running work."""
        await self.end_all(user)
        await self._revocations.all_of(user)
        self._log.info("session.all_ended", user=str(user))

    async def of(self, user: ObjectId) -> list[dict[str, Any]]:
        """The live sessions of an account, newest first: ``id``, ``createdAt``,
        ``expiresAt``, and ``lastUsedAt``, ``ip``, ``userAgent`` where they are known."""
        live = {"user": user, "expiration": {"$gt": now()}}
        rows = await self._database[Session].find(live, {"expiration": 1}).to_list()
        states = (
            await self._database[Rotation]
            .find({"user": user}, {"seenAt": 1, "ip": 1, "userAgent": 1})
            .to_list()
        )
        used = {state["_id"]: state for state in states}
        listed = []
        for row in sorted(rows, key=lambda row: row["_id"], reverse=True):
            state = used.get(row["_id"], {})
            shown = {
                "id": str(row["_id"]),
                "createdAt": row["_id"].generation_time,
                "expiresAt": row["expiration"],
                "lastUsedAt": state.get("seenAt"),
                "ip": state.get("ip"),
                "userAgent": state.get("userAgent"),
            }
            listed.append({key: value for key, value in shown.items() if value})
        return listed


def _state(
    claims: RefreshClaims,
    generation: int,
    current: str,
    serial: str,
    issued: datetime,
    expires: datetime,
) -> dict[str, Any]:
    return {
        "user": claims.user,
        "generation": generation,
        "current": current,
        "serial": serial,
        "issuedAt": issued,
        "expiration": expires,
    }


def _used(device: Device, moment: datetime) -> dict[str, Any]:
    return {"seenAt": moment, "ip": device.ip, "userAgent": device.agent[:_AGENT]}


def _is_recent(state: Mapping[str, Any], mine: str, moment: datetime) -> bool:
    return any(e["hash"] == mine and e["until"] > moment for e in state["recent"])
