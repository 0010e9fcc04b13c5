"""``/api/agents/v1``: agents as models of an OpenAI-compatible API (contract agents-api)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from locutory import JSON, Answer, ApiKey, Principal, Request, Route, RouteGroup, Services
from locutory_agentsapi.routes import bodies
from locutory_agentsapi.routes.completions import Completions
from locutory_agentsapi.routes.response_reader import ItemsQuery, ResponseReader
from locutory_agentsapi.routes.responses import Responses
from locutory_contracts.agents import STORED_AGENTS, StoredAgent

READ = "agents:read"
RUN = "agents:run"

_NO_KEY = {
    "error": {
        "message": "Invalid API key",
        "type": "invalid_request_error",
        "code": "invalid_api_key",
    }
}
_FAILURE = {
    "error": {
        "message": "Internal server error",
        "type": "server_error",
        "param": None,
        "code": None,
    }
}
_LIST = {"object": "list", "data": [bodies.MODEL]}


def _ran(whole: Mapping[str, Any]) -> Answer:
    text = "The answer; as server-sent events when `stream` is true"
    return Answer(text, {"application/json": whole, "text/event-stream": None})


_AUTH = {401: _NO_KEY, 403: {"message": "Forbidden: Insufficient permissions"}}


def _error(message: str, code: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


_NO_MODEL = _error("Model (agent ID) is required", "missing_model")
_NO_AGENT = _error("Agent not found: agent_x", "model_not_found")


class RemoteRoutes:
    """LibreChat's six routes, and the list of the input of a response."""

    def __init__(
        self,
        services: Services,
        completions: Completions,
        responses: Responses,
        reader: ResponseReader,
    ) -> None:
        self._services = services
        self._completions = completions
        self._responses = responses
        self._reader = reader

    def all(self) -> list[Route]:
        api = RouteGroup("/api/agents/v1", access=ApiKey(READ), responses=_AUTH, failure=_FAILURE)
        running = api.but(access=ApiKey(RUN), responses={**_AUTH, 400: _NO_MODEL, 404: _NO_AGENT})
        # Bodies are described only: OpenAI's clients expect sentences of their own about wrong
        # ones, and most of them only once the agent is known.
        return [
            running.post(
                "/chat/completions",
                self.complete,
                "Chat completion by an agent",
                body_schema=bodies.CompletionRequest,
                responses={200: _ran(bodies.COMPLETION)},
                contract="agents-api §2, §4",
            ),
            running.post(
                "/responses",
                self.respond,
                "Response of an agent",
                body_schema=bodies.ResponseRequest,
                responses={200: _ran(bodies.RESPONSE)},
                contract="agents-api §2, §5",
            ),
            api.get(
                "/models",
                self.models,
                "Agents that the owner of the key may reach",
                responses={200: _LIST},
                contract="agents-api §3",
            ),
            api.get(
                "/responses/models",
                self.response_models,
                "The same for the Responses API",
                responses={200: _LIST},
                contract="agents-api §3",
            ),
            api.get(
                "/models/{model}",
                self.model,
                "One agent",
                responses={200: bodies.MODEL, 404: _unknown_model("agent_x")},
                contract="agents-api §3",
            ),
            api.get(
                "/responses/{response_id}",
                self._reader.response,
                "An earlier response",
                responses={200: bodies.RESPONSE, 404: "No such response"},
                contract="agents-api §5.4",
            ),
            api.get(
                "/responses/{response_id}/input_items",
                self._reader.input_items,
                "What an earlier response answers",
                query=ItemsQuery,
                responses={200: _LIST, 404: "No such response"},
                contract="agents-api §5.4",
            ),
        ]

    async def complete(self, request: Request) -> Response:
        """Chat completions: whole, or as a stream."""
        agent = await self._agent(request)
        if isinstance(agent, Response):
            return agent
        return await self._completions.answer(request, agent)

    async def respond(self, request: Request) -> Response:
        """Open Responses: whole, or as a stream."""
        agent = await self._agent(request)
        if isinstance(agent, Response):
            return agent
        return await self._responses.answer(request, agent)

    async def _agent(self, request: Request) -> StoredAgent | Response:
        """The agent that a body names as its model, or the answer to a caller who may not
        use it (§2)."""
        body = request.payload if isinstance(request.payload, Mapping) else {}
        model = body.get("model")
        if not isinstance(model, str) or not model:
            return JSON(_NO_MODEL, 400)
        stored = self._services.find(STORED_AGENTS)
        agent = None if stored is None else await stored.find(model)
        if stored is None or agent is None:
            return JSON(_error(f"Agent not found: {model}", "model_not_found"), 404)
        if not await stored.decide(request.caller, agent, remote=True):
            text = f"No remote access to agent: {model}"
            return JSON(_error(text, "access_denied", "permission_error"), 403)
        return agent

    async def _reachable(self, principal: Principal) -> list[StoredAgent]:
        stored = self._services.find(STORED_AGENTS)
        return [] if stored is None else list(await stored.reachable(principal))

    async def models(self, request: Request) -> Response:
        """The agents that the owner may reach, as OpenAI lists models."""
        agents = await self._reachable(request.caller)
        return JSON({"object": "list", "data": [_model(agent) for agent in agents]})

    async def response_models(self, request: Request) -> Response:
        """The same as the Responses API lists them."""
        agents = await self._reachable(request.caller)
        return JSON({"object": "list", "data": [_response_model(agent) for agent in agents]})

    async def model(self, request: Request) -> Response:
        """One of them. 404 unknown, 403 without the right."""
        name = request.path_params["model"]
        stored = self._services.find(STORED_AGENTS)
        agent = None if stored is None else await stored.find(name)
        if stored is None or agent is None:
            return JSON(_unknown_model(name), 404)
        if not await stored.decide(request.caller, agent, remote=True):
            error = {
                "message": f"No remote access to model: {name}",
                "type": "permission_error",
                "param": None,
                "code": "access_denied",
            }
            return JSON({"error": error}, 403)
        return JSON(_model(agent))


def _created(agent: StoredAgent) -> int:
    moment = agent.get("createdAt")
    return int(moment.timestamp()) if isinstance(moment, datetime) else 0


def _described(agent: StoredAgent) -> dict[str, Any]:
    return {key: agent.get(key) for key in ("name", "description", "provider")}


def _model(agent: StoredAgent) -> dict[str, Any]:
    return {
        "id": agent["id"],
        "object": "model",
        "created": _created(agent),
        "owned_by": "librechat",
        "permission": [],
        "root": agent["id"],
        "parent": None,
        **_described(agent),
    }


def _response_model(agent: StoredAgent) -> dict[str, Any]:
    return {
        "id": agent["id"],
        "object": "model",
        "created": _created(agent),
        "owned_by": str(agent.get("author") or "librechat"),
        **_described(agent),
    }


def _unknown_model(model: str) -> dict[str, Any]:
    error = {
        "message": f"Model not found: {model}",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
    return {"error": error}
