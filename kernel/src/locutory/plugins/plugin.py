"""What a plugin is: a class with hooks that return data."""

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


class Plugin:
    """Base of every plugin.

    Class attributes declare it; methods marked with `hook` contribute. An instance lives as long
    as its kernel: the hook ``setup`` makes its objects, and the others find them on ``self``.

    ``sections`` are the top-level keys of ``librechat.yaml`` that it reads, each with a model
    of what it reads of it (``None``: anything): keys that no model has are pointed out.
    ``reloads`` are the settings, sections and keys of these (``registration.allowedDomains``)
    that a reload takes, by ``ctx.config_ref`` or the hook ``reload``; of others the operator is told that they need a restart.
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

    ``setup`` and ``services`` are called together, plugin by plugin, so that a plugin finds there
    what those before it offer; each of the others of all plugins before the next one of any.
    Plugins stand in the order of their dependencies. Hooks are synchronous and called once, at
    build; ``reload`` later. An implementation may omit ``ctx``."""

    @_spec
    def setup(self, ctx: Context[Any]) -> None:
        """Make the plugin's objects, and keep them on ``self`` for the other hooks. Nothing is
        open yet: neither the database nor a connection."""

    @_spec
    def services(self, ctx: Context[Any]) -> Iterable[Provide]:  # type: ignore[empty-body]
        """Services and extension entries that the plugin offers."""

    @_spec
    def documents(self, ctx: Context[Any]) -> Iterable[type[Document]]:  # type: ignore[empty-body]
        """Beanie documents of the collections that the plugin owns."""

    @_spec
    def permissions(self, ctx: Context[Any]) -> Iterable[PermissionGroup]:  # type: ignore[empty-body]
        """Permission groups that the plugin's routes ask for. Several plugins may declare the
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
        """Commands of ``locutory``, shown as ``locutory <plugin> <command>``; those of a group
        as ``locutory <group> <command>``, where several plugins may add to one group."""

    @_spec
    def reload(self, ctx: Context[Any]) -> None:
        """The configuration was read again (SIGHUP); ``ctx`` carries the new values, and what
        came from ``ctx.config_ref`` is new already. What the plugin takes stands in ``reloads``."""
