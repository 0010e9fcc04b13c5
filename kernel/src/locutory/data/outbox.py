"""Durable facts: stored first, then delivered to every subscriber at least once.

Collection ``locutory_outbox``: ``{_id, event, payload, createdAt, expiresAt?, done: [plugin]}``. A
fact stays in the collection for ``Fact.kept_days``, or without limit, so that a plugin that was off
at that time receives it when it is next on. Handlers are idempotent.
"""

from datetime import timedelta
from typing import Any

import structlog
from beanie import Document
from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from locutory.data.database import Database
from locutory.events import Events, Fact
from locutory.responses import now

log = structlog.get_logger("locutory.outbox")


class OutboxEntry(Document):
    """One stored fact."""

    event: str
    payload: dict[str, Any]
    done: list[str]

    class Settings:
        name = "locutory_outbox"
        indexes = [  # noqa: RUF012
            IndexModel([("event", ASCENDING)]),
            IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0),
        ]


class DatabaseOutbox:
    """Stores facts in the database and delivers them."""

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self._delivering: set[ObjectId] = set()  # by this process, so not twice at once

    async def publish(
        self, event: str, payload: dict[str, Any], kept_days: int | None = None
    ) -> None:
        """Store a fact, then deliver it; raises only when it cannot be stored."""
        entry: dict[str, Any] = {
            "_id": ObjectId(),
            "event": event,
            "payload": payload,
            "createdAt": now(),
            "done": [],
        }
        if kept_days is not None:
            entry["expiresAt"] = entry["createdAt"] + timedelta(days=kept_days)
        self._delivering.add(entry["_id"])
        try:
            await self._database[OutboxEntry].insert_one(entry)
            await self._deliver(entry, self._events.durable_types().get(event))
        finally:
            self._delivering.discard(entry["_id"])

    async def erase(self, member: str, value: Any) -> None:
        """Delete the facts with an expiry whose payload has this value in a member."""
        entries = self._database[OutboxEntry]
        await entries.delete_many({f"payload.{member}": value, "expiresAt": {"$ne": None}})

    async def deliver_pending(self) -> None:
        """Deliver every stored fact to the subscribers that have not handled it yet, oldest
        first. A fact that cannot be delivered is logged and does not hold up the others."""
        entries = self._database[OutboxEntry]
        for name, kind in self._events.durable_types().items():
            owners = {owner for owner, _ in self._events.subscribers(kind)}
            pending: set[ObjectId] = set()
            for owner in owners:
                late = entries.find({"event": name, "done": {"$ne": owner}}, {"_id": 1})
                pending.update([entry["_id"] async for entry in late])
            for entry_id in sorted(pending - self._delivering):
                self._delivering.add(entry_id)
                try:
                    # Read again: another server may have delivered it in the meantime.
                    entry = await entries.find_one({"_id": entry_id})
                    if entry is not None:
                        await self._deliver(entry, kind)
                finally:
                    self._delivering.discard(entry_id)

    async def _deliver(self, entry: dict[str, Any], kind: type[Fact] | None) -> None:
        if kind is None:
            return
        try:
            fact: Fact = kind(**entry["payload"])
        except TypeError as error:  # stored by another version of the plugin
            log.error("outbox.unreadable", handled=entry["event"], reason=str(error))
            return
        owners: dict[str, bool] = {}
        for owner, handler in self._events.subscribers(kind):
            if owner not in entry["done"]:
                handled = await self._events.deliver(owner, handler, fact)
                owners[owner] = owners.get(owner, True) and handled
        for owner, handled in owners.items():
            if handled:
                await self._database[OutboxEntry].update_one(
                    {"_id": entry["_id"]}, {"$addToSet": {"done": owner}}
                )
            else:
                log.warning("outbox.will_retry", handled=entry["event"], plugin=owner)
