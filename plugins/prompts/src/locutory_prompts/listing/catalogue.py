"""Every group in the order of the lists, kept in memory and brought up to date before use.

A list needs the order of everything that a caller sees. Reading 5,000 groups and their
entries takes the embedded database half a second; reading what changed since, a millisecond.
Every writer moves ``updatedAt``, other servers and LibreChat too. What was deleted elsewhere
stays in here for a while, but nobody reaches it any more: its entries are gone. What is put
in with an old date, as a restored export, is announced through the cache.
"""

import asyncio
import time
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from bson import ObjectId

from locutory import Cache, now
from locutory_prompts.documents import SUMMARY
from locutory_prompts.listing.entries import Entry, Place, entry_of
from locutory_prompts.service import FIRST_ID, Prompts

_NAMESPACE, _WRITTEN = "prompts", "backdated"
OVERLAP = timedelta(seconds=30)
"""How far the clocks of servers on one database may be apart."""


class Catalogue:
    """The groups of all tenants. Empty while there are more than ``most``."""

    def __init__(self, prompts: Prompts, cache: Cache, most: int, reread_seconds: float) -> None:
        self._prompts = prompts
        self._cache = cache
        self._most = most
        self._reread = reread_seconds
        self._entries: dict[ObjectId, Entry] = {}
        self._order: list[Place] = []
        self._lock = asyncio.Lock()
        self._begun = self._complete = 0
        self._since = now()
        self._valid_until = 0.0
        self._written: Any = None
        self._too_many = True
        prompts.on_removed.append(self.remove)

    async def refresh(self) -> bool:
        """Bring everything up to date with what was written before this call; false when
        there are too many groups to keep."""
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
        written = await self._cache.get(_NAMESPACE, _WRITTEN)
        if started >= self._valid_until or written != self._written:
            await self._read_all()
            self._valid_until, self._written = started + self._reread, written
        elif not self._too_many:
            changed = {"updatedAt": {"$gte": self._since - OVERLAP}}
            for document in await self._prompts.groups.find(changed, SUMMARY).to_list():
                self._put(entry_of(document))
            if len(self._entries) > self._most:
                self._clear()
        self._since = moment

    async def _read_all(self) -> None:
        self._clear()
        if not self._most or await self._prompts.groups.estimated_document_count() > self._most:
            return
        read = self._prompts.groups.find({"_id": {"$gt": FIRST_ID}}, SUMMARY)
        for document in await read.to_list():
            entry = entry_of(document)
            self._entries[entry.id] = entry
        self._order = sorted(entry.place for entry in self._entries.values())
        self._too_many = False

    async def outdate(self) -> None:
        """Something was written with a date of the past: everything is read again before
        the next list, by every server that shares the cache."""
        self._valid_until = 0.0
        await self._cache.set(_NAMESPACE, _WRITTEN, uuid4().hex)

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

    def remove(self, groups: Sequence[ObjectId]) -> None:
        """Forget groups that are gone."""
        for group in groups:
            known = self._entries.pop(group, None)
            if known is not None:
                del self._order[bisect_left(self._order, known.place)]

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, group: ObjectId) -> Entry | None:
        """A group by its id."""
        return self._entries.get(group)

    def after(self, place: Place | None) -> Iterator[Entry]:
        """The groups behind a place, in order, as they are now."""
        order = self._order
        start = 0 if place is None else bisect_left(order, place)
        if place is not None and start < len(order) and order[start] == place:
            start += 1
        entries = self._entries
        return (entries[place[2]] for place in order[start:] if place[2] in entries)
