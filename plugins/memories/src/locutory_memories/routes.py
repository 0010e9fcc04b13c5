"""``/api/memories`` (contract memories §1)."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bson import ObjectId
from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, Can, Forbidden, HTTPError, Principal, Request, Route, Services
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.agents import STORED_AGENTS
from locutory_memories.keys import Counter, is_refused, is_well_formed, length
from locutory_memories.memory_config import MAX_KEY_LENGTH, ConfigRef
from locutory_memories.permissions import GROUP, MemoryPermissions
from locutory_memories.service import (
    KeyTaken,
    LimitReached,
    Memories,
    Memory,
    MemoryMissing,
    MemoryScope,
    TooMany,
    tokens_of,
)

MAX_AGENT_ID_LENGTH = 256
"""Characters of an agent's id."""

MAX_NAMED_AGENTS = 200
"""Agents whose names are looked up for one list."""

_MEMORY: Mapping[str, Any] = {
    "_id": "6b03b8b8072a9149bee994c1",
    "userId": "6b03b82c072a9149bee99012",
    "key": "color",
    "value": "blue",
    "tokenCount": 1,
    "updated_at": "2026-11-23T03:53:28.960Z",
    "__v": 0,
}
_KEY_MISSING = "Key is required and must be a non-empty string."
_VALUE_MISSING = "Value is required and must be a non-empty string."
_KEY_WRONG = "Key must only contain lowercase letters and underscores."
_EXISTS = "Memory with this key already exists."
_NOT_FOUND = "Memory not found."
_FAILURE = {"error": "Something went wrong with the memories. Please try again."}


class NewMemory(BaseModel):
    """A memory to write down."""

    key: str = Field(description="a to z and _, at most 1000 characters")
    value: str
    agentId: str | None = Field(None, description="Scope of an agent; none: the shared one")  # noqa: N815


class ChangedMemory(BaseModel):
    """Another value, and perhaps another key."""

    key: str | None = None
    value: str


class Preference(BaseModel):
    """The user's wish to have memories in their chats."""

    memories: bool


class ScopeQuery(BaseModel):
    """The scope of a memory; without ``agentId`` the shared one."""

    agentId: str | None = None  # noqa: N815


def _refuse(status: int, text: str) -> HTTPError:
    return HTTPError(status, {"error": text})


def _agent_id(value: Any) -> str | None:
    """An agent's id from a request: blank and wrong types count as none."""
    agent = value.strip() if isinstance(value, str) else ""
    if length(agent) > MAX_AGENT_ID_LENGTH:
        raise _refuse(400, f"agentId exceeds maximum length of {MAX_AGENT_ID_LENGTH} characters.")
    return agent or None


