"""Pages of agents (contract agents §2)."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.codec_options import CodecOptions

from locutory import Principal, Raw
from locutory_agentbuilder.access_control import AccessControl
from locutory_agentbuilder.definition.resources import SKILL
from locutory_agentbuilder.documents import SUMMARY, without
from locutory_agentbuilder.listing.order import SORT, Position, cursor_after
from locutory_agentbuilder.owner_contacts import OwnerContacts
from locutory_agentbuilder.resource_kind import KIND
from locutory_agentbuilder.service import Agents, object_ids
from locutory_contracts.access import EDIT, OWNER, VIEW
from locutory_resources import object_id


@dataclass(frozen=True, slots=True)
class Selection:
    """The agents of a list: those on which the caller holds all of ``needed``, of a category,
    with a text in name or description, promoted or not."""

    needed: int = VIEW
    category: str = ""
    search: str = ""
    promoted: bool | None = None

    def filter(self, after: Position | None = None) -> dict[str, Any]:
        """A filter for the agents that match, after a position, regardless of rights."""
        found: dict[str, Any] = {}
        either: list[dict[str, Any]] = []
        if self.category:
            found["category"] = self.category
        if self.promoted is not None:
            found["is_promoted"] = True if self.promoted else {"$ne": True}
        if self.search:
            # No expression may hold a NUL itself.
            text = re.escape(self.search).replace("\0", r"\x00")
            pattern = {"$regex": text, "$options": "i"}
            either.append({"$or": [{"name": pattern}, {"description": pattern}]})
        if after is not None:
            found["updatedAt"] = after.bound()
            either.append({"$or": after.after()})
        return {**found, "$and": either} if either else found


class Lists:
    """Lists of the agents that a caller reaches. Rights are not cached."""

    def __init__(
        self, agents: Agents, access_control: AccessControl, owner_contacts: OwnerContacts
    ) -> None:
        self._agents = agents
        self._access_control = access_control
        self._owner_contacts = owner_contacts

    async def page(
        self, principal: Principal, selection: Selection, limit: int, after: Position | None
    ) -> Raw:
        """The response with at most ``limit`` agents after a position."""
        access = self._access_control.shared
        bits: Mapping[str, int] = {}
        reached: dict[str, Any] = {"author": object_id(principal.id)}
        if not 0 < selection.needed <= OWNER:
            reached = {"_id": {"$in": []}}
        elif access is not None:
            bits = await access.reachable(principal, KIND, selection.needed)
            reached = {"_id": {"$in": object_ids(bits)}}
        wanted = {**reached, "tenantId": principal.tenant, **selection.filter(after)}
        # Dates that are only written as JSON are quicker to decode without a zone.
        plain = self._agents.collection.with_options(codec_options=CodecOptions(tz_aware=False))
        sorted_ = plain.find(wanted, SUMMARY).sort(SORT)
        found = await sorted_.limit(limit + 1).batch_size(limit + 2).to_list()
        shown, more = found[:limit], len(found) > limit
        rows = await self._rows(principal, selection, shown, bits)
        return {
            "object": "list",
            "data": rows,
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
            "has_more": more,
            "after": cursor_after(shown[-1]) if more else None,
        }

    async def _rows(
        self, principal: Principal, selection: Selection, agents: list[Raw], held: Mapping[str, int]
    ) -> list[Raw]:
        """``held``: the bits of the caller by ``_id`` as text; agents that are not in it are their
        own."""
        if not agents:
            return []
        public, contacts = await asyncio.gather(
            self._public(agents), self._owner_contacts.of(agents)
        )
        editing = bool(selection.needed & EDIT)
        skills = None if editing else await self._skills(principal, agents)
        rows = []
        for agent in agents:
            row = without(agent, "authorName", "tenantId")
            if row.get("author") != object_id(principal.id):
                row.pop("author", None)
            if skills is not None:
                _show_skills(row, skills)
            key = str(agent["_id"])
            if key in contacts:
                row["owner_contact"] = contacts[key]
            if key in public:
                row["isPublic"] = True
            row["isEditable"] = bool(held.get(key, OWNER) & EDIT)
            rows.append(row)
        return rows

    async def _public(self, agents: list[Raw]) -> set[str]:
        access = self._access_control.shared
        if access is None:
            return set()
        return await access.public(KIND, [str(agent["_id"]) for agent in agents])

    async def _skills(self, principal: Principal, agents: list[Raw]) -> Mapping[str, Any]:
        """The skills that the caller may see; asked only when an agent names some."""
        access = self._access_control.shared
        if access is None or not any(
            agent.get("skills_enabled") is True and agent.get("skills") for agent in agents
        ):
            return {}
        return await access.reachable(principal, SKILL)


def _show_skills(row: Raw, visible: Mapping[str, Any]) -> None:
    """Reduce an agent's skills to those that a viewer sees; an empty list means all of
    those."""
    enabled, listed = row.pop("skills_enabled", None) is True, row.pop("skills", None)
    if not enabled:
        return
    left = [skill for skill in listed or () if str(skill) in visible]
    if not listed:
        row["skills_enabled"] = True
    elif left:
        row["skills"], row["skills_enabled"] = left, True
