"""The declaration of the plugin ``agents``."""

from collections.abc import Mapping
from typing import ClassVar

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
from locutory_agents.checks.idempotency import IdempotencyKeys
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
from locutory_agents.loop.builder import RunBuilder
from locutory_agents.loop.resolver import AgentResolver
from locutory_agents.routes import routes
from locutory_agents.routes.deps import RouteDeps
from locutory_agents.stores.base import JOB_STORES, JobStore
from locutory_agents.stores.memory import MemoryJobStore
from locutory_agents.stream.sse import Heartbeat
from locutory_agents.tasks import Tasks
from locutory_agents.turns.control import TurnControl
from locutory_agents.turns.runtime import TurnRuntime
from locutory_agents.turns.steering import PendingSteers
from locutory_agents.turns.title import TitleGenerator
from locutory_agents.turns.turn_manager import TurnManager
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

    @hook
    def setup(self, ctx: Context[AgentsConfig]) -> None:
        # Only the store is opened later, since other plugins may offer it.
        config = ctx.config
        endpoints, interface = ctx.section("endpoints"), ctx.section("interface")
        self._services = ctx.services
        self._config = config
        self._moderation = Moderation(config, ctx.kernel.outgoing, ctx.log)
        self._stores: dict[str, JobStore] = {"memory": MemoryJobStore(config.max_jobs)}
        if ctx.redis is not None:
            # The client library costs 20 MB; a server without Redis does without it.
            from locutory_agents.stores.redis.store import RedisJobStore

            pause = min(config.delta_coalesce_ms, 1000) / 1000
            self._stores["redis"] = RedisJobStore(ctx.redis, ctx.log, pause)
        resolver = AgentResolver(ctx.services, allowed_providers(endpoints))
        runs = RunBuilder(ctx.services, loop_limits(config, endpoints), ctx.log)
        tasks = Tasks(ctx.log)
        runtime = TurnRuntime(
            services=ctx.services,
            events=ctx.events,
            log=ctx.log,
            config=config,
            store_name=config.store_name(redis=ctx.redis is not None),
            resolver=resolver,
            runs=runs,
            title_generator=TitleGenerator(ctx.services, ctx.cache, enabled=config.title_convo),
            pending_steers=PendingSteers(ctx.cache),
            tasks=tasks,
            show_cost=isinstance(interface, Mapping) and interface.get("contextCost") is True,
        )
        self._runtime = runtime
        control = TurnControl(runtime)
        self._turns = TurnManager(runtime, control)
        self._runner = AgentRunner(resolver, runs, ctx.events, tasks, config.answer_bytes)
        self._date_time = DateTimeTool(config)
        self._unserved = Unserved(ctx.services, ctx.permission_groups, ctx.log)
        self._turn_logger = TurnLogger(ctx.log)
        self._route_deps = RouteDeps(
            turns=self._turns,
            control=control,
            pending_steers=runtime.pending_steers,
            resolver=resolver,
            config=config,
            services=ctx.services,
            events=ctx.events,
            cache=ctx.cache,
            log=ctx.log,
            permissions=TurnPermissions(ctx.services, ctx.policy),
            limits=MessageLimits(config, ctx.limits, ctx.events),
            pii=PiiFilter(ctx.section("messageFilter"), ctx.log),
            moderation=self._moderation,
            idempotency=IdempotencyKeys(ctx.cache, self._turns, ctx.log),
            heartbeat=Heartbeat(),
            is_ready=ctx.is_ready,
        )

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
        tools = AgentCapability(
            "Tools of plugins, for agents", lambda: bool(ctx.services.all(AGENT_TOOLS))
        )
        return [
            Provide(GENERATIONS, self._turns),
            Provide(AGENT_RUNS, self._runner),
            Provide(TOOLS, self._date_time, "clock"),
            Provide(CONTEXT_SOURCES, self._date_time, "clock"),
            Provide(AGENT_TOOLS, self._date_time, "clock"),
            Provide(AGENT_CAPABILITIES, tools, "tools"),
            Provide(CONTEXT_SOURCES, self._unserved, "unserved"),
            Provide(TURN_OBSERVERS, self._turn_logger, "log"),
            *(Provide(JOB_STORES, store, name) for name, store in self._stores.items()),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return [On(AccountDeleting, self._stop_account)]

    async def _stop_account(self, step: AccountDeleting) -> None:
        await self._turns.stop_all(step.user_id)

    @hook
    def routes(self) -> list[Route]:
        return routes(self._route_deps)

    @hook
    def phases(self) -> list[PhaseTask]:
        return [PhaseTask("routes", "job store", self._open, self._close, self._turns.drain)]

    async def _open(self) -> None:
        self._check_store()
        await self._turns.start()

    async def _close(self) -> None:
        await self._turns.close()
        await self._moderation.close()

    @hook
    def jobs(self) -> list[Job]:
        return [Job("care for turns", REAP_SECONDS, self._turns.reap_stale_turns)]

    def _check_store(self) -> None:
        """`StartupError` when no plugin offers the chosen store."""
        name, stores = self._runtime.store_name, self._services.all(JOB_STORES)
        if name in stores:
            return
        known = ", ".join(sorted(stores))
        raise StartupError(
            Problem(
                "plugins.agents.job_store" if self._config.job_store else "USE_REDIS_STREAMS",
                f"there is no job store '{name}' (there are: {known})",
                "set USE_REDIS=true and REDIS_URI" if name == "redis" else f"choose one of {known}",
                self.name,
            )
        )
