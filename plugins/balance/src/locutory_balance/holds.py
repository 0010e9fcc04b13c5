"""Amounts that running turns hold, so that several at once cannot spend the same credits.

The balance itself is unchanged until a turn is over: a server that stops unexpectedly leaves a hold
that expires, and LibreChat on the same database sees the balance that it expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Database
from locutory_balance.documents import Hold


@dataclass(frozen=True, slots=True)
class Held:
    """The holds of a user at one moment; ``version`` is ``None`` when there is no document."""

    version: int | None
    holds: Sequence[dict[str, Any]]

    @property
    def total(self) -> float:
        return float(sum(hold["amount"] for hold in self.holds))


class Holds:
    """The holds of all users: one document each, changed only from the version last read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user: ObjectId, moment: datetime) -> Held:
        """The unexpired holds of a user at ``moment``."""
        found = await self._database[Hold].find_one({"_id": user}, {"version": 1, "holds": 1})
        if found is None:
            return Held(None, ())
        return Held(found["version"], [hold for hold in found["holds"] if hold["until"] > moment])

    async def add(
        self, user: ObjectId, held: Held, hold_id: str, amount: float, until: datetime
    ) -> bool:
        """Set ``amount`` aside; false when the holds are no longer those that were read."""
        holds = [*held.holds, {"id": hold_id, "amount": amount, "until": until}]
        collection = self._database[Hold]
        if held.version is None:
            try:
                await collection.insert_one({"_id": user, "version": 1, "holds": holds})
            except DuplicateKeyError:
                return False
            return True
        done = await collection.update_one(
            {"_id": user, "version": held.version},
            {"$set": {"holds": holds, "version": held.version + 1}},
        )
        return done.modified_count == 1

    async def release(self, user: ObjectId, hold_id: str) -> None:
        """Release the hold of a turn."""
        await self._database[Hold].update_one(
            {"_id": user}, {"$pull": {"holds": {"id": hold_id}}, "$inc": {"version": 1}}
        )

    async def erase(self, user: ObjectId) -> None:
        """Forget a user."""
        await self._database[Hold].delete_one({"_id": user})
