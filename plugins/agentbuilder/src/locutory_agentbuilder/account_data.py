"""The account data of this plugin: the agents of a user."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Raw, Services, iso, now
from locutory_agentbuilder.definition.fields import SETTABLE, check_new
from locutory_agentbuilder.definition.issues import Invalid
from locutory_agentbuilder.definition.references import (
    in_edges,
    point_to,
    subagents_pointing_to,
    without_agents,
)
from locutory_agentbuilder.definition.subagents import referenced
from locutory_agentbuilder.definition.tools import kept_tools, mcp_servers
from locutory_agentbuilder.documents import WITHOUT_VERSIONS
from locutory_agentbuilder.service import Agents
from locutory_contracts.account_data import AccountData, Record
from locutory_contracts.accounts import ACCOUNTS
from locutory_resources import OwnershipTransfer

_LOCAL = frozenset({"avatar", "tool_resources"})
"""The members that are valid on one server only: files, by their paths and ids."""
_COPIED = tuple(name for name in SETTABLE if name not in _LOCAL)
_COMPANIONS = "companions"
_ID_CHARACTERS = 21


class AgentData(AccountData):
    """The agents that a user wrote, without versions and files. Whom they are shared with is
    not part of it: the others may not exist where it is restored."""

    kind = "agent"
    rank = 10  # conversations name agents

    def __init__(
        self, agents: Agents, services: Services, ownership_transfer: OwnershipTransfer
    ) -> None:
        self._agents = agents
        self._services = services
        self._ownership_transfer = ownership_transfer

    async def export(self, user: str) -> AsyncIterator[Record]:
        """One record an agent. ``companions`` are those of the same user that it names."""
        if not ObjectId.is_valid(user):
            return
        written = {"author": ObjectId(user)}
        own = {row["id"] async for row in self._agents.collection.find(written, {"id": 1})}
        async for agent in self._agents.collection.find(written, WITHOUT_VERSIONS):
            named = {*in_edges(agent.get("edges")), *referenced(agent.get("subagents"))}
            companions = sorted(named & own - {agent["id"]})
            yield {
                "kind": self.kind,
                "id": agent["id"],
                **{key: agent[key] for key in _COPIED if agent.get(key) is not None},
                **_dates(agent),
                **({_COMPANIONS: companions} if companions else {}),
            }

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one agent. Its new id follows from the user and the old one, so that
        restoring twice makes one agent, and agents that name each other find each other in
        any order."""
        old = record.get("id")
        if not isinstance(old, str) or not 0 < len(old) <= 256:
            raise ValueError("This agent cannot be restored: it has no id")
        accounts = self._services.find(ACCOUNTS)
        account = (None if accounts is None else await accounts.find(user)) or {}
        tenant = account.get("tenantId")
        new = _derived(user, old)
        for known in ({"id": old, "author": ObjectId(user)}, {"id": new}):
            found = await self._agents.collection.find_one(known, {"id": 1})
            if found is not None:
                ids[old] = found["id"]
                return False
        try:
            fields = check_new({key: record[key] for key in _COPIED if key in record})
            fields = await self._with_references(user, record, fields, ids, tenant)
        except Invalid as invalid:
            first = invalid.issues[0]
            where = ".".join(map(str, first["path"]))
            text = f"This agent cannot be restored: {where}: {first['message']}"
            raise ValueError(text) from None
        document = _document(user, new, fields, record)
        if tenant is not None:
            document["tenantId"] = tenant
        await self._agents.own(user, document["_id"])
        try:
            await self._agents.collection.insert_one(document)
        except DuplicateKeyError:  # restored at the same time
            return False
        finally:
            ids[old] = new
        return True

    async def before_deletion(self, user: str) -> None:
        """Note the agents of other authors that only this user owns."""
        await self._ownership_transfer.note(user)

    async def erase(self, user: str) -> None:
        """Delete the agents that nobody else owns, and hand over the others."""
        await self._ownership_transfer.carry_out(user)

    async def _with_references(
        self,
        user: str,
        record: Record,
        fields: Raw,
        ids: Mapping[str, str],
        tenant: str | None,
    ) -> Raw:
        """Fields that name agents as they are called here. Edges to agents that are neither
        here nor coming are left out, and so are subagents if any of them is missing."""
        old = str(record["id"])
        coming = _texts(record.get(_COMPANIONS))
        named = {*in_edges(fields.get("edges")), *referenced(fields.get("subagents"))}
        here = {agent["id"] for agent in await self._agents.find_many(sorted(named), tenant)}
        names: dict[str, str] = {}
        for name in named:
            if name == old or (name not in ids and name in coming and name not in here):
                names[name] = _derived(user, name)
            elif name in ids or name in here:
                names[name] = ids.get(name, name)
        lost = named - names.keys()
        fields = {**fields, "edges": without_agents(fields.get("edges"), lost)}
        if lost & set(referenced(fields.get("subagents"))):
            fields.pop("subagents", None)
        for name, called in names.items():
            fields["edges"] = point_to(fields["edges"], name, called)
            if "subagents" in fields:
                moved = subagents_pointing_to(fields["subagents"], name, called)
                if "agent_ids" in moved:
                    single = moved["agent_ids"]
                    moved["agent_ids"] = [called if key == name else key for key in single]
                fields["subagents"] = moved
        return fields


def _texts(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _document(user: str, agent_id: str, fields: Raw, record: Record) -> Raw:
    """The agent as it is stored, with its current state as its only version."""
    tools = kept_tools(fields.get("tools") or ())
    made = _moment(record.get("createdAt"))
    changed = max(made, _moment(record.get("updatedAt")))
    filled = {**fields, "tools": tools, "mcpServerNames": mcp_servers(tools)}
    dates = {"createdAt": made, "updatedAt": changed}
    return {
        "_id": ObjectId(_digest(user, agent_id)[:12]),
        "id": agent_id,
        "tool_kwargs": [],
        "agent_ids": [],
        "conversation_starters": [],
        "category": "general",
        "is_promoted": False,
        **{key: value for key, value in filled.items() if value != {}},
        "author": ObjectId(user),
        "versions": [{**filled, "id": agent_id, **dates}],
        **dates,
        "__v": 0,
    }


def _digest(user: str, name: str) -> bytes:
    return hashlib.sha256(f"locutory agent\0{user}\0{name}".encode()).digest()


def _derived(user: str, name: str) -> str:
    return "agent_" + urlsafe_b64encode(_digest(user, name)).decode()[:_ID_CHARACTERS]


def _dates(document: Raw) -> dict[str, str]:
    names = ("createdAt", "updatedAt")
    return {name: iso(document[name]) for name in names if isinstance(document.get(name), datetime)}


def _moment(text: Any) -> datetime:
    """A moment of the past; now for everything else."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return now()
    return min(moment, now())
