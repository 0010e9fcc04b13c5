"""Every agent in the order of the lists, kept in memory and brought up to date before use.

A list needs the order of everything that a caller reaches. Reading thousands of agents takes
the embedded database long; reading what changed since, a millisecond. Every writer moves
``updatedAt``, other servers and LibreChat too; what is deleted or put in with an old date
shows in the number of agents. So nothing is missed, whoever writes.
"""

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from datetime import timedelta

from bson import ObjectId

from locutory import now
from locutory_agentbuilder.documents import SUMMARY
from locutory_agentbuilder.listing.entries import Entry, Place, entry_of
from locutory_agentbuilder.service import FIRST_ID, Agents

OVERLAP = timedelta(seconds=30)
"""How far the clocks of servers on one database may be apart."""


class Catalogue:
    """The agents of all tenants. Empty while there are more than ``most``."""

    def __init__(self, agents: Agents, most: int, reread_seconds: float) -> None:
        self._agents = agents
        self._most = most
        self._reread = reread_seconds
        self._entries: dict[ObjectId, Entry] = {}
        self._order: list[Place] = []
        self._lock = asyncio.Lock()
        self._begun = self._complete = 0
        self._since = now()
        self._valid_until = 0.0
        self._surplus = 0
        self._too_many = True
        agents.on_removed.append(self.remove)

    async def refresh(self) -> bool:
        """Bring everything up to date with what was written before this call; false when
        there are too many agents to keep."""
        before = self._begun
        async with self._lock:
            # Somebody else's look that began after this call has seen all that counts.
            if self._complete <= before:
                self._begun += 1
                await self._read()
                self._complete = self._begun
        return not self._too_many

    async def _read(self) -> None:
        started, moment = time.monotonic(), now()
        count = await self._agents.collection.estimated_document_count()
        if started < self._valid_until and not self._too_many:
            changed = {"updatedAt": {"$gte": self._since - OVERLAP}}
            for document in await self._agents.collection.find(changed, SUMMARY).to_list():
                self._put(entry_of(document))
        # Another number of agents than there should be: some were deleted elsewhere, or
        # written with a date of the past, as a restored export is.
        if started >= self._valid_until or count - self._surplus != len(self._entries):
            await self._read_all(count)
            self._valid_until = started + self._reread
        self._since = moment

    async def _read_all(self, count: int) -> None:
        self._clear()
        if count <= self._most and self._most:
            read = self._agents.collection.find({"_id": {"$gt": FIRST_ID}}, SUMMARY)
            for document in await read.to_list():
                entry = entry_of(document)
                self._entries[entry.id] = entry
            self._order = sorted(entry.place for entry in self._entries.values())
            self._too_many = False
        # A database may count a little wrong for long (shards, a crash).
        self._surplus = count - len(self._entries)

    def _clear(self) -> None:
        self._entries, self._order, self._too_many = {}, [], True

    def _put(self, entry: Entry) -> None:
        known = self._entries.get(entry.id)
        if known is not None:
            if known.row == entry.row:
                return
            del self._order[bisect_left(self._order, known.place)]
        self._entries[entry.id] = entry
        insort(self._order, entry.place)

    def remove(self, agents: Sequence[ObjectId]) -> None:
        """Forget agents that are gone."""
        for agent in agents:
            known = self._entries.pop(agent, None)
            if known is not None:
                del self._order[bisect_left(self._order, known.place)]

    def __len__(self) -> int:
        return len(self._entries)

    def after(self, place: Place | None) -> Iterator[Entry]:
        """The agents behind a place, in order, as they are now."""
        order = self._order
        start = 0 if place is None else bisect_left(order, place)
        if place is not None and start < len(order) and order[start] == place:
            start += 1
        entries = self._entries
        return (entries[key] for _, key in order[start:] if key in entries)
