"""Pages and the whole list (contract prompts §4, routes 1 and 2)."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from bson import ObjectId

from locutory import Principal
from locutory_contracts.access import VIEW, ResourceAccess
from locutory_prompts.documents import SUMMARY
from locutory_prompts.kind import KIND
from locutory_prompts.listing.catalogue import Catalogue
from locutory_prompts.listing.entries import Entry, Place, cursor_after, entry_of
from locutory_prompts.listing.rows import Rows, join
from locutory_prompts.rights import Rights, object_id
from locutory_prompts.service import Prompts, chunks

MINE = "sys__my__prompts__sys"
SHARED = "sys__shared__prompts__sys"
UNCATEGORISED = "sys__no__category__sys"
LONGEST_SEARCH = 1000

FEW = 300
"""Up to so many groups, it is faster to ask for everything that a caller reaches than for
single ones."""
SPARE = 10
"""Groups looked at beyond a page, before everything that the caller reaches is asked for."""
SINGLES = 50
"""Single groups asked for at most: more cost as much as everything."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which groups: a part of their name, and a category or one of the three above."""

    name: str = ""
    category: str = ""

    def among(self, entries: Iterable[Entry], caller: ObjectId | None) -> Iterator[Entry]:
        """The entries that match, for a caller who sees them all."""
        name, category = self.name.lower(), self.category
        if len(name) > LONGEST_SEARCH:
            return iter(())
        if name:
            entries = (entry for entry in entries if name in entry.name)
        if category == MINE:
            return (entry for entry in entries if entry.author == caller)
        if category == SHARED:
            return (entry for entry in entries if entry.author != caller)
        if category == UNCATEGORISED:
            return (entry for entry in entries if not entry.category)
        if category:
            return (entry for entry in entries if entry.category == category)
        return iter(entries)


@dataclass(frozen=True, slots=True)
class Page:
    """``rows`` is a JSON array; ``after`` the cursor of the next page, if there is one."""

    rows: bytes
    after: str | None


class Lists:
    """Lists of what a caller sees."""

    def __init__(self, prompts: Prompts, rights: Rights, catalogue: Catalogue, rows: Rows) -> None:
        self._prompts = prompts
        self._rights = rights
        self._catalogue = catalogue
        self._rows = rows

    async def page(
        self, principal: Principal, selection: Selection, limit: int, after: Place | None
    ) -> Page:
        """At most ``limit`` groups behind a place."""
        found = await self._first(principal, selection, limit + 1, after)
        shown = found[:limit]
        more = len(found) > limit
        return Page(await self._sent(principal, shown), cursor_after(shown[-1]) if more else None)

    async def everything(self, principal: Principal, selection: Selection) -> bytes:
        """All of them, as a JSON array."""
        return await self._sent(principal, await self._first(principal, selection, None, None))

    async def _first(
        self, principal: Principal, selection: Selection, count: int | None, after: Place | None
    ) -> list[Entry]:
        """The first ``count`` entries that the caller sees; ``None``: all."""
        caller, access = object_id(principal.id), self._rights.shared
        if access is None:
            entries = await self._own(caller, principal.tenant)
        elif await self._catalogue.refresh():
            return await self._from_catalogue(principal, access, selection, count, after)
        else:
            reachable = await access.reachable(principal, KIND)
            entries = await self._by_id(reachable)
        if after is not None:
            entries = [entry for entry in entries if entry.place > after]
        return list(islice(selection.among(entries, caller), count))

    async def _from_catalogue(
        self,
        principal: Principal,
        access: ResourceAccess,
        selection: Selection,
        count: int | None,
        after: Place | None,
    ) -> list[Entry]:
        candidates = selection.among(self._catalogue.after(after), object_id(principal.id))
        found: list[Entry] = []
        if count is not None and count <= SINGLES and len(self._catalogue) > FEW:
            # Who sees most of it fills a page at once, and need not be asked for everything.
            first = list(islice(candidates, count + SPARE))
            found = await _viewed(access, principal, first)
            if len(found) >= count or len(first) < count + SPARE:
                return found[:count]
        reachable = await access.reachable(principal, KIND)
        rest = (entry for entry in candidates if str(entry.id) in reachable)
        return found + list(islice(rest, None if count is None else count - len(found)))

    async def _own(self, caller: ObjectId | None, tenant: str | None) -> list[Entry]:
        written = {"author": caller, "tenantId": tenant}
        return _ordered(await self._prompts.groups.find(written, SUMMARY).to_list())

    async def _by_id(self, groups: Iterable[str]) -> list[Entry]:
        keys = [key for key in map(object_id, groups) if key is not None]
        found = []
        for chunk in chunks(keys):
            found += await self._prompts.groups.find({"_id": {"$in": chunk}}, SUMMARY).to_list()
        return _ordered(found)

    async def _sent(self, principal: Principal, entries: list[Entry]) -> bytes:
        rows = await self._rows.encoded(entries)
        return join(entries, rows, await self._public(principal, entries))

    async def _public(self, principal: Principal, entries: list[Entry]) -> set[str]:
        access = self._rights.shared
        if access is None or not entries:
            return set()
        # What nobody in particular reaches is what everybody does. Asked for in this way and
        # not with `public`, which reads every public entry of the embedded database.
        nobody = Principal(id="", role="", tenant=principal.tenant)
        if len(entries) > SINGLES:
            return set(await access.reachable(nobody, KIND))
        return {str(entry.id) for entry in await _viewed(access, nobody, entries)}


async def _viewed(
    access: ResourceAccess, principal: Principal, entries: list[Entry]
) -> list[Entry]:
    """Those of some groups that a caller sees."""
    bits = await asyncio.gather(*(access.bits(principal, KIND, str(entry.id)) for entry in entries))
    return [entry for entry, held in zip(entries, bits, strict=True) if held & VIEW]


def _ordered(documents: Iterable[dict[str, object]]) -> list[Entry]:
    return sorted(map(entry_of, documents), key=lambda entry: entry.place)
