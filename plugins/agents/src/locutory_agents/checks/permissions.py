"""Permission to start a turn (chat-stream §2, §4.3)."""

from collections.abc import Mapping
from typing import Any

from locutory import JSON, Policy, Principal, Services
from locutory_agents.loop.agent import AGENTS_ENDPOINT
from locutory_contracts.agents import STORED_AGENTS

READ_ONLY = "This subagent thread is view-only. Continue it from its parent agent or create a separate chat."


class TurnPermissions:
    """Permissions that depend on the body, so that a route cannot declare them."""

    def __init__(self, services: Services, policy: Policy) -> None:
        self._services = services
        self._policy = policy

    async def refusal(
        self, principal: Principal, body: Mapping[str, Any], endpoint: str
    ) -> JSON | None:
        """The answer to a caller who may not; ``None`` when they may."""
        if endpoint == AGENTS_ENDPOINT:
            if not await self._policy.allows(principal, "AGENTS", "USE"):
                return JSON({"message": "Forbidden: Insufficient permissions"}, 403)
            refused = await self._agent(principal, body.get("agent_id"), required=True)
            if refused is not None:
                return refused
        added = body.get("addedConvo")
        if isinstance(added, Mapping):
            if not await self._policy.allows(principal, "MULTI_CONVO", "USE"):
                text = "Multi-conversation feature is not enabled"
                return JSON({"error": "Forbidden", "message": text}, 403)
            if added.get("endpoint") == AGENTS_ENDPOINT:
                return await self._agent(principal, added.get("agent_id"), required=False)
        return None

    async def _agent(self, principal: Principal, agent_id: Any, *, required: bool) -> JSON | None:
        if not isinstance(agent_id, str) or not agent_id:
            text = "agent_id is required in request body"
            return JSON({"error": "Bad Request", "message": text}, 400) if required else None
        stored = self._services.find(STORED_AGENTS)
        agent = None if stored is None else await stored.find(agent_id)
        if stored is None or agent is None:
            return JSON({"error": "Not Found", "message": "agent not found"}, 404)
        if not await stored.decide(principal, agent):
            text = "Insufficient permissions to access this agent"
            return JSON({"error": "Forbidden", "message": text}, 403)
        return None
