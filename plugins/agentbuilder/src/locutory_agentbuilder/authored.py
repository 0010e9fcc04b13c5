"""Agents with their authors, for entries that old versions of LibreChat did not write."""

from collections.abc import AsyncIterator

from locutory_agentbuilder.service import Agents
from locutory_contracts.access import Authored

_FIELDS = {"id": 1, "author": 1, "tenantId": 1, "isCollaborative": 1}


class AuthoredAgents:
    """Implements `locutory_contracts.access.AuthoredResources`."""

    list_name = "agentIds"

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    async def all(self) -> AsyncIterator[Authored]:
        """Every agent that has an author. A collaborative one could be changed by everybody."""
        async for agent in self._agents.collection.find({}, _FIELDS):
            if agent.get("author") is not None:
                yield Authored(
                    id=str(agent["_id"]),
                    author=str(agent["author"]),
                    tenant=agent.get("tenantId"),
                    listed=str(agent.get("id")),
                    public_role="agent_editor" if agent.get("isCollaborative") else "agent_viewer",
                )
