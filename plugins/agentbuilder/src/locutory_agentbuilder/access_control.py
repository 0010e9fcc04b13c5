"""The rights of callers on agents (contract agents §1)."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from structlog.stdlib import BoundLogger

from locutory import Decision, HTTPError, Policy, Principal, Raw, Request, Services
from locutory_agentbuilder.documents import WITHOUT_VERSIONS
from locutory_agentbuilder.resource_kind import CAPABILITY, KIND, PERMISSION, REMOTE
from locutory_agentbuilder.service import Agents
from locutory_contracts.access import EDIT, SHARE, VIEW
from locutory_resources import CallerRights, missing, refused

MISSING = missing(KIND)
UNKNOWN = {"error": "Agent not found"}
"""The answer for an unknown id, instead of `MISSING`, to callers with the capability."""
REFUSED = refused(KIND)


@dataclass(frozen=True, slots=True)
class Editable:
    """The agent of a path, without its versions, which the caller may change."""

    agent: Raw


class AccessControl(CallerRights):
    """The rights of callers on agents, and the agents that paths name."""

    def __init__(
        self,
        agents: Agents,
        services: Services,
        policy: Policy,
        log: BoundLogger,
    ) -> None:
        super().__init__(KIND, PERMISSION, CAPABILITY, services, policy, log)
        self._agents = agents

    async def check_editable(self, request: Request) -> None:
        """`agent` as a check of a route, for callers who may change it; kept as `Editable`."""
        agent_id = request.path_params["agent_id"]
        request.keep(Editable(await self.agent(request.caller, agent_id, EDIT)))

    async def agent(
        self,
        principal: Principal,
        agent_id: str,
        needed: int,
        fields: Mapping[str, Any] = WITHOUT_VERSIONS,
    ) -> Raw:
        """The agent of a path with ``fields`` of it; 404 or 403 as the contract states."""
        with self.checking():
            document = await self._agents.find(agent_id, principal.tenant, fields)
            if document is None:
                raise HTTPError(404, UNKNOWN if await self.has_all(principal) else MISSING)
            allowed = await self.decide(principal, document, needed)
        self.demand(allowed, agent_id)
        return document

    async def decide(
        self,
        principal: Principal,
        resource: Mapping[str, Any],
        needed: int = VIEW,
        *,
        remote: bool = False,
    ) -> Decision:
        """The decision about ``needed`` rights of the caller on an agent. ``remote``: by the
        rights of programs; who may share the agent has all of them (contract agents-api §2)."""
        if resource.get("tenantId") != principal.tenant:
            return Decision(False, "the agent belongs to another tenant")
        shared = self.shared
        if shared is None or not remote:
            return await super().decide(principal, resource, needed)
        key = str(resource["_id"])
        owner = await shared.decide(principal, KIND, key, SHARE)
        return owner or await shared.decide(principal, REMOTE, key, needed)

    async def unseen(self, principal: Principal, agents: Iterable[Raw]) -> list[str]:
        """Public ids of those of the agents that the caller may not view."""
        asked = list(agents)
        decisions = await asyncio.gather(*(self.decide(principal, agent) for agent in asked))
        return [
            str(agent["id"])
            for agent, decision in zip(asked, decisions, strict=True)
            if not decision
        ]