class MemoryRoutes:
    """The five routes."""

    def __init__(
        self,
        config: ConfigRef,
        memories: Memories,
        permissions: MemoryPermissions,
        counter: Counter,
        services: Services,
    ) -> None:
        self._config = config
        self._memories = memories
        self._permissions = permissions
        self._counter = counter
        self._services = services

    def all(self) -> list[Route]:
        one = "/api/memories/{key}"
        missing = {404: {"error": _NOT_FOUND}}
        bad, taken = {400: {"error": _VALUE_MISSING}}, {409: {"error": _EXISTS}}
        return [
            self._route(
                "/api/memories",
                self.show,
                "GET",
                "READ",
                "What is remembered about the caller",
                responses={
                    200: {
                        "memories": [_MEMORY],
                        "totalTokens": 1,
                        "tokenLimit": 10000,
                        "charLimit": 10000,
                        "usagePercentage": 0,
                    }
                },
            ),
            self._route(
                "/api/memories",
                self.create,
                "POST",
                "CREATE",
                "Write a memory down",
                body_schema=NewMemory,
                responses={201: {"created": True, "memory": _MEMORY}, **bad, **taken},
            ),
            self._route(
                "/api/memories/preferences",
                self.prefer,
                "PATCH",
                "USE",  # and another one, which depends on the body
                "Switch memories on or off for one's chats",
                body_schema=Preference,
                responses={
                    200: {"updated": True, "preferences": {"memories": False}},
                    400: {"error": "memories must be a boolean value."},
                    404: {"error": "User not found."},
                },
            ),
            self._route(
                one,
                self.update,
                "PATCH",
                "UPDATE",
                "Change or rename a memory",
                body_schema=ChangedMemory,
                query_schema=ScopeQuery,
                responses={200: {"updated": True, "memory": _MEMORY}, **bad, **missing, **taken},
            ),
            self._route(
                one,
                self.delete,
                "DELETE",
                "UPDATE",
                "Forget a memory",
                query_schema=ScopeQuery,
                responses={200: {"deleted": True}, **missing},
            ),
        ]

    def _route(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        method: str,
        action: str,
        summary: str,
        **rest: Any,
    ) -> Route:
        async def allowed(request: Request) -> Response:
            # A route declares one permission; these need USE besides.
            if not await self._permissions.allows(request.caller, "USE"):
                raise Forbidden("Forbidden: Insufficient permissions")
            return await endpoint(request)

        return Route(
            path=path,
            endpoint=allowed,
            methods=(method,),
            access=Can(GROUP, action),
            summary=summary,
            failure=_FAILURE,
            contract="memories §1",
            **rest,
        )

    async def show(self, request: Request) -> Response:
        """All memories, newest first; the totals are those of the shared scope."""
        memories = await self._memories.everything(ObjectId(request.caller.id))
        await self._name_agents(memories, request.caller)
        total = tokens_of(memory for memory in memories if not memory.get("agentId"))
        config = self._config.current
        limit, used = config.token_limit, None
        if limit:
            used = min(100, math.floor(total / limit * 100 + 0.5))
        return JSON(
            {
                "memories": memories,
                "totalTokens": total,
                "tokenLimit": limit,
                "charLimit": config.characters,
                "usagePercentage": used,
            }
        )

    async def _name_agents(self, memories: Sequence[Memory], caller: Principal) -> None:
        """Add the names of agents that the caller may see, and of no others: a memory may name
        any agent."""
        agents = self._services.find(STORED_AGENTS)
        ids = {str(memory["agentId"]) for memory in memories if memory.get("agentId")}
        if agents is None or not ids:
            return
        names = {}
        for agent_id in sorted(ids)[:MAX_NAMED_AGENTS]:
            agent = await agents.find(agent_id)
            if agent is not None and agent.get("name") and await agents.decide(caller, agent):
                names[agent_id] = agent["name"]
        for memory in memories:
            if memory.get("agentId") in names:
                memory["agentName"] = names[memory["agentId"]]

    async def create(self, request: Request) -> Response:
        """A new memory."""
        body = request.fields
        key = body.get("key")
        scope = self._scope(request, _agent_id(body.get("agentId")))
        if not isinstance(key, str) or not key.strip():
            raise _refuse(400, _KEY_MISSING)
        value = self._value(body.get("value"))
        self._check(key, value)
        tokens = self._counter.count(value)
        key, value = key.strip(), value.strip()
        if is_refused(key):
            raise _refuse(500, "Failed to create memory.")
        if not is_well_formed(key):
            raise _refuse(400, _KEY_WRONG)
        config = self._config.current
        try:
            memory = await self._memories.create(
                scope,
                key,
                value,
                tokens,
                limit=config.token_limit,
                max_memories=config.max_memories,
            )
        except LimitReached as reached:
            raise _refuse(
                400,
                "Adding this memory would exceed the token limit of "
                f"{config.token_limit}. Current usage: {reached.used} tokens.",
            ) from None
        except KeyTaken:
            raise _refuse(409, _EXISTS) from None
        except TooMany:
            raise _refuse(
                400, f"There can be no more than {config.max_memories} memories."
            ) from None
        return JSON({"created": True, "memory": memory}, 201)

    async def update(self, request: Request) -> Response:
        """Another value, and another key when the body has one."""
        return await self._change(request, request.path_params["key"])

    async def _change(self, request: Request, key: str) -> Response:
        body = request.fields
        value = self._value(body.get("value"))
        scope = self._scope(request, _agent_id(request.query.get("agentId")))
        new = body.get("key")
        if new is None or new == "":
            new = key
        elif not isinstance(new, str):
            raise _refuse(400, "Key must be a string.")
        self._check(new, value)
        tokens = self._counter.count(value)
        try:
            if new == key:
                memory = await self._memories.change(scope, key, value, tokens)
            else:
                await self._may_be_called(scope, key, new)
                memory = await self._memories.rename(scope, key, new, value, tokens)
        except MemoryMissing:
            raise _refuse(404, _NOT_FOUND) from None
        except KeyTaken:
            raise _refuse(409, _EXISTS) from None
        return JSON({"updated": True, "memory": memory})

    async def _may_be_called(self, scope: MemoryScope, key: str, new: str) -> None:
        if not is_refused(new) and is_well_formed(new):
            return
        if not await self._memories.has(scope, key):
            raise MemoryMissing(key)
        if await self._memories.has(scope, new):
            raise KeyTaken(new)
        if is_refused(new):
            raise _refuse(500, "Failed to create new memory.")
        raise _refuse(400, _KEY_WRONG)

    async def delete(self, request: Request) -> Response:
        """Delete a memory."""
        scope = self._scope(request, _agent_id(request.query.get("agentId")))
        if not await self._memories.delete(scope, request.path_params["key"]):
            raise _refuse(404, _NOT_FOUND)
        return JSON({"deleted": True})

    async def prefer(self, request: Request) -> Response:
        """Note whether the user wants memories in their chats. But a body with a value is meant
        for the memory of this key: models like to choose it, and its path is the same."""
        body = request.fields
        is_memory = "memories" not in body and isinstance(body.get("value"), str)
        if not await self._permissions.allows(request.caller, "UPDATE" if is_memory else "OPT_OUT"):
            raise Forbidden("Forbidden: Insufficient permissions")
        if is_memory:
            return await self._change(request, "preferences")
        wanted = body.get("memories")
        if not isinstance(wanted, bool):
            raise _refuse(400, "memories must be a boolean value.")
        caller = request.caller
        wishes = caller.account.get("personalization", {})
        fields: dict[str, Any] = {"personalization.memories": wanted}
        if not isinstance(wishes, Mapping):  # null in old accounts: it cannot have members
            fields = {"personalization": {"memories": wanted}}
        account = await self._services.get(ACCOUNTS).update(caller.id, fields)
        if account is None:
            raise _refuse(404, "User not found.")
        return JSON({"updated": True, "preferences": {"memories": wanted}})

    def _scope(self, request: Request, agent: str | None) -> MemoryScope:
        caller = request.caller
        return MemoryScope(ObjectId(caller.id), agent, caller.tenant)

    @staticmethod
    def _value(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise _refuse(400, _VALUE_MISSING)
        return value

    def _check(self, key: str, value: str) -> None:
        """Lengths, before anything is trimmed."""
        for name, text, max_length in (
            ("Key", key, MAX_KEY_LENGTH),
            ("Value", value, self._config.current.characters),
        ):
            if (size := length(text)) > max_length:
                raise _refuse(
                    400,
                    f"{name} exceeds maximum length of {max_length} characters. "
                    f"Current length: {size} characters.",
                )
