"""The kernel: one object holds everything of one server; nothing is global."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import structlog
from beanie import Document
from starlette.types import Receive, Scope, Send

from locutory.access import PermissionGroup
from locutory.config import configuration
from locutory.config.reloading import reload
from locutory.config.selection import load_plugins
from locutory.data.cache import Cache, MemoryCache
from locutory.data.database import Database, check_data_dir, open_database
from locutory.data.outbox import DatabaseOutbox, OutboxEntry
from locutory.data.readiness import Readiness
from locutory.data.redis import Broadcasts, check_redis, connect_redis
from locutory.errors import Problem, StartupError
from locutory.events import Events
from locutory.http.dispatcher import Dispatcher
from locutory.http.health import Health
from locutory.http.limiting import RateLimits
from locutory.http.routing import RouteTable
from locutory.plugins import discovery
from locutory.plugins.context import ConfigRef, Context
from locutory.plugins.hook_runner import HookRunner, closed_routes
from locutory.plugins.plugin import PHASES, Job, PhaseTask, Plugin
from locutory.policy import CurrentPolicy
from locutory.run.background import Background, Lease
from locutory.run.lifecycle import KERNEL, Lifecycle
from locutory.run.lifespan import Process
from locutory.services import Services
from locutory_credentials import COLLECTION, SecretsUnusable, load_credentials, record_fingerprints
from locutory_httpserver.lifespan import Lifespan
from locutory_httpserver.metrics import Metrics
from locutory_transfer import unfinished

log = structlog.get_logger("locutory")

_CATCH_UP_SECONDS = 10.0


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """``LOCUTORY_DATA_DIR``, else ``locutory`` in the user's data folder."""
    explicit = environment.get("LOCUTORY_DATA_DIR", "").strip()
    if explicit:
        return Path(explicit).expanduser().resolve()
    home = environment.get("XDG_DATA_HOME", "").strip() or "~/.local/share"
    return (Path(home) / "locutory").expanduser()


