"""The rights of callers on agents (contract agents §1)."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from structlog.stdlib import BoundLogger

from locutory import Decision, HTTPError, Policy, Principal, Raw, Request, Services
from locutory_agentbuilder.documents import WITHOUT_VERSIONS
from locutory_agentbuilder.resource_kind import CAPABILITY, KIND, PERMISSION, REMOTE
from locutory_agentbuilder.service import Agents
from locutory_contracts.access import ACCESS, EDIT, SHARE, VIEW, ResourceAccess

MISSING = {"error": "Not Found", "message": "agent not found"}
UNKNOWN = {"error": "Agent not found"}
"""The answer for an unknown id, instead of `MISSING`, to callers with the capability."""
REFUSED = {"error": "Forbidden", "message": "Insufficient permissions to access this agent"}
FAILED = {
    "error": "Internal Server Error",
    "message": "Failed to check resource access permissions",
}
NO_PERMISSION = {"message": "Forbidden: Insufficient permissions"}


@dataclass(frozen=True, slots=True)
class Editable:
    """The agent of a path, without its versions, which the caller may change."""

    agent: Raw


class AccessControl:
    """Asks the service `ACCESS`. While no plugin provides it, everybody reaches exactly what
    they wrote themselves."""

    def __init__(
        self,
        agents: Agents,
        services: Services,
        policy: Policy,
        log: BoundLogger,
    ) -> None:
        self._agents = agents
        self._services = services
        self._policy = policy
        self._log = log

    @property
    def shared(self) -> ResourceAccess | None:
        """The service, or ``None`` while nothing can be shared."""
        return self._services.find(ACCESS)

    async def use(self, principal: Principal) -> None:
        """403 unless the caller's role may use agents at all; for routes that the kernel has
        checked for another permission."""
        if not await self._policy.allows(principal, PERMISSION, "USE"):
            raise HTTPError(403, NO_PERMISSION)

    async def check_use(self, request: Request) -> None:
        """`use` as a check of a route."""
        await self.use(request.caller)

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
        try:
            document = await self._agents.find(agent_id, principal.tenant, fields)
            if document is None:
                everything = self.shared and await self._policy.holds(principal, CAPABILITY)
                raise HTTPError(404, UNKNOWN if everything else MISSING)
            allowed = await self.decide(principal, document, needed)
        except HTTPError:
            raise
        except Exception:
            self._log.exception("agentbuilder.access_check_failed")
            raise HTTPError(500, FAILED) from None
        if not allowed:
            self._log.debug("agentbuilder.refused", agent=agent_id, reason=allowed.reason)
            raise HTTPError(403, REFUSED)
        return document

    async def decide(
        self,
        principal: Principal,
        agent: Mapping[str, Any],
        needed: int = VIEW,
        *,
        remote: bool = False,
    ) -> Decision:
        """The decision about ``needed`` rights of the caller on an agent. ``remote``: by the
        rights of programs; who may share the agent has all of them (contract agents-api §2)."""
        if agent.get("tenantId") != principal.tenant:
            return Decision(False, "the agent belongs to another tenant")
        shared = self.shared
        if shared is None:
            wrote = agent.get("author") == object_id(principal.id)
            who = "the caller" if wrote else "somebody else"
            return Decision(wrote, f"only its author reaches it, and that is {who}")
        key = str(agent["_id"])
        if not remote:
            return await shared.decide(principal, KIND, key, needed)
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


def object_id(text: Any) -> ObjectId | None:
    """A 24-hex text as an ObjectId; ``None`` for everything else."""
    return ObjectId(text) if isinstance(text, str) and ObjectId.is_valid(text) else None
