"""Pages and the whole list (contract prompts §4, routes 1 and 2)."""

import re
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from bson.codec_options import CodecOptions

from locutory import Principal, Raw
from locutory_prompts.access_control import AccessControl
from locutory_prompts.documents import SUMMARY
from locutory_prompts.listing.order import SORT, Position, cursor_after
from locutory_prompts.listing.rows import rows_of
from locutory_prompts.resource_kind import KIND
from locutory_prompts.service import Prompts
from locutory_resources import object_id

MINE = "sys__my__prompts__sys"
SHARED = "sys__shared__prompts__sys"
UNCATEGORISED = "sys__no__category__sys"
LONGEST_SEARCH = 1000
"""Longer than any name: finds nothing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The groups of a list: a part of their name, and a category or one of the three above."""

    name: str = ""
    category: str = ""

    def filter(self, caller: ObjectId | None, after: Position | None = None) -> dict[str, Any]:
        """The filter of the groups that match, those behind a position."""
        found: dict[str, Any] = {}
        if self.name:
            # No expression may hold a NUL itself.
            text = re.escape(self.name).replace("\0", r"\x00")
            found["name"] = {"$regex": text, "$options": "i"}
        if self.category == MINE:
            found["author"] = caller
        elif self.category == SHARED:
            found["author"] = {"$ne": caller}
        elif self.category == UNCATEGORISED:
            found["category"] = {"$in": ["", None]}
        elif self.category:
            found["category"] = self.category
        if after is not None:
            found["numberOfGenerations"] = after.bound()
            found["$or"] = after.after()
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """``rows``; ``after``: the cursor of the next page, if there is one."""

    rows: list[Raw]
    after: str | None


class Lists:
    """Lists of the groups that a caller sees."""

    def __init__(self, prompts: Prompts, access_control: AccessControl) -> None:
        self._prompts = prompts
        self._access_control = access_control

    async def page(
        self, principal: Principal, selection: Selection, limit: int, after: Position | None
    ) -> Page:
        """At most ``limit`` groups behind a position."""
        groups = await self._groups(principal, selection, limit + 1, after)
        shown, more = groups[:limit], len(groups) > limit
        return Page(await self._rows(shown), cursor_after(shown[-1]) if more else None)

    async def everything(self, principal: Principal, selection: Selection) -> list[Raw]:
        """The rows of all of them."""
        return await self._rows(await self._groups(principal, selection))

    async def _groups(
        self,
        principal: Principal,
        selection: Selection,
        max_groups: int = 0,
        after: Position | None = None,
    ) -> list[Raw]:
        """The first ``max_groups`` groups, all of them with 0."""
        if len(selection.name) > LONGEST_SEARCH:
            return []
        caller, access = object_id(principal.id), self._access_control.shared
        wanted = selection.filter(caller, after)
        if access is None:
            reached: dict[str, Any] = {"author": caller, "tenantId": principal.tenant}
        else:
            reachable = await access.reachable(principal, KIND)
            reached = {"_id": {"$in": [ObjectId(key) for key in reachable]}}
        # Dates that are only written as JSON are quicker to decode without a zone.
        plain = self._prompts.groups.with_options(codec_options=CodecOptions(tz_aware=False))
        found = plain.find({"$and": [reached, wanted]}, SUMMARY)
        return await found.sort(SORT).limit(max_groups).batch_size(max_groups + 1).to_list()

    async def _rows(self, groups: list[Raw]) -> list[Raw]:
        access = self._access_control.shared
        public: set[str] = set()
        if access is not None and groups:
            public = await access.public(KIND, [str(group["_id"]) for group in groups])
        return await rows_of(self._prompts, groups, public)
