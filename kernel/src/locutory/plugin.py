"""What a plugin is: a class with hooks that return data."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pluggy
from beanie import Document
from pydantic import BaseModel, ConfigDict

from locutory.access import PermissionGroup
from locutory.events import Events, On
from locutory.keys import Key
from locutory.routing import Route
from locutory.services import Provide, Services
from locutory.settings import Environment, KernelConfig

if TYPE_CHECKING:
    import click
    import structlog.stdlib
    from redis.asyncio import Redis

    from locutory.cache import Cache
    from locutory.ciphers import Credentials
    from locutory.database import Database
    from locutory.limiting import RateLimits

hook = pluggy.HookimplMarker("locutory")
_spec = pluggy.HookspecMarker("locutory")

Phase = Literal[
    "database connection",
    "database seeding",
    "configuration loading",
    "file storage",
    "startup checks",
    "permissions",
    "middleware",
    "authentication",
    "routes",
    "server start",
    "post-startup tasks",
]
PHASES: tuple[Phase, ...] = Phase.__args__  # type: ignore[attr-defined]


class NoConfig(BaseModel):
    """A plugin without settings."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class PhaseTask:
    """Work in a start-up phase. ``undo`` runs at shutdown, in reverse order; when
    ``drain`` is given it runs before connections are closed."""

    phase: Phase
    name: str
    run: Callable[[], Awaitable[None]] | None = None
    undo: Callable[[], Awaitable[None]] | None = None
    drain: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Periodic work, every ``seconds``. ``exclusive``: on one server at a time."""

    name: str
    seconds: float
    run: Callable[[], Awaitable[None]]
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A look at the deployment for ``locutory doctor`` and the phase "startup checks".

    ``run`` returns ``None`` when all is well, else a sentence that says what to change. With
    ``migrate`` it is about stored data that ``locutory migrate`` brings into today's form:
    ``migrate`` does that, may be called again, and returns a sentence that says what it did.
    ``offline``: it asks nobody and changes nothing, so ``locutory config check`` and a reload
    run it too; it may be made anew with a new context. ``advisory``: what it says is a hint and no
    fault, and ``locutory doctor`` may end well with it.
    """

    name: str
    run: Callable[[], Awaitable[str | None]]
    migrate: Callable[[], Awaitable[str]] | None = None
    offline: bool = False
    advisory: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What the kernel hands to a plugin's hooks.

    ``config`` is the validated ``Plugin.Config``; ``section(name)`` the raw value of a
    top-level key of ``librechat.yaml`` (defaults are not filled in, contract
    config-yaml §1); ``redis`` is ``None`` unless ``USE_REDIS`` is on.
    """

    plugin: str
    config: Any
    kernel: KernelConfig
    environment: Environment
    yaml: Mapping[str, Any]
    services: Services
    events: Events
    database: "Database"
    cache: "Cache"
    credentials: "Credentials"
    limits: "RateLimits"
    redis: "Redis | None"
    data_dir: Path
    log: "structlog.stdlib.BoundLogger"
    is_ready: Callable[[], bool]
    permission_groups: Callable[[], Mapping[str, PermissionGroup]]
    enabled_plugins: Callable[[], tuple[str, ...]]

    def section(self, name: str) -> Any:
        """The raw value of a top-level key of the configuration file, or ``None``."""
        return self.yaml.get(name)


class Plugin:
    """Base of every plugin.

    Class attributes declare it; methods marked with `hook` contribute. An instance
    lives as long as its kernel, so hooks may share objects through ``self``.

    ``sections`` are the top-level keys of ``librechat.yaml`` that it reads, each with a model
    of what it reads of it (``None``: anything): keys that no model has are pointed out.
    ``reloads`` are the settings, sections and keys of these (``registration.allowedDomains``)
    that its hook ``reload`` takes; of others the operator is told that they need a restart.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Config: ClassVar[type[BaseModel]] = NoConfig
    sections: ClassVar[Mapping[str, type[BaseModel] | None]] = {}
    reloads: ClassVar[tuple[str, ...]] = ()
    provides: ClassVar[tuple[Key[Any], ...]] = ()
    needs: ClassVar[tuple[Key[Any], ...]] = ()
    wants: ClassVar[tuple[Key[Any], ...]] = ()


class Hooks:
    """The hook specifications, in the order in which they are called: each of all plugins, in the
    order of their dependencies, before the next one of any. Synchronous, called once at build
    (``reload`` later); each returns data. An implementation may omit ``ctx``."""

    @_spec
    def documents(self, ctx: Context) -> Iterable[type[Document]]:  # type: ignore[empty-body]
        """Beanie documents of the collections that the plugin owns."""

    @_spec
    def permissions(self, ctx: Context) -> Iterable[PermissionGroup]:  # type: ignore[empty-body]
        """Permission groups that the plugin's routes ask for."""

    @_spec
    def services(self, ctx: Context) -> Iterable[Provide]:  # type: ignore[empty-body]
        """Services and extension entries that the plugin offers."""

    @_spec
    def subscriptions(self, ctx: Context) -> Iterable[On]:  # type: ignore[empty-body]
        """Handlers of events."""

    @_spec
    def routes(self, ctx: Context) -> Iterable[Route]:  # type: ignore[empty-body]
        """HTTP routes."""

    @_spec
    def phases(self, ctx: Context) -> Iterable[PhaseTask]:  # type: ignore[empty-body]
        """Work at start-up and shutdown."""

    @_spec
    def jobs(self, ctx: Context) -> Iterable[Job]:  # type: ignore[empty-body]
        """Periodic work."""

    @_spec
    def checks(self, ctx: Context) -> Iterable[Check]:  # type: ignore[empty-body]
        """Checks of the deployment."""

    @_spec
    def commands(self, ctx: Context) -> Iterable["click.Command"]:  # type: ignore[empty-body]
        """Commands of ``locutory``, shown as ``locutory <plugin> <command>``; those of a group
        as ``locutory <group> <command>``, where several plugins may add to one group."""

    @_spec
    def reload(self, ctx: Context) -> None:
        """The configuration was read again (SIGHUP); ``ctx`` carries the new values. What it
        takes stands in ``reloads``."""
