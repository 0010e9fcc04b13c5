"""Pages of agents (contract agents §2)."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from locutory import Principal
from locutory.database import Raw
from locutory_agentbuilder.contacts import Contacts
from locutory_agentbuilder.definition.resources import SKILL
from locutory_agentbuilder.documents import SUMMARY, without
from locutory_agentbuilder.kind import KIND
from locutory_agentbuilder.listing.catalogue import Catalogue
from locutory_agentbuilder.listing.entries import Entry, Place, cursor_after, entry_of
from locutory_agentbuilder.rights import Rights, object_id
from locutory_agentbuilder.service import Agents, chunks, object_ids
from locutory_contracts.access import EDIT, OWNER, VIEW, ResourceAccess

FEW = 300
"""Up to so many agents, it is faster to ask for everything that a caller reaches than for
single ones."""
SPARE = 10
"""Agents looked at beyond a page, before everything that the caller reaches is asked for."""
SINGLES = 50
"""Single agents asked for at most: more cost as much as everything."""

Held = list[tuple[Entry, int]]
"""Entries with the bits that the caller holds on them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which agents: those on which the caller holds all of ``needed``, of a category, with a
    text in name or description, promoted or not."""

    needed: int = VIEW
    category: str = ""
    search: str = ""
    promoted: bool | None = None

    def among(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries that match, whoever may see them."""
        if self.category:
            entries = (entry for entry in entries if entry.category == self.category)
        if self.promoted is not None:
            entries = (entry for entry in entries if entry.promoted is self.promoted)
        if self.search:
            text = self.search.lower()
            entries = (e for e in entries if text in e.name or text in e.description)
        return iter(entries)


class Lists:
    """Lists of what a caller reaches. Nothing about rights is remembered."""

    def __init__(
        self, agents: Agents, rights: Rights, catalogue: Catalogue, contacts: Contacts
    ) -> None:
        self._agents = agents
        self._rights = rights
        self._catalogue = catalogue
        self._contacts = contacts

    async def page(
        self, principal: Principal, selection: Selection, limit: int, after: Place | None
    ) -> Raw:
        """The answer with at most ``limit`` agents behind a place."""
        found = await self._first(principal, selection, limit + 1, after)
        shown, more = found[:limit], len(found) > limit
        rows = await self._rows(principal, selection, shown)
        return {
            "object": "list",
            "data": rows,
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
            "has_more": more,
            "after": cursor_after(shown[-1][0]) if more else None,
        }

    async def _first(
        self, principal: Principal, selection: Selection, count: int, after: Place | None
    ) -> Held:
        access = self._rights.shared
        if not 0 < selection.needed <= OWNER:
            return []
        if access is None:
            own = await self._own(principal)
            held = [(entry, OWNER) for entry in selection.among(_behind(own, after))]
            return held[:count]
        if await self._catalogue.refresh():
            return await self._from_catalogue(principal, access, selection, count, after)
        reachable = await access.reachable(principal, KIND, selection.needed)
        entries = selection.among(_behind(await self._by_id(principal, reachable), after))
        return [(entry, reachable[str(entry.id)]) for entry in islice(entries, count)]

    async def _from_catalogue(
        self,
        principal: Principal,
        access: ResourceAccess,
        selection: Selection,
        count: int,
        after: Place | None,
    ) -> Held:
        candidates = (
            entry
            for entry in selection.among(self._catalogue.after(after))
            if entry.row.get("tenantId") == principal.tenant
        )
        found: Held = []
        if count <= SINGLES and len(self._catalogue) > FEW:
            # Who sees most of it fills a page at once, and need not be asked for everything.
            first = list(islice(candidates, count + SPARE))
            found = await _holding(access, principal, first, selection.needed)
            if len(found) >= count or len(first) < count + SPARE:
                return found[:count]
        reachable = await access.reachable(principal, KIND, selection.needed)
        rest = (
            (entry, reachable[str(entry.id)]) for entry in candidates if str(entry.id) in reachable
        )
        return found + list(islice(rest, count - len(found)))

    async def _own(self, principal: Principal) -> list[Entry]:
        written = {"author": object_id(principal.id), "tenantId": principal.tenant}
        return _ordered(await self._agents.collection.find(written, SUMMARY).to_list())

    async def _by_id(self, principal: Principal, agents: Iterable[str]) -> list[Entry]:
        found: list[Raw] = []
        for chunk in chunks(object_ids(agents)):
            wanted = {"_id": {"$in": chunk}, "tenantId": principal.tenant}
            found += await self._agents.collection.find(wanted, SUMMARY).to_list()
        return _ordered(found)

    async def _rows(self, principal: Principal, selection: Selection, held: Held) -> list[Raw]:
        if not held:
            return []
        entries = [entry for entry, _ in held]
        public, contacts = await asyncio.gather(
            self._public(principal, entries), self._contacts.of(entry.row for entry in entries)
        )
        editing = bool(selection.needed & EDIT)
        skills = None if editing else await self._skills(principal, entries)
        rows = []
        for entry, bits in held:
            row = without(entry.row, "authorName", "tenantId")
            if row.get("author") != object_id(principal.id):
                row.pop("author", None)
            if skills is not None:
                _show_skills(row, skills)
            key = str(entry.id)
            if key in contacts:
                row["owner_contact"] = contacts[key]
            if key in public:
                row["isPublic"] = True
            row["isEditable"] = bool(bits & EDIT)
            rows.append(row)
        return rows

    async def _public(self, principal: Principal, entries: list[Entry]) -> set[str]:
        access = self._rights.shared
        if access is None:
            return set()
        # What nobody in particular reaches is what everybody does. Asked for in this way and
        # not with `public`, which reads every public entry of the embedded database.
        nobody = Principal(id="", role="", tenant=principal.tenant)
        if len(entries) > SINGLES:
            return set(await access.reachable(nobody, KIND))
        return {str(entry.id) for entry, _ in await _holding(access, nobody, entries, VIEW)}

    async def _skills(self, principal: Principal, entries: list[Entry]) -> Mapping[str, Any]:
        """The skills that the caller may see; asked only when an agent names some."""
        access = self._rights.shared
        if access is None or not any(
            entry.row.get("skills_enabled") is True and entry.row.get("skills") for entry in entries
        ):
            return {}
        return await access.reachable(principal, SKILL)


def _show_skills(row: Raw, visible: Mapping[str, Any]) -> None:
    """What a viewer is told of an agent's skills: an empty list means all that he sees."""
    enabled, listed = row.pop("skills_enabled", None) is True, row.pop("skills", None)
    if not enabled:
        return
    left = [skill for skill in listed or () if str(skill) in visible]
    if not listed:
        row["skills_enabled"] = True
    elif left:
        row["skills"], row["skills_enabled"] = left, True


async def _holding(
    access: ResourceAccess, principal: Principal, entries: list[Entry], needed: int
) -> Held:
    """Those of some agents on which a caller holds all of ``needed``."""
    bits = await asyncio.gather(*(access.bits(principal, KIND, str(entry.id)) for entry in entries))
    return [
        (entry, held) for entry, held in zip(entries, bits, strict=True) if held & needed == needed
    ]


def _behind(entries: list[Entry], after: Place | None) -> Iterable[Entry]:
    return entries if after is None else (entry for entry in entries if entry.place > after)


def _ordered(documents: Iterable[Raw]) -> list[Entry]:
    return sorted(map(entry_of, documents), key=lambda entry: entry.place)
