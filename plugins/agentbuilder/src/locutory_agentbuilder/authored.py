"""Agents with their authors, for entries that old versions of LibreChat did not write."""

from collections.abc import AsyncIterator

from locutory import Database
from locutory_agentbuilder.service import Agents
from locutory_contracts.access import Authored

_FIELDS = {"id": 1, "author": 1, "tenantId": 1, "isCollaborative": 1}


class AuthoredAgents:
    """Implements `locutory_contracts.access.AuthoredResources`."""

    def __init__(self, agents: Agents, database: Database) -> None:
        self._agents = agents
        self._database = database

    async def all(self) -> AsyncIterator[Authored]:
        """Every agent that has an author. Those in the list of the project ``instance`` were
        open to everybody, for changes too when they were collaborative."""
        shared = await self._shared()
        async for agent in self._agents.collection.find({}, _FIELDS):
            if agent.get("author") is None:
                continue
            public = None
            if agent.get("id") in shared:
                public = "agent_editor" if agent.get("isCollaborative") else "agent_viewer"
            yield Authored(str(agent["_id"]), str(agent["author"]), agent.get("tenantId"), public)

    async def _shared(self) -> set[str]:
        # The collection belongs to nobody any more: LibreChat only reads it, for the same reason.
        projects = self._database.collection("projects")
        instance = await projects.find_one({"name": "instance"}, {"_id": 0, "agentIds": 1})
        listed = (instance or {}).get("agentIds")
        return {str(item) for item in listed} if isinstance(listed, list) else set()
