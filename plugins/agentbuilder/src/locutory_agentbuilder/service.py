"""Agents as they are stored (contract agents §5, §9)."""

import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import Collection, Database, HTTPError, Principal, Raw, Services, now
from locutory_agentbuilder.definition.references import without_agents
from locutory_agentbuilder.definition.versions import fitting, same_as_newest, snapshot
from locutory_agentbuilder.documents import ACCESS_FIELDS, WITHOUT_VERSIONS, Agent
from locutory_agentbuilder.resource_kind import KIND, REMOTE
from locutory_contracts.access import ACCESS

_ALPHABET = string.ascii_letters + string.digits + "_-"
_ID_LENGTH = 21
_TRIES = 30
_BUSY = {"error": "The agent is being changed by somebody else. Please try again."}

Change = Callable[[Raw], tuple[Raw, Sequence[str]]]
"""From an agent with its versions to the members to set and those to unset."""


def new_agent_id() -> str:
    """A public id, ``agent_`` and 21 random characters."""
    return "agent_" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


class Agents:
    """Reads and writes agents; the rights are checked before. ``max_bytes``: the largest agent
    with its versions."""

    def __init__(
        self, database: Database, services: Services, max_bytes: int, log: BoundLogger
    ) -> None:
        self._database = database
        self._services = services
        self._max_bytes = max_bytes
        self._log = log

    @property
    def collection(self) -> Collection:
        """The raw collection."""
        return self._database[Agent]

    async def by_id(self, agent_id: str, fields: Mapping[str, Any]) -> Raw | None:
        """An agent by its public id, whatever its tenant."""
        return await self.collection.find_one({"id": agent_id}, fields)

    async def find(
        self, agent_id: str, tenant: str | None, fields: Mapping[str, Any] | None = WITHOUT_VERSIONS
    ) -> Raw | None:
        """An agent of a tenant by its public id; ``fields`` of ``None`` are all."""
        return await self.collection.find_one({"id": agent_id, "tenantId": tenant}, fields)

    async def find_many(self, agent_ids: Sequence[str], tenant: str | None) -> list[Raw]:
        """Agents by their public ids, as far as is needed to decide about them."""
        wanted = {"id": {"$in": list(agent_ids)}, "tenantId": tenant}
        return await self.collection.find(wanted, ACCESS_FIELDS).to_list()

    async def with_version_count(self, key: ObjectId) -> Raw | None:
        """An agent without its versions, and their number as ``version``."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"_id": key}},
            {"$addFields": {"version": {"$size": {"$ifNull": ["$versions", []]}}}},
            {"$project": {"versions": 0}},
        ]
        found = await (await self.collection.aggregate(pipeline)).to_list()
        return found[0] if found else None

    async def create(self, principal: Principal, fields: Mapping[str, Any]) -> Raw:
        """Create an agent with its first version, owned by the caller. ``fields`` include ``id``.
        The agent is written last: a crash leaves only entries without a resource."""
        moment = now()
        first = {**fields, "createdAt": moment, "updatedAt": moment}
        agent: Raw = {
            **{key: value for key, value in fields.items() if value != {}},
            "tool_kwargs": fields.get("tool_kwargs") or [],
            "author": ObjectId(principal.id),
            "agent_ids": fields.get("agent_ids") or [],
            "edges": fields.get("edges") or [],
            "conversation_starters": fields.get("conversation_starters") or [],
            "versions": [first],
            "category": fields.get("category", "general"),
            "is_promoted": False,
            "mcpServerNames": fields.get("mcpServerNames") or [],
            "_id": ObjectId(),
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
        }
        if principal.tenant is not None:
            agent["tenantId"] = principal.tenant
        await self.own(principal.id, agent["_id"])
        await self.collection.insert_one(agent)
        return agent

    async def own(self, user: str, agent: ObjectId) -> None:
        """Make an account the owner of an agent, also from outside; a failure is only
        logged."""
        access = self._services.find(ACCESS)
        if access is None:
            return
        for kind in (KIND, REMOTE):
            try:
                await access.grant_owner(user, kind, str(agent))
            except Exception:
                self._log.exception("agentbuilder.owner_not_granted", agent=str(agent), kind=kind)

    async def change(
        self, key: ObjectId, change: Change, by: ObjectId | None = None
    ) -> tuple[Raw, bool] | None:
        """Set and unset members of an agent. With ``by`` the result becomes a version, unless it
        equals the newest one: then the second value is ``True``. Return the agent as it is
        afterwards, ``None`` when it is deleted.

        Every write renews ``updatedAt``, and succeeds only if nobody has done so since the agent
        was read; so no change and no version is lost. Raises a 409 when other changes keep
        interfering.
        """
        for _ in range(_TRIES):
            before = await self.collection.find_one({"_id": key})
            if before is None:
                return None
            fields, gone = change(before)
            moment = _later_than(before.get("updatedAt"))
            rest = {name: value for name, value in before.items() if name not in gone}
            after: Raw = {**rest, **fields, "updatedAt": moment}
            update: dict[str, Any] = {"$set": {**fields, "updatedAt": moment}}
            if gone:
                update["$unset"] = dict.fromkeys(gone, "")
            repeated = False
            if by is not None:
                versions = _list(before.get("versions"))
                repeated = same_as_newest(after, versions)
                if not repeated:
                    after["versions"] = self._add_version(update, after, versions, by)
            unchanged = {"_id": key, "updatedAt": before.get("updatedAt")}
            if (await self.collection.update_one(unchanged, update)).matched_count:
                return after, repeated
        raise HTTPError(409, _BUSY)

    def _add_version(
        self, update: dict[str, Any], after: Raw, versions: list[Any], by: ObjectId
    ) -> list[Any]:
        added = snapshot(after, after["updatedAt"], by)
        kept = fitting(after, added, self._max_bytes)
        if kept is None:
            update["$push"] = {"versions": added}
            return [*versions, added]
        update["$set"] = {**update["$set"], "versions": kept}
        return kept

    async def remove(self, agents: Sequence[ObjectId]) -> int:
        """Delete agents with their entries and the edges of others to them; return their number. In
        this order a crash leaves agents that can be deleted again, or entries without a resource.
        """
        access, gone = self._services.find(ACCESS), {"_id": {"$in": list(agents)}}
        found = await self.collection.find(gone, {"id": 1}).to_list()
        await self._leave_edges([str(agent["id"]) for agent in found if "id" in agent], agents)
        removed = (await self.collection.delete_many(gone)).deleted_count
        if access is not None:
            for kind in (KIND, REMOTE):
                try:
                    await access.forget(kind, [str(agent) for agent in agents])
                except Exception:
                    self._log.exception("agentbuilder.entries_not_removed", agents=len(agents))
        return removed

    async def _leave_edges(self, gone: Sequence[str], keys: Sequence[ObjectId]) -> None:
        """Take agents that are about to go out of the edges of others, without a version
        (§5)."""
        if not gone:
            return
        named = {"$in": list(gone)}
        concerned = {"$or": [{"edges.to": named}, {"edges.from": named}]}
        others = {**concerned, "_id": {"$nin": list(keys)}}
        names = frozenset(gone)
        for other in await self.collection.find(others, {"_id": 1}).to_list():
            await self.change(
                other["_id"],
                lambda agent: ({"edges": without_agents(agent.get("edges"), names)}, ()),
            )


def object_ids(texts: Iterable[str]) -> list[ObjectId]:
    """The ObjectIds of those of the texts that are ids."""
    return [ObjectId(text) for text in texts if ObjectId.is_valid(text)]


def _later_than(before: Any) -> datetime:
    moment = now()
    if isinstance(before, datetime) and moment <= before:
        return before + timedelta(milliseconds=1)
    return moment


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
