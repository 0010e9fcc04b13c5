"""The plugin: memories of users, by hand, by tools, and by an agent."""

from typing import ClassVar

from beanie import Document
from pydantic import BaseModel

from locutory import (
    POLICY,
    Action,
    Check,
    Context,
    On,
    PermissionGroup,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.chat import CONTEXT_SOURCES, TOOLS, TURN_COMPANIONS
from locutory_contracts.models import CATALOGUE, MODELS_IN_USE, TOKENS
from locutory_contracts.offers import AGENT_CAPABILITIES, AgentCapability
from locutory_memories.account_data import MemoryData
from locutory_memories.chat.agent import MemoryAgent
from locutory_memories.chat.context import MemoryContext
from locutory_memories.chat.memory_tools import MemoryTools
from locutory_memories.chat.tools import InlineTools
from locutory_memories.config import MemoriesConfig, MemorySection
from locutory_memories.documents import MemoryEntry
from locutory_memories.keys import Counter
from locutory_memories.memory_config import CAPABILITY, MemoryConfig, read_memory_config
from locutory_memories.permissions import GROUP, MemoryPermissions
from locutory_memories.routes import MemoryRoutes
from locutory_memories.service import Memories


def _read(ctx: Context[MemoriesConfig]) -> MemoryConfig:
    return read_memory_config(ctx.config, ctx.section("memory"), ctx.section("endpoints"))


class MemoriesPlugin(Plugin):
    """``/api/memories``, the memories in the prompts of chats, and the tools and the agent that
    write them."""

    name = "memories"
    summary = "Memories: what a user wants every chat to know, kept by hand, by tools, by an agent"
    Config = MemoriesConfig
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {"memory": MemorySection}
    reloads = ("memory", *MemoriesConfig.model_fields)
    provides = (
        AGENT_CAPABILITIES,
        CONTEXT_SOURCES,
        MODELS_IN_USE,
        TOOLS,
        TURN_COMPANIONS,
        ACCOUNT_DATA,
    )
    wants = (POLICY, ACCOUNTS, CATALOGUE, TOKENS, STORED_AGENTS)

    @hook
    def setup(self, ctx: Context[MemoriesConfig]) -> None:
        self._config = config = ctx.config_ref(_read)
        self._memories = Memories(ctx.database)
        self._counter = Counter(ctx.services)
        self._account_data = MemoryData(config, self._memories, self._counter)
        self._permissions = MemoryPermissions(config, ctx.policy)
        self._tools = MemoryTools(config, self._memories, self._counter, ctx.services)
        self._agent = MemoryAgent(
            config,
            self._memories,
            self._permissions,
            self._tools,
            self._counter,
            ctx.services,
            ctx.events,
            ctx.log,
        )

    @hook
    def documents(self) -> list[type[Document]]:
        return [MemoryEntry]

    @hook
    def permissions(self) -> list[PermissionGroup]:
        actions = {
            "USE": "Have memories",
            "CREATE": "Add memories",
            "UPDATE": "Change and delete memories",
            "READ": "See the list of memories",
            "OPT_OUT": "Switch memories off for one's own chats",
        }
        return [
            PermissionGroup(
                GROUP,
                {name: Action(user=True, summary=summary) for name, summary in actions.items()},
                "Memories",
            )
        ]

    @hook
    def services(self) -> list[Provide]:
        config, memories, counter = self._config, self._memories, self._counter
        permissions = self._permissions
        capability = AgentCapability("Memories", lambda: config.current.enabled)
        context = MemoryContext(config, memories, permissions, counter)
        return [
            Provide(AGENT_CAPABILITIES, capability, CAPABILITY),
            Provide(CONTEXT_SOURCES, context, "memories"),
            Provide(TOOLS, InlineTools(config, permissions, self._tools), "memories"),
            Provide(TURN_COMPANIONS, self._agent, "memories"),
            Provide(MODELS_IN_USE, self._model_in_use, "memories"),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    def _model_in_use(self) -> tuple[str, str] | None:
        agent = self._config.current.agent
        return None if agent is None else (agent.endpoint, agent.model)

    @hook
    def subscriptions(self) -> list[On]:
        return account_events(self._account_data)

    @hook
    def routes(self, ctx: Context) -> list[Route]:
        return MemoryRoutes(
            self._config, self._memories, self._permissions, self._counter, ctx.services
        ).all()

    @hook
    def checks(self, ctx: Context) -> list[Check]:
        async def look() -> str | None:
            config = self._config.current
            agent = config.agent
            if agent is not None and agent.agent_id and ctx.services.find(STORED_AGENTS) is None:
                return (
                    f"memory.agent.id: {agent.agent_id} has no effect, since this server stores no "
                    "agents; name memory.agent.provider and memory.agent.model instead"
                )
            return "; ".join(config.advice) or None

        return [Check("memory settings", look, offline=True)]
