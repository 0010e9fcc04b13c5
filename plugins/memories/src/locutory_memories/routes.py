"""``/api/memories`` (contract memories §1)."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from bson import ObjectId
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from starlette.responses import Response

from locutory import (
    JSON,
    Can,
    ConfigRef,
    Forbidden,
    HTTPError,
    Principal,
    Request,
    Route,
    RouteGroup,
    Services,
    refusal,
)
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.agents import STORED_AGENTS
from locutory_memories.keys import Counter, is_refused, is_well_formed, length
from locutory_memories.memory_config import MAX_KEY_LENGTH, MemoryConfig
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
_KEY_WRONG_TYPE = "Key must be a string."
_NOT_BOOLEAN = "memories must be a boolean value."
_EXISTS = "Memory with this key already exists."
_NOT_FOUND = "Memory not found."
_FAILURE = {"error": "Something went wrong with the memories. Please try again."}


def _filled_key(key: str) -> str:
    if not key.strip():
        raise ValueError(_KEY_MISSING)
    return key


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError(_VALUE_MISSING)
    return value


def _agent_id(value: Any) -> str | None:
    """An agent's id from a request: blank and wrong types count as none."""
    agent = value.strip() if isinstance(value, str) else ""
    if length(agent) > MAX_AGENT_ID_LENGTH:
        raise ValueError(f"agentId exceeds maximum length of {MAX_AGENT_ID_LENGTH} characters.")
    return agent or None


AgentId = Annotated[str | None, BeforeValidator(_agent_id)]
Value = Annotated[str, AfterValidator(_filled)]


class NewMemory(BaseModel):
    """A memory to write down."""

    agentId: AgentId = Field(None, description="Scope of an agent; none: the shared one")  # noqa: N815
    key: Annotated[str, AfterValidator(_filled_key)] = Field(
        description=f"a to z and _, at most {MAX_KEY_LENGTH} characters"
    )
    value: Value


class ChangedMemory(BaseModel):
    """Another value, and perhaps another key."""

    value: Value
    key: str | None = None


class Preference(BaseModel):
    """The user's wish to have memories in their chats. Without ``memories``: another value for
    the memory of the key ``preferences``."""

    memories: bool | None = None
    value: Value | None = None
    key: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _wish_alone(cls, body: Any) -> Any:
        return {"memories": body["memories"]} if _is_wish(body) else body

    @model_validator(mode="after")
    def _one_of_them(self) -> "Preference":
        if self.memories is None and ("memories" in self.model_fields_set or self.value is None):
            raise ValueError(_NOT_BOOLEAN)
        return self


def _is_wish(body: Any) -> bool:
    return isinstance(body, dict) and "memories" in body


class ScopeQuery(BaseModel):
    """The scope of a memory; without ``agentId`` the shared one."""

    agentId: AgentId = None  # noqa: N815


def _refuse(status: int, text: str) -> HTTPError:
    return HTTPError(status, {"error": text})


class MemoryRoutes:
    """The five routes."""

    def __init__(
        self,
        config: ConfigRef[MemoryConfig],
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
        memories = RouteGroup(
            "/api/memories",
            failure=_FAILURE,
            contract="memories §1",
            # A route declares one permission; these need USE besides.
            checks=(self._use,),
        )
        missing, taken = {404: {"error": _NOT_FOUND}}, {409: {"error": _EXISTS}}
        return [
            memories.get(
                "",
                self.show,
                "What is remembered about the caller",
                access=Can(GROUP, "READ"),
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
            memories.post(
                "",
                self.create,
                "Write a memory down",
                access=Can(GROUP, "CREATE"),
                body=NewMemory,
                invalid=refusal("error", {"key": _KEY_MISSING, "value": _VALUE_MISSING}),
                responses={201: {"created": True, "memory": _MEMORY}, **taken},
            ),
            memories.patch(
                "/preferences",
                self.prefer,
                "Switch memories on or off for one's chats",
                access=Can(GROUP, "USE"),
                checks=(self._may_prefer,),
                body=Preference,
                query=ScopeQuery,
                invalid=refusal("error", {"": _NOT_BOOLEAN, "key": _KEY_WRONG_TYPE}),
                responses={
                    200: {"updated": True, "preferences": {"memories": False}},
                    404: {"error": "User not found."},
                },
            ),
            memories.patch(
                "/{key}",
                self.update,
                "Change or rename a memory",
                access=Can(GROUP, "UPDATE"),
                body=ChangedMemory,
                query=ScopeQuery,
                invalid=refusal("error", {"key": _KEY_WRONG_TYPE, "value": _VALUE_MISSING}),
                responses={200: {"updated": True, "memory": _MEMORY}, **missing, **taken},
            ),
            memories.delete(
                "/{key}",
                self.delete,
                "Forget a memory",
                access=Can(GROUP, "UPDATE"),
                query=ScopeQuery,
                invalid=refusal("error"),
                responses={200: {"deleted": True}, **missing},
            ),
        ]

    async def _use(self, request: Request) -> None:
        await self._need(request, "USE")

    async def _may_prefer(self, request: Request) -> None:
        body = request.payload
        is_memory = (
            isinstance(body, dict) and not _is_wish(body) and isinstance(body.get("value"), str)
        )
        await self._need(request, "UPDATE" if is_memory else "OPT_OUT")

    async def _need(self, request: Request, action: str) -> None:
        if not await self._permissions.allows(request.caller, action):
            raise Forbidden("Forbidden: Insufficient permissions")

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
        body = request.valid(NewMemory)
        scope = self._scope(request, body.agentId)
        self._check(body.key, body.value)
        tokens = self._counter.count(body.value)
        key, value = body.key.strip(), body.value.strip()
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
        body, scope = request.valid(ChangedMemory), request.valid(ScopeQuery)
        key = request.path_params["key"]
        return await self._change(request, scope.agentId, key, body.key or key, body.value)

    async def _change(
        self, request: Request, agent: str | None, key: str, new: str, value: str
    ) -> Response:
        scope = self._scope(request, agent)
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
        scope = self._scope(request, request.valid(ScopeQuery).agentId)
        if not await self._memories.delete(scope, request.path_params["key"]):
            raise _refuse(404, _NOT_FOUND)
        return JSON({"deleted": True})

    async def prefer(self, request: Request) -> Response:
        """Note whether the user wants memories in their chats. But a body with a value is meant
        for the memory of this key: models like to choose it, and its path is the same."""
        body = request.valid(Preference)
        if body.value is not None:
            agent, key = request.valid(ScopeQuery).agentId, "preferences"
            return await self._change(request, agent, key, body.key or key, body.value)
        wanted = body.memories
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
