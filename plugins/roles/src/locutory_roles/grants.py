"""Administrative capabilities and who was granted them (contract roles §6)."""

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import ADMIN_ROLE, Database, Principal, now
from locutory_roles.documents import SystemGrant
from locutory_roles.groups import GroupStore

BASE_CAPABILITIES = (
    "access:admin",
    "read:users",
    "manage:users",
    "read:groups",
    "manage:groups",
    "read:roles",
    "manage:roles",
    "read:configs",
    "manage:configs",
    "assign:configs",
    "read:usage",
    "read:insights",
    "read:agents",
    "manage:agents",
    "manage:mcpservers",
    "read:prompts",
    "manage:prompts",
    "read:skills",
    "manage:skills",
    "read:sharedlinks",
    "manage:sharedlinks",
    "read:assistants",
    "manage:assistants",
    "read:audit_log",
)
_SECTION = re.compile(r"(read|manage):configs:(\w+)", re.ASCII)
_ASSIGN = re.compile(r"assign:configs:(?:user|group|role)")
_CAPACITY = 2000

Held = frozenset[tuple[str, str | None]]
"""(capability, tenant or ``None`` for every tenant) of one principal."""


def satisfied_by(capability: str) -> frozenset[str]:
    """The capabilities any of which is enough; empty for an unknown capability."""
    if capability in BASE_CAPABILITIES:
        verb, _, rest = capability.partition(":")
        manage = f"manage:{rest}"
        implied = verb == "read" and manage in BASE_CAPABILITIES
        return frozenset((capability, manage) if implied else (capability,))
    section = _SECTION.fullmatch(capability)
    if section is not None:
        broader = {"manage:configs", f"manage:configs:{section[2]}"}
        return frozenset(
            broader if section[1] == "manage" else {*broader, capability, "read:configs"}
        )
    if _ASSIGN.fullmatch(capability):
        return frozenset((capability, "assign:configs"))
    return frozenset()


class GrantStore:
    """Grants of one database, remembered for ``seconds``."""

    def __init__(self, database: Database, groups: GroupStore, seconds: float) -> None:
        self._database = database
        self._groups = groups
        self._seconds = seconds
        self._cache: dict[tuple[str, Any], tuple[float, Held]] = {}
        self._changes = 0

    async def holder(self, principal: Principal, capability: str) -> str | None:
        """The principal of the caller that holds the capability: 'role X', 'user X' or 'group X';
        ``None`` when none does.

        A grant counts in its own tenant, or everywhere when it names none.
        """
        enough = satisfied_by(capability)
        if not enough:
            return None
        places = {None, principal.tenant}

        async def among(kind: str, identities: Sequence[Any]) -> str | None:
            for identity, held in (await self._held(kind, identities)).items():
                if any(name in enough and tenant in places for name, tenant in held):
                    return f"{kind} {identity}"
            return None

        holder = await among("role", [principal.role])
        if holder is None and ObjectId.is_valid(principal.id):
            holder = await among("user", [ObjectId(principal.id)])
        if holder is None:
            holder = await among("group", sorted(await self._groups.of(principal)))
        return holder

    async def _held(self, kind: str, identities: Sequence[Any]) -> dict[Any, Held]:
        """The capabilities granted to each of some principals of one kind, in one query at most."""
        moment = time.monotonic()
        known: dict[Any, Held] = {}
        unknown: list[Any] = []
        for identity in identities:
            entry = self._cache.get((kind, identity))
            if entry is not None and entry[0] > moment:
                known[identity] = entry[1]
            else:
                unknown.append(identity)
        if not unknown:
            return known
        changes = self._changes
        rows: dict[Any, set[tuple[str, str | None]]] = {identity: set() for identity in unknown}
        wanted = unknown[0] if len(unknown) == 1 else {"$in": unknown}
        found = self._database[SystemGrant].find(
            {"principalType": kind, "principalId": wanted},
            {"_id": 0, "principalId": 1, "capability": 1, "tenantId": 1},
        )
        async for row in found:
            rows[row["principalId"]].add((row["capability"], row.get("tenantId")))
        fresh = {identity: frozenset(held) for identity, held in rows.items()}
        if changes == self._changes:
            if len(self._cache) + len(fresh) > _CAPACITY:
                self._cache.clear()
            expires = time.monotonic() + self._seconds
            self._cache.update({(kind, name): (expires, held) for name, held in fresh.items()})
        return {**known, **fresh}

    async def seed(self) -> int:
        """Grant the role ``ADMIN`` every base capability; return the number of missing ones."""
        collection = self._database[SystemGrant]
        held = {
            row["capability"]
            async for row in collection.find(
                {"principalType": "role", "principalId": ADMIN_ROLE, "tenantId": None},
                {"_id": 0, "capability": 1},
            )
        }
        missing = [name for name in BASE_CAPABILITIES if name not in held]
        for document in self._grants(missing):
            try:
                await collection.insert_one(document)
            except DuplicateKeyError:
                continue  # another server seeds at the same moment
        self.forget()
        return len(missing)

    @staticmethod
    def _grants(capabilities: Iterable[str]) -> Iterable[dict[str, Any]]:
        moment = now()
        for capability in capabilities:
            yield {
                "principalType": "role",
                "principalId": ADMIN_ROLE,
                "capability": capability,
                "grantedAt": moment,
                "createdAt": moment,
                "updatedAt": moment,
                "__v": 0,
            }

    async def remove_user(self, user: ObjectId) -> int:
        """Delete the grants of an account; return their number."""
        outcome = await self._database[SystemGrant].delete_many(
            {"principalType": "user", "principalId": user}
        )
        self.forget()
        return int(outcome.deleted_count)

    def forget(self) -> None:
        """Drop the cached grants."""
        self._changes += 1
        self._cache.clear()
