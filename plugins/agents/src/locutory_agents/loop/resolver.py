"""From a request body to an agent whose model is open (chat-stream §4.1)."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson

from locutory import Principal, ServiceMissing, Services
from locutory_agents.loop.agent import AGENTS_ENDPOINT, Agent, of_stored, plain
from locutory_contracts.agents import STORED_AGENTS, StoredAgent
from locutory_contracts.models import CATALOGUE, Catalogue, ModelRefused

_FROM_CLIENT = ("key", "timezone", "clientTimestamp", "resendFiles")
"""Members of the request that a turn with a stored agent takes over; the agent decides the rest."""


class AgentResolver:
    """Opens the agents of requests. ``allowed``: providers that stored agents may use; all
    when it is empty (``endpoints.agents.allowedProviders``)."""

    def __init__(self, services: Services, allowed: frozenset[str]) -> None:
        self._services = services
        self._allowed = allowed

    async def resolve(self, body: Mapping[str, Any], endpoint: str, principal: Principal) -> Agent:
        """The agent that a body names. `ModelRefused` when it cannot be used,
        `locutory.ServiceMissing` without a catalogue."""
        if endpoint != AGENTS_ENDPOINT:
            return await self._plain({**body, "endpoint": endpoint}, principal)
        catalogue = self._catalogue()
        spec = catalogue.spec({**body, "endpoint": endpoint})
        stored = self._services.find(STORED_AGENTS)
        agent_id = body.get("agent_id")
        agent = None
        if stored is not None and isinstance(agent_id, str):
            agent = await stored.find(agent_id)
        if stored is None or agent is None or not await stored.decide(principal, agent):
            raise ModelRefused(orjson.dumps({"type": "missing_agent", "info": agent_id}).decode())
        opened = await self.resolve_stored(agent, body, principal)
        return replace(opened, model=replace(opened.model, spec=spec))

    async def default_endpoint(
        self, endpoint: str, body: Mapping[str, Any], principal: Principal
    ) -> tuple[str, Mapping[str, Any]]:
        """Endpoint and body of a request. A request without an endpoint, or with ``agents`` and no
        agent, goes to the only other endpoint, with its first model, so that new users get an
        answer. When there are several, both are unchanged."""
        named = endpoint and (endpoint != AGENTS_ENDPOINT or body.get("agent_id"))
        catalogue = self._services.find(CATALOGUE)
        if named or catalogue is None:
            return endpoint, body
        entries = await catalogue.entries(principal)
        others = [name for name in entries if name != AGENTS_ENDPOINT]
        if len(entries) != 2 or len(others) != 1 or entries[others[0]].get("userProvide"):
            return endpoint, body
        only = others[0]
        changed = {**body, "endpoint": only, "endpointType": entries[only].get("type")}
        models = (await catalogue.models(principal)).get(only) or ()
        if models and changed.get("model") not in models:
            changed["model"] = models[0]
        return only, MappingProxyType(changed)

    async def resolve_stored(
        self, agent: StoredAgent, body: Mapping[str, Any], principal: Principal
    ) -> Agent:
        """A stored agent; the caller's right to use it has been checked before."""
        provider = str(agent.get("provider") or "")
        if self._allowed and provider not in self._allowed:
            refusal = {"type": "invalid_agent_provider", "info": provider}
            raise ModelRefused(orjson.dumps(refusal).decode())
        parameters = agent.get("model_parameters")
        settings = {
            **{key: body[key] for key in _FROM_CLIENT if key in body},
            **(parameters if isinstance(parameters, Mapping) else {}),
            "endpoint": provider,
            "model": agent.get("model"),
        }
        model = await self._catalogue().prepare(settings, principal, internal=True)
        return of_stored(agent, model)

    async def _plain(self, body: Mapping[str, Any], principal: Principal) -> Agent:
        return plain(await self._catalogue().prepare(body, principal))

    def _catalogue(self) -> Catalogue:
        catalogue = self._services.find(CATALOGUE)
        if catalogue is None:
            raise ServiceMissing(CATALOGUE.name)
        return catalogue
