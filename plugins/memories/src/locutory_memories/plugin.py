"""The plugin: memories of users, by hand, by tools, and by an agent."""

from typing import ClassVar

from beanie import Document
from bson import ObjectId
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
from locutory_contracts.accounts import ACCOUNTS, AccountDeleted
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.chat import CONTEXT_SOURCES, TOOLS, TURN_COMPANIONS
from locutory_contracts.models import CATALOGUE, TOKENS
from locutory_contracts.offers import AGENT_CAPABILITIES, AgentCapability
from locutory_contracts.portability import PORTABLE
from locutory_memories.chat.keeper import MemoryAgent
from locutory_memories.chat.notebook import Notebook
from locutory_memories.chat.telling import Remembrance
from locutory_memories.chat.tools import InlineTools
from locutory_memories.config import Config, MemorySection
from locutory_memories.documents import MemoryEntry
from locutory_memories.gate import GROUP, Gate
from locutory_memories.keys import Counter
from locutory_memories.portable import KIND, PortableMemories
from locutory_memories.routes import MemoryRoutes
from locutory_memories.rules import CAPABILITY, Current, Rules, read_rules
from locutory_memories.service import Memories


def _rules(ctx: Context) -> Rules:
    return read_rules(ctx.config, ctx.section("memory"), ctx.section("endpoints"))


class MemoriesPlugin(Plugin):
    """``/api/memories``, what chats are told of it, and who writes it."""

    name = "memories"
    summary = "Memories: what a user wants every chat to know, kept by hand, by tools, by an agent"
    Config = Config
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {"memory": MemorySection}
    reloads = ("memory", *Config.model_fields)
    provides = (AGENT_CAPABILITIES, CONTEXT_SOURCES, TOOLS, TURN_COMPANIONS, PORTABLE)
    wants = (POLICY, ACCOUNTS, CATALOGUE, TOKENS, STORED_AGENTS)

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
    def services(self, ctx: Context) -> list[Provide]:
        self._current = current = Current(_rules(ctx))
        self._memories = memories = Memories(ctx.database)
        self._counter = counter = Counter(ctx.services)
        self._gate = gate = Gate(current, ctx.services, ctx.permission_groups)
        notebook = Notebook(current, memories, counter, ctx.services)
        agent = MemoryAgent(
            current, memories, gate, notebook, counter, ctx.services, ctx.events, ctx.log
        )
        capability = AgentCapability("Memories", lambda: current.rules.enabled)
        return [
            Provide(AGENT_CAPABILITIES, capability, CAPABILITY),
            Provide(CONTEXT_SOURCES, Remembrance(current, memories, gate, counter), "memories"),
            Provide(TOOLS, InlineTools(current, gate, notebook), "memories"),
            Provide(TURN_COMPANIONS, agent, "memories"),
            Provide(PORTABLE, PortableMemories(current, memories, counter), KIND),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return [On(AccountDeleted, self._forget)]

    @hook
    def routes(self, ctx: Context) -> list[Route]:
        return MemoryRoutes(
            self._current, self._memories, self._gate, self._counter, ctx.services
        ).all()

    @hook
    def checks(self, ctx: Context) -> list[Check]:
        async def look() -> str | None:
            rules = self._current.rules
            keeper = rules.keeper
            if keeper is not None and keeper.agent and ctx.services.find(STORED_AGENTS) is None:
                return (
                    f"memory.agent.id: {keeper.agent} has no effect, since this server stores no "
                    "agents; name memory.agent.provider and memory.agent.model instead"
                )
            return "; ".join(rules.advice) or None

        return [Check("memory settings", look, offline=True)]

    @hook
    def reload(self, ctx: Context) -> None:
        self._current.rules = _rules(ctx)

    async def _forget(self, fact: AccountDeleted) -> None:
        if ObjectId.is_valid(fact.user_id):
            await self._memories.forget(ObjectId(fact.user_id))
