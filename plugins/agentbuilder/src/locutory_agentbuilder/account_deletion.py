"""Removal and transfer of the agents of a deleted account."""

from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from locutory import Database, Principal, Raw, Services
from locutory_agentbuilder.documents import PendingTransfer
from locutory_agentbuilder.resource_kind import KIND
from locutory_agentbuilder.service import Agents
from locutory_contracts.access import ACCESS, OWNER
from locutory_contracts.accounts import ACCOUNTS


class OwnershipTransfer:
    """Deletes the agents that nobody else owns. Agents with another owner stay and pass to
    them: nothing names the account any more."""

    def __init__(self, agents: Agents, database: Database, services: Services) -> None:
        self._agents = agents
        self._database = database
        self._services = services

    async def note(self, user: str) -> None:
        """Note which agents of others the user alone owns, before their entries go."""
        access, accounts = self._services.find(ACCESS), self._services.find(ACCOUNTS)
        if access is None:
            return
        account = None if accounts is None else await accounts.find(user)
        # No role and no groups: entries that name the account itself.
        account_alone = Principal(user, "", tenant=(account or {}).get("tenantId"))
        owned = [ObjectId(key) for key in await access.reachable(account_alone, KIND, OWNER)]
        others = {"_id": {"$in": owned}, "author": {"$ne": ObjectId(user)}}
        foreign = await self._agents.collection.find(others, {"_id": 1}).to_list()
        owners = await access.owners(KIND, [str(agent["_id"]) for agent in foreign])
        note = {"$set": {"user": user}}
        writes = [
            UpdateOne({"_id": ObjectId(agent)}, note, upsert=True)
            for agent, users in owners.items()
            if users == {user}
        ]
        if writes:
            await self._database[PendingTransfer].bulk_write(writes, ordered=False)

    async def carry_out(self, user: str) -> None:
        """Delete, or hand over. Does the same when it runs again, before or after the
        account's entries are removed."""
        author = ObjectId(user)
        written = await self._agents.collection.find({"author": author}, {"_id": 1}).to_list()
        noted = await self._database[PendingTransfer].find({"user": user}, {"_id": 1}).to_list()
        await self._transfer_or_remove(author, [agent["_id"] for agent in (*written, *noted)])
        await self._anonymise_versions(author)
        await self._database[PendingTransfer].delete_many({"user": user})

    async def _transfer_or_remove(self, user: ObjectId, agents: list[ObjectId]) -> None:
        access, keys = self._services.find(ACCESS), [str(agent) for agent in agents]
        owners = {} if access is None else await access.owners(KIND, keys)
        heirs = {agent: owners.get(str(agent), set()) - {str(user)} for agent in agents}
        await self._agents.remove([agent for agent in agents if not heirs[agent]])
        for agent in agents:
            if heirs[agent]:
                await self._transfer(user, agent, ObjectId(min(heirs[agent])))

    async def _transfer(self, user: ObjectId, agent: ObjectId, heir: ObjectId) -> None:
        def inherit(document: Raw) -> tuple[Raw, list[str]]:
            if document.get("author") != user:
                return {}, []
            return {"author": heir}, [name for name in ("authorName",) if name in document]

        await self._agents.change(agent, inherit)

    async def _anonymise_versions(self, user: ObjectId) -> None:
        """Versions that the account made of what stays no longer say so."""
        edited = self._agents.collection.find({"versions.updatedBy": user}, {"_id": 1})
        for agent in await edited.to_list():
            await self._agents.change(
                agent["_id"], lambda document: ({"versions": _anonymised(document, user)}, ())
            )


def _anonymised(document: Raw, user: ObjectId) -> list[Any]:
    versions = document.get("versions")
    return [
        {key: value for key, value in version.items() if (key, value) != ("updatedBy", user)}
        if isinstance(version, dict)
        else version
        for version in (versions if isinstance(versions, list) else ())
    ]
