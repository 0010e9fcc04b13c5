"""The base class of plugins, their hooks, and the types that hooks return."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pluggy
from beanie import Document
from pydantic import BaseModel, ConfigDict

from locutory.access import PermissionGroup
from locutory.events import On
from locutory.http.routing import Route
from locutory.keys import Key
from locutory.plugins.context import Context
from locutory.services import Provide

if TYPE_CHECKING:
    import click

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
    """The settings of a plugin without settings."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class PhaseTask:
    """Work in a start-up phase. ``undo`` runs at shutdown, in reverse order; ``drain`` runs before
    that, while connections are still open."""

    phase: Phase
    name: str
    run: Callable[[], Awaitable[None]] | None = None
    undo: Callable[[], Awaitable[None]] | None = None
    drain: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Periodic work, every ``seconds``. ``exclusive``: it runs on one server at a time."""

    name: str
    seconds: float
    run: Callable[[], Awaitable[None]]
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A check of the deployment for ``locutory doctor`` and the phase "startup checks".

    ``run`` returns ``None`` when all is well, else a sentence that tells the operator what to
    change. With ``migrate``, the check is about stored data of an older form: ``migrate`` converts
    it for ``locutory migrate``, may be called repeatedly, and returns a sentence about the changes.
    ``offline``: it asks no other service and changes nothing, so ``locutory config check`` and a
    reload run it too; it may be created again with a new context. ``advisory``: its sentence is a
    hint, with which ``locutory doctor`` may still succeed.
    """

    name: str
    run: Callable[[], Awaitable[str | None]]
    migrate: Callable[[], Awaitable[str]] | None = None
    offline: bool = False
    advisory: bool = False


class Plugin:
    """Base of every plugin.

    Class attributes declare it; methods marked with `hook` contribute. An instance lives as long as
    its kernel: the hook ``setup`` creates its objects, and the others find them on ``self``.

    ``sections`` are the top-level keys of ``librechat.yaml`` that it reads, each with a model of
    the part that it reads (``None``: anything); keys that are in no model are reported. ``reloads``
    are the settings, sections and keys of sections (``registration.allowedDomains``) that a reload
    applies, by ``ctx.config_ref`` or the hook ``reload``; for all others the log names a restart as
    necessary.
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
    """The hook specifications, in the order in which they are called.

    ``setup`` and ``services`` are called together, plugin by plugin, so that a plugin finds in
    ``setup`` the services of those before it. Each of the other hooks is called for all plugins
    before the next hook. Plugins are in the order of their dependencies. Hooks are synchronous and
    called once, when the kernel is built, except ``reload``. An implementation may omit ``ctx``.
    """

    @_spec
    def setup(self, ctx: Context[Any]) -> None:
        """Create the plugin's objects, and store them on ``self`` for the other hooks. Neither the
        database nor any other connection is open yet."""

    @_spec
    def services(self, ctx: Context[Any]) -> Iterable[Provide]:  # type: ignore[empty-body]
        """The services and extension entries that the plugin offers."""

    @_spec
    def documents(self, ctx: Context[Any]) -> Iterable[type[Document]]:  # type: ignore[empty-body]
        """The Beanie documents of the collections that the plugin owns."""

    @_spec
    def permissions(self, ctx: Context[Any]) -> Iterable[PermissionGroup]:  # type: ignore[empty-body]
        """The permission groups that the plugin's routes ask for. Several plugins may declare the
        same group with the same actions."""

    @_spec
    def subscriptions(self, ctx: Context[Any]) -> Iterable[On]:  # type: ignore[empty-body]
        """Handlers of events."""

    @_spec
    def routes(self, ctx: Context[Any]) -> Iterable[Route]:  # type: ignore[empty-body]
        """HTTP routes."""

    @_spec
    def phases(self, ctx: Context[Any]) -> Iterable[PhaseTask]:  # type: ignore[empty-body]
        """Work at start-up and shutdown."""

    @_spec
    def jobs(self, ctx: Context[Any]) -> Iterable[Job]:  # type: ignore[empty-body]
        """Periodic work."""

    @_spec
    def checks(self, ctx: Context[Any]) -> Iterable[Check]:  # type: ignore[empty-body]
        """Checks of the deployment."""

    @_spec
    def commands(self, ctx: Context[Any]) -> Iterable["click.Command"]:  # type: ignore[empty-body]
        """Commands of ``locutory``, shown as ``locutory <plugin> <command>``. Those of a click
        group are shown as ``locutory <group> <command>``; several plugins may add to one group."""

    @_spec
    def reload(self, ctx: Context[Any]) -> None:
        """Apply a configuration that was read again (SIGHUP). ``ctx`` has the new values, and
        references of ``ctx.config_ref`` are up to date already. ``reloads`` names the settings that
        this applies."""
