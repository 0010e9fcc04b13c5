"""The service `STORED_AGENTS`: agents for those who run them."""

from collections.abc import Sequence
from typing import Any

from locutory import Decision, Principal
from locutory_agentbuilder.access_control import AccessControl
from locutory_agentbuilder.documents import WITHOUT_VERSIONS
from locutory_agentbuilder.resource_kind import REMOTE
from locutory_agentbuilder.service import Agents, object_ids
from locutory_contracts.access import VIEW
from locutory_contracts.agents import StoredAgent
from locutory_resources import object_id


class StoredAgentService:
    """Implements `locutory_contracts.agents.StoredAgents`. Agents come without their
    versions, which nobody needs who runs one."""

    def __init__(self, agents: Agents, access_control: AccessControl) -> None:
        self._agents = agents
        self._access_control = access_control

    async def find(self, agent_id: str) -> StoredAgent | None:
        """An agent by its public id, without its versions, or ``None``."""
        return await self._agents.by_id(agent_id, WITHOUT_VERSIONS)

    async def decide(
        self, principal: Principal, agent: StoredAgent, needed: int = VIEW, *, remote: bool = False
    ) -> Decision:
        """The decision about rights on an agent, or with ``remote`` on its use by programs."""
        return await self._access_control.decide(principal, agent, needed, remote=remote)

    async def reachable(self, principal: Principal) -> Sequence[StoredAgent]:
        """The agents of the caller's tenant that their programs may use, last changed first. While
        nothing can be shared: those of which the caller is the author."""
        shared = self._access_control.shared
        wanted: dict[str, Any] = {"author": object_id(principal.id)}
        if shared is not None:
            reachable = await shared.reachable(principal, REMOTE)
            wanted = {"_id": {"$in": object_ids(reachable)}}
        wanted["tenantId"] = principal.tenant
        found = self._agents.collection.find(wanted, WITHOUT_VERSIONS)
        return await found.sort({"updatedAt": -1, "_id": -1}).to_list()
