"""Balances of users: made, brought up to date, raised and lowered (contract balance §3–§5)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from locutory import ConfigRef, Database, now
from locutory_balance.documents import Balance, Transaction
from locutory_balance.holds import Holds
from locutory_balance.prices import PriceList
from locutory_balance.refill import is_number
from locutory_balance.rows import Row, credit_row, plain, stored, total_value
from locutory_balance.rules import Rules

Record = dict[str, Any]

ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class RulesAndPrices:
    """The rules and prices in force."""

    rules: Rules
    prices: PriceList


def credits_of(record: Mapping[str, Any]) -> float:
    """The credits of a record; 0 when it has no number."""
    value = record.get("tokenCredits")
    return value if is_number(value) else 0  # type: ignore[return-value]


class Balances:
    """The collections ``balances`` and ``transactions``.

    No method waits for others: callers that change a balance do so ``async with alone(user)``, so
    that work for one user runs one after another inside of a process. Between processes every
    change is one conditional update.
    """

    def __init__(self, database: Database, config_ref: ConfigRef[RulesAndPrices]) -> None:
        self._database = database
        self._config_ref = config_ref
        self._locks: WeakValueDictionary[ObjectId, asyncio.Lock] = WeakValueDictionary()
        self.holds = Holds(database)

    def alone(self, user: ObjectId) -> asyncio.Lock:
        """The lock of a user."""
        lock = self._locks.get(user)
        if lock is None:
            lock = self._locks[user] = asyncio.Lock()
        return lock

    async def read(self, user: ObjectId) -> Record | None:
        """The record of a user: the oldest, should there be several (collections §3.5)."""
        return await self._database[Balance].find_one({"user": user}, sort=[("_id", ASCENDING)])

    async def synchronised(self, user: ObjectId, tenant: str | None) -> Record | None:
        """The record of a user, made or brought in line with the configuration where needed;
        ``None`` when there is none and new users get no credits (contract §3)."""
        rules = self._config_ref.current.rules
        record = await self.read(user)
        if record is None:
            return None if rules.start is None else await self.make(user, tenant, rules.start)
        wanted: Record = rules.refill.fields() if rules.refill else {}
        if wanted and record.get("lastRefill") is None:
            wanted["lastRefill"] = now()
        changes = {key: value for key, value in wanted.items() if record.get(key) != value}
        if not is_number(record.get("tokenCredits")) and rules.start is not None:
            changes["tokenCredits"] = rules.start
        if changes:
            await self._database[Balance].update_one({"_id": record["_id"]}, {"$set": changes})
            record.update(changes)
        return record

    async def make(self, user: ObjectId, tenant: str | None, amount: float) -> Record:
        """A new record with ``amount`` credits; the one that is there if there is one."""
        record: Record = {
            "_id": user,  # so that of two first writes one fails
            "user": user,
            "tokenCredits": plain(amount),
            "autoRefillEnabled": False,
            "refillIntervalValue": 30,
            "refillIntervalUnit": "days",
            "lastRefill": now(),
            "refillAmount": 0,
        }
        refill = self._config_ref.current.rules.refill
        if refill is not None:
            record |= refill.fields()
        if tenant:
            record["tenantId"] = tenant
        record["__v"] = 0
        try:
            await self._database[Balance].insert_one(record)
        except DuplicateKeyError:
            return await self.read(user) or record
        return record

    async def refill(self, record: Record, tenant: str | None) -> Record:
        """Add the refill of a record for which it is due, once. Answers the new record."""
        user, amount = record["user"], record["refillAmount"]
        update: dict[str, Any] = {"$set": {"lastRefill": now()}}
        if is_number(record.get("tokenCredits")):
            update["$inc"] = {"tokenCredits": amount}
        else:
            update["$set"]["tokenCredits"] = amount
        refilled = await self._database[Balance].update_one(
            {"_id": record["_id"], "lastRefill": record.get("lastRefill")}, update
        )
        if refilled.modified_count:
            await self.record([credit_row(amount, "autoRefill")], user, tenant)
        return await self.read(user) or record

    async def change(self, record: Record, amount: float) -> None:
        """Add credits, or take them (negative) down to 0 at most. `RuntimeError` when that
        fails over and over."""
        collection, key = self._database[Balance], record["_id"]
        if amount >= 0:
            await collection.update_one({"_id": key}, {"$inc": {"tokenCredits": plain(amount)}})
            return
        enough = {"_id": key, "tokenCredits": {"$gte": plain(-amount)}}
        short = {"_id": key, "tokenCredits": {"$lt": plain(-amount)}}
        for _ in range(ATTEMPTS):  # again when it was changed between the two
            done = await collection.update_one(enough, {"$inc": {"tokenCredits": plain(amount)}})
            if not done.matched_count:
                done = await collection.update_one(short, {"$set": {"tokenCredits": 0}})
            if done.matched_count:
                return
        raise RuntimeError("the balance could not be lowered")

    async def set_credits(self, record: Record, amount: float) -> None:
        """Replace the credits."""
        await self._database[Balance].update_one(
            {"_id": record["_id"]}, {"$set": {"tokenCredits": plain(amount)}}
        )

    async def record(
        self,
        rows: Sequence[Row],
        user: ObjectId,
        tenant: str | None,
        conversation: str | None = None,
        message: str | None = None,
    ) -> None:
        """Insert rows into ``transactions``."""
        await self._database[Transaction].insert_many(
            stored(rows, user, tenant, conversation, message)
        )

    async def charge(
        self, rows: Sequence[Row], user: ObjectId, tenant: str | None, turn: tuple[str, str]
    ) -> None:
        """Take the sum of rows at once, then insert them. ``turn``: conversation and message.
        Without the balance feature they are only inserted."""
        if self._config_ref.current.rules.enabled:
            record = await self.read(user)
            value = total_value(rows)
            if record is not None and value:
                await self.change(record, value)
        await self.record(rows, user, tenant, *turn)

    async def erase(self, user: ObjectId) -> None:
        """Delete the data stored for a user."""
        await self._database[Transaction].delete_many({"user": user})
        await self._database[Balance].delete_many({"user": user})
        await self.holds.erase(user)