class Kernel:
    """One server with its plugins, services, database and routes; an ASGI application.

    Args:
        sources: the configuration as read.
        plugins: plugin instances; their order does not matter.
        data_dir: folder for secrets and the built-in database.
        installed: names of the installed plugins, for messages.
        writes: ``False`` for a command that only reads: no database is created, and no secrets
            are stored.
    """

    def __init__(
        self,
        sources: configuration.Sources,
        plugins: Sequence[Plugin],
        *,
        data_dir: Path | None = None,
        installed: Sequence[str] = (),
        writes: bool = True,
    ) -> None:
        self.created = time.perf_counter()
        self.on_ready: Callable[[], None] | None = None
        self.failure: Exception | None = None
        self.plugins = discovery.order(plugins)
        self.installed = tuple(installed or discovery.available())
        checked = configuration.validate(sources, self.plugins, self.installed)
        self.configuration = checked
        self.started = (sources, checked)
        self.config = checked.kernel
        self.environment = sources.environment
        self.data_dir = data_dir or self.config.data_dir or default_data_dir(sources.environment)
        check_data_dir(self.data_dir)
        try:
            self.credentials = load_credentials(self.environment, self.data_dir, writes=writes)
        except SecretsUnusable as error:
            raise StartupError([Problem(*fault) for fault in error.faults]) from None
        self._writes = writes
        self.services = Services()
        self.events = Events()
        self.routes = RouteTable()
        self.database = Database()
        self.background = Background(self.database)
        self.metrics = Metrics()
        self.redis = redis = connect_redis(self.config, self.environment)
        self.broadcasts = Broadcasts(redis)
        self.cache: Cache = MemoryCache() if redis is None else redis.cache
        self.limits = RateLimits(None if redis is None else redis.limit_storage())
        self.lifecycle = Lifecycle()
        self.readiness = Readiness(self.database, self.redis)
        self.health = Health(self._not_ready, self.metrics, self.config.metrics_secret)
        self.permission_groups: dict[str, PermissionGroup] = {}
        self.policy = CurrentPolicy(self.services, self.permission_groups)
        self.config_refs: dict[str, list[tuple[ConfigRef[Any], Callable[[Context], Any]]]] = {
            plugin.name: [] for plugin in self.plugins
        }
        self.hooks = HookRunner(self.plugins)
        self.contexts = {plugin.name: self.make_context(plugin, checked) for plugin in self.plugins}
        self._assemble()
        self.dispatcher = Dispatcher(self)

    def _not_ready(self) -> str | None:
        return (self.readiness.fault or None) if self.lifecycle.ready else ""

    def make_context(self, plugin: Plugin, checked: configuration.Configuration) -> Context:
        """The context of the hooks of a plugin, with the settings of ``checked``."""
        log = structlog.get_logger(f"locutory.{plugin.name}", plugin=plugin.name)
        return Context(
            plugin=plugin.name,
            config=checked.plugins[plugin.name],
            kernel=checked.kernel,
            environment=self.environment,
            yaml=checked.yaml,
            services=self.services,
            events=self.events,
            policy=self.policy,
            permission_groups=self.permission_groups,
            routes=self.routes,
            database=self.database,
            cache=self.cache,
            credentials=self.credentials,
            limits=self.limits,
            redis=self.redis,
            broadcast=lambda channel, heard: self.broadcasts.open(channel, heard, log),
            data_dir=self.data_dir,
            log=log,
            is_ready=lambda: self.lifecycle.ready,
            refs=self.config_refs[plugin.name],
        )

    def _assemble(self) -> None:
        contributions = self.hooks.gather(
            self.contexts,
            {
                "services": lambda owner, offer: self.services.provide(offer, owner),
                "subscriptions": lambda owner, item: self.events.subscribe(item, owner),
                "routes": lambda owner, route: self.routes.add(route, owner),
            },
        )
        self.routes.add(self.health.route(), KERNEL)
        self.metrics.watch_failures(self.events.failures)
        self.contributions = contributions
        self.permission_groups.update(contributions.permissions)
        self.configuration.warnings.extend(
            closed_routes(self.routes.all(), contributions.permissions)
        )
        self.events.outbox = self._outbox = DatabaseOutbox(self.database, self.events)
        add = self.lifecycle.add
        add(KERNEL, PhaseTask("database connection", "database", self._connect, self._disconnect))
        add(KERNEL, PhaseTask("database seeding", "collections", self._prepare))
        add(KERNEL, PhaseTask("configuration loading", "warnings", self._warn))
        for owner, task in contributions.phases:
            add(owner, task)
        add(KERNEL, PhaseTask("startup checks", "checks", self._look))
        # The first one that leaves work in the background: a start may end at any moment.
        stop = self.background.stop
        add(KERNEL, PhaseTask("post-startup tasks", "outbox", self._catch_up, stop))
        add(KERNEL, PhaseTask("post-startup tasks", "jobs", self._start_jobs))
        contributions.jobs.append(
            (KERNEL, Job("outbox", 60, self._outbox.deliver_pending, exclusive=True))
        )

    async def _connect(self) -> None:
        self.database.use(await open_database(self.config, self.data_dir, create=self._writes))
        await check_redis(self.redis)
        await self.broadcasts.start()

    async def _disconnect(self) -> None:
        await self.broadcasts.stop()
        await self.database.close()
        if self.redis is not None:
            await self.redis.close()

    async def _prepare(self) -> None:
        if text := await unfinished(cast(Any, self.database.collections)):
            fix = "repeat the command that was broken off"
            raise StartupError(Problem("MONGO_URI", f"the database is {text}", fix))
        is_new = not await self.database.collections.list_collection_names()
        fingerprints = self.database.collection(COLLECTION)
        await record_fingerprints(
            fingerprints, self.credentials, self.environment, database_is_new=is_new
        )
        own: dict[str, list[type[Document]]] = {KERNEL: [OutboxEntry, Lease]}
        await self.database.prepare(
            {**own, **self.contributions.documents}, create_indexes=self.config.mongo_auto_index
        )

    async def _warn(self) -> None:
        self.configuration.log_warnings()

    async def _catch_up(self) -> None:
        """Deliver the durable facts that plugins missed while they were off. After
        ``_CATCH_UP_SECONDS`` the start continues, and the delivery goes on in the background."""
        work = self._outbox.deliver_pending()
        task = self.background.spawn(work, owner=KERNEL, name="outbox")
        await asyncio.wait([task], timeout=_CATCH_UP_SECONDS)

    async def advice(self, *, offline: bool = False) -> list[tuple[str, str]]:
        """(plugin, sentence) of every check that finds something, which is also logged; with
        ``offline`` only of the checks that are offline."""
        self.dispatcher.proxy_watch.forget()
        found = []
        for owner, check in self.contributions.checks:
            if offline and not check.offline:
                continue
            try:
                advice = await check.run()
            except Exception:
                log.exception("check.broken", plugin=owner, check=check.name)
                continue
            if advice:
                log.warning("check.failed", plugin=owner, check=check.name, advice=advice)
                found.append((owner, advice))
        return found

    async def _look(self) -> None:
        await self.advice()

    async def _start_jobs(self) -> None:
        for owner, job in self.contributions.jobs:
            self.background.repeat(job, owner)
        if isinstance(self.cache, MemoryCache):
            self.background.repeat(Job("cache sweep", 60, self.cache.sweep), KERNEL)
        self.background.spawn(self.metrics.watch_loop(), owner=KERNEL, name="loop lag")
        self.background.spawn(self.readiness.watch(), owner=KERNEL, name="readiness")

    async def open(self) -> None:
        """Run phases 1 to 9. On failure everything done so far is undone."""
        try:
            await self.lifecycle.run(PHASES[:9])
        except BaseException:
            await self.lifecycle.undo()
            raise

    async def finish(self) -> None:
        """Run phases 10 and 11; afterwards the server is ready."""
        await self.lifecycle.run(PHASES[9:])
        log.info(
            "start.ready",
            plugins=len(self.plugins),
            seconds=round(time.perf_counter() - self.created, 2),
        )
        if self.on_ready is not None:
            self.on_ready()

    async def start(self) -> None:
        """Run all eleven phases. On failure everything done so far is undone."""
        await self.open()
        try:
            await self.finish()
        except BaseException:
            await self.lifecycle.undo()
            raise

    async def stop(self) -> None:
        """Let running work finish, then undo every phase in reverse."""
        await self.lifecycle.drain(self.config.drain_seconds)
        await self.lifecycle.undo()

    def reload(self, sources: configuration.Sources | None = None) -> None:
        """Apply a configuration that was read again; see `reloading.reload`."""
        reload(self, sources)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "http":
            await self.dispatcher(scope, receive, send)
        elif scope["type"] == "lifespan":
            await Lifespan(Process(self)).serve(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})


def build(
    sources: configuration.Sources | None = None, *, safe: bool = False, **options: Any
) -> Kernel:
    """A kernel with every enabled installed plugin."""
    sources = sources or configuration.read_sources()
    installed = list(discovery.available())
    return Kernel(sources, load_plugins(sources, safe=safe), installed=installed, **options)
