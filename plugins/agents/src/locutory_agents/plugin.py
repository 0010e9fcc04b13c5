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
from locutory_agents.builtin.date_time import DateTimeTool
from locutory_agents.builtin.turn_logger import TurnLogger
from locutory_agents.builtin.unserved import Unserved
from locutory_agents.checks.limits import MessageLimits
from locutory_agents.checks.moderation import Moderation
from locutory_agents.checks.permissions import TurnPermissions
from locutory_agents.checks.pii import PiiFilter
from locutory_agents.config import (
    AgentsConfig,
    EndpointsLimits,
    MessageFilter,
    allowed_providers,
    loop_limits,
)
from locutory_agents.headless.runner import AgentRunner
from locutory_agents.jobs.memory import MemoryJobStore
from locutory_agents.jobs.store import JOB_STORES, JobStore
from locutory_agents.loop.budget import ToolCounts
from locutory_agents.loop.resolver import AgentResolver
from locutory_agents.routes import routes
from locutory_agents.routes.deps import RouteDeps
from locutory_agents.turn.runtime import TurnRuntime
from locutory_agents.turn.tasks import Tasks
from locutory_agents.turn.title_generator import TitleGenerator
from locutory_agents.turn_manager import TurnManager
from locutory_agents.wire.sse import Heartbeat
from locutory_contracts.accounts import AccountDeleting
from locutory_contracts.agents import AGENT_RUNS, AGENTS_PERMISSIONS, STORED_AGENTS
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

REAP_SECONDS = 10.0


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

    turns: TurnManager
    moderation: Moderation

    @hook
    def permissions(self) -> list[PermissionGroup]:
        use = Action(user=True, summary="Use")
        return [
            AGENTS_PERMISSIONS,
            PermissionGroup("MULTI_CONVO", {"USE": use}, "Ask two models at once"),
            PermissionGroup("TEMPORARY_CHAT", {"USE": use}, "Chats that are not kept"),
        ]

    @hook
    def services(self, ctx: Context[AgentsConfig]) -> list[Provide]:
        config = ctx.config
        self.turns = TurnManager(ctx.log, ctx.cache)
        self.moderation = Moderation(config, ctx.kernel.outgoing, ctx.log)
        date_time = DateTimeTool(config)
        offers = [
            Provide(GENERATIONS, self.turns),
            Provide(AGENT_RUNS, AgentRunner(lambda: self.turns.runtime)),
            Provide(TOOLS, date_time, "clock"),
            Provide(CONTEXT_SOURCES, date_time, "clock"),
            Provide(AGENT_TOOLS, date_time, "clock"),
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
                Unserved(ctx.services, lambda: ctx.permission_groups, ctx.log),
                "unserved",
            ),
            Provide(TURN_OBSERVERS, TurnLogger(ctx.log), "log"),
            Provide(JOB_STORES, MemoryJobStore(config.max_jobs), "memory"),
        ]
        if ctx.redis is not None:
            # The client library costs 20 MB; a server without Redis does without it.
            from locutory_agents.jobs.redis_store import RedisJobStore

            pause = min(config.delta_coalesce_ms, 1000) / 1000
            store = RedisJobStore(ctx.redis.client, ctx.redis.prefix, ctx.log, pause)
            offers.append(Provide(JOB_STORES, store, "redis"))
        return offers

    @hook
    def subscriptions(self) -> list[On]:
        return [On(AccountDeleting, self._stop_account)]

    async def _stop_account(self, step: AccountDeleting) -> None:
        await self.turns.stop_all(step.user_id)

    @hook
    def routes(self, ctx: Context[AgentsConfig]) -> list[Route]:
        config = ctx.config
        deps = RouteDeps(
            turns=self.turns,
            config=config,
            services=ctx.services,
            events=ctx.events,
            cache=ctx.cache,
            log=ctx.log,
            permissions=TurnPermissions(ctx.services, ctx.policy),
            limits=MessageLimits(config, ctx.limits, ctx.events),
            pii=PiiFilter(ctx.section("messageFilter"), ctx.log),
            moderation=self.moderation,
            heartbeat=Heartbeat(),
            is_ready=ctx.is_ready,
        )
        return routes(deps)

    @hook
    def phases(self, ctx: Context) -> list[PhaseTask]:
        async def open_store() -> None:
            self.turns.configure(_runtime(self.turns, ctx))
            await self.turns.open()

        async def close() -> None:
            await self.turns.close()
            await self.moderation.close()

        return [PhaseTask("routes", "job store", open_store, close, self.turns.drain)]

    @hook
    def jobs(self) -> list[Job]:
        return [Job("care for turns", REAP_SECONDS, self.turns.reap_stale_turns)]


def _runtime(turns: TurnManager, ctx: Context[AgentsConfig]) -> TurnRuntime:
    config = ctx.config
    interface = ctx.section("interface")
    show_cost = isinstance(interface, Mapping) and interface.get("contextCost") is True
    return TurnRuntime(
        services=ctx.services,
        events=ctx.events,
        log=ctx.log,
        store=_store(ctx),
        config=config,
        limits=loop_limits(config, ctx.section("endpoints")),
        resolver=AgentResolver(ctx.services, allowed_providers(ctx.section("endpoints"))),
        title_generator=TitleGenerator(ctx.services, ctx.cache),
        tasks=Tasks(ctx.log),
        tool_counts=ToolCounts(),
        show_cost=show_cost,
        stop=turns.stop,
        save_pending_steers=turns.save_pending_steers,
        discard_steer=turns.discard_steer,
    )


def _store(ctx: Context[AgentsConfig]) -> JobStore:
    """The chosen store; `StartupError` when it does not exist."""
    config = ctx.config
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
