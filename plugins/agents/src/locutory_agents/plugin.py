"""The declaration of the plugin ``agents``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from locutory import (
    AUTHENTICATORS,
    POLICY,
    Action,
    Context,
    Job,
    On,
    PermissionGroup,
    PhaseTask,
    Plugin,
    Problem,
    Provide,
    Route,
    StartupError,
    hook,
)
from locutory.sharing import key_prefix
from locutory_agents.builtin.clock import Clock
from locutory_agents.builtin.unserved import Unserved
from locutory_agents.builtin.watcher import Watcher
from locutory_agents.config import (
    AgentsConfig,
    EndpointsLimits,
    MessageFilter,
    allowed_providers,
    loop_limits,
)
from locutory_agents.gate.access import Access
from locutory_agents.gate.limits import MessageLimits
from locutory_agents.gate.moderation import Moderation
from locutory_agents.gate.pii import PiiGate
from locutory_agents.headless.runs import Runs
from locutory_agents.jobs.memory import MemoryJobStore
from locutory_agents.jobs.store import JOB_STORES, JobStore
from locutory_agents.loop.budget import ToolCounts
from locutory_agents.loop.opening import Opener
from locutory_agents.routes import routes
from locutory_agents.routes.desk import Desk
from locutory_agents.service import Chat
from locutory_agents.turn.tasks import Tasks
from locutory_agents.turn.titles import Titler
from locutory_agents.turn.workshop import Workshop
from locutory_agents.wire.sse import Pulse
from locutory_contracts.accounts import AccountDeleting
from locutory_contracts.agents import AGENT_RUNS, STORED_AGENTS
from locutory_contracts.chat import (
    CONTEXT_SOURCES,
    GENERATIONS,
    TOOLS,
    TURN_COMPANIONS,
    TURN_OBSERVERS,
)
from locutory_contracts.conversations import CONVERSATIONS
from locutory_contracts.models import CATALOGUE, TOKENS
from locutory_contracts.offers import AGENT_CAPABILITIES, AGENT_TOOLS, AgentCapability

CARE_SECONDS = 10.0


class AgentsPlugin(Plugin):
    """Chat turns: the agent loop, its tools, and the streams that show it."""

    name = "agents"
    summary = "Chat turns: agent loop, tools, resumable event streams"
    Config = AgentsConfig
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {
        "messageFilter": MessageFilter,
        "endpoints": EndpointsLimits,
    }
    provides = (
        AGENT_CAPABILITIES,
        AGENT_RUNS,
        AGENT_TOOLS,
        GENERATIONS,
        TOOLS,
        CONTEXT_SOURCES,
        TURN_OBSERVERS,
        JOB_STORES,
    )
    wants = (
        CATALOGUE,
        TOKENS,
        CONVERSATIONS,
        POLICY,
        AUTHENTICATORS,
        STORED_AGENTS,
        TOOLS,
        CONTEXT_SOURCES,
        TURN_OBSERVERS,
        TURN_COMPANIONS,
        JOB_STORES,
    )

    chat: Chat
    moderation: Moderation

    @hook
    def permissions(self) -> list[PermissionGroup]:
        use = Action(user=True, summary="Use")
        return [
            PermissionGroup(
                "AGENTS",
                {
                    "USE": Action(user=True, summary="Talk to agents"),
                    "CREATE": Action(user=True, summary="Make agents"),
                    "SHARE": Action(user=False, summary="Share agents with others"),
                    "SHARE_PUBLIC": Action(user=False, summary="Share agents with everybody"),
                },
                "Agents",
            ),
            PermissionGroup("MULTI_CONVO", {"USE": use}, "Ask two models at once"),
            PermissionGroup("TEMPORARY_CHAT", {"USE": use}, "Chats that are not kept"),
        ]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        config: AgentsConfig = ctx.config
        self.chat = Chat(ctx.log, ctx.cache)
        self.moderation = Moderation(config, ctx.kernel.outgoing, ctx.log)
        clock = Clock(config)
        offers = [
            Provide(GENERATIONS, self.chat),
            Provide(AGENT_RUNS, Runs(lambda: self.chat.shop)),
            Provide(TOOLS, clock, "clock"),
            Provide(CONTEXT_SOURCES, clock, "clock"),
            Provide(AGENT_TOOLS, clock, "clock"),
            Provide(
                AGENT_CAPABILITIES,
                AgentCapability(
                    "Tools of plugins, for agents",
                    lambda: bool(ctx.services.all(AGENT_TOOLS)),
                ),
                "tools",
            ),
            Provide(
                CONTEXT_SOURCES,
                Unserved(ctx.services, ctx.permission_groups, ctx.log),
                "unserved",
            ),
            Provide(TURN_OBSERVERS, Watcher(ctx.log), "log"),
            Provide(JOB_STORES, MemoryJobStore(config.max_jobs), "memory"),
        ]
        if ctx.redis is not None:
            # The client library costs 20 MB; a server without Redis does without it.
            from locutory_agents.jobs.redis_store import RedisJobStore

            prefix = key_prefix(ctx.kernel, ctx.environment)
            pause = min(config.delta_coalesce_ms, 1000) / 1000
            store = RedisJobStore(ctx.redis, prefix, ctx.log, pause)
            offers.append(Provide(JOB_STORES, store, "redis"))
        return offers

    @hook
    def subscriptions(self) -> list[On]:
        return [On(AccountDeleting, self._stop_account)]

    async def _stop_account(self, step: AccountDeleting) -> None:
        await self.chat.stop_all(step.user_id)

    @hook
    def routes(self, ctx: Context) -> list[Route]:
        config: AgentsConfig = ctx.config
        desk = Desk(
            chat=self.chat,
            config=config,
            services=ctx.services,
            events=ctx.events,
            cache=ctx.cache,
            log=ctx.log,
            access=Access(ctx.services, ctx.permission_groups),
            limits=MessageLimits(config, ctx.limits, ctx.events),
            pii=PiiGate(ctx.section("messageFilter"), ctx.log),
            moderation=self.moderation,
            pulse=Pulse(),
            is_ready=ctx.is_ready,
        )
        return routes(desk)

    @hook
    def phases(self, ctx: Context) -> list[PhaseTask]:
        async def open_store() -> None:
            self.chat.furnish(_workshop(self.chat, ctx))
            await self.chat.open()

        async def close() -> None:
            await self.chat.close()
            await self.moderation.close()

        return [PhaseTask("routes", "job store", open_store, close, self.chat.drain)]

    @hook
    def jobs(self) -> list[Job]:
        return [Job("care for turns", CARE_SECONDS, self.chat.care)]


def _workshop(chat: Chat, ctx: Context) -> Workshop:
    config: AgentsConfig = ctx.config
    interface = ctx.section("interface")
    show_cost = isinstance(interface, Mapping) and interface.get("contextCost") is True
    return Workshop(
        services=ctx.services,
        events=ctx.events,
        log=ctx.log,
        store=_store(ctx),
        config=config,
        limits=loop_limits(config, ctx.section("endpoints")),
        opener=Opener(ctx.services, allowed_providers(ctx.section("endpoints"))),
        titler=Titler(ctx.services, ctx.cache),
        tasks=Tasks(ctx.log),
        tool_counts=ToolCounts(),
        show_cost=show_cost,
        stop=chat.stop,
        park=chat.park,
        recover=chat.recover,
    )


def _store(ctx: Context) -> JobStore:
    """The chosen store; `StartupError` when it does not exist."""
    config: AgentsConfig = ctx.config
    shared = ctx.redis is not None if config.use_redis_streams is None else config.use_redis_streams
    name = config.job_store or ("redis" if shared else "memory")
    stores: Mapping[str, Any] = ctx.services.all(JOB_STORES)
    if name not in stores:
        known = ", ".join(sorted(stores))
        raise StartupError(
            Problem(
                "plugins.agents.job_store" if config.job_store else "USE_REDIS_STREAMS",
                f"there is no job store '{name}' (there are: {known})",
                "set USE_REDIS=true and REDIS_URI" if name == "redis" else f"choose one of {known}",
                ctx.plugin,
            )
        )
    return ctx.services.all(JOB_STORES)[name]
