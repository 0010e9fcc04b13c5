"""The context that the kernel passes to the hooks of a plugin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol

from pydantic import BaseModel
from typing_extensions import TypeVar

from locutory.access import PermissionGroup, Policy
from locutory.data.cache import Cache
from locutory.data.database import Database
from locutory.events import Events
from locutory.http.limiting import RateLimits
from locutory.http.routing import Match, Route
from locutory.services import Services
from locutory.settings import KernelConfig
from locutory_configfile import Environment
from locutory_credentials import Credentials

if TYPE_CHECKING:
    import structlog.stdlib

    from locutory.data.redis import Broadcast, RedisServer

ConfigT = TypeVar("ConfigT", bound=BaseModel, default=Any)
T = TypeVar("T")


class Routes(Protocol):
    """Read access to the routes of a server. Complete once every plugin's hooks have run."""

    def match(self, method: str, path: str, raw_path: bytes | None = None) -> Match | None:
        """The route that serves a request, with its plugin and its path parameters; ``None`` when
        there is none."""
        ...

    def all(self) -> list[tuple[str, Route]]:
        """(plugin, route) of every route in use, sorted by path."""
        ...


class ConfigRef(Generic[T]):
    """A value made from the configuration. Read ``current`` at each use: a reload replaces it."""

    __slots__ = ("current",)

    def __init__(self, current: T) -> None:
        self.current = current


@dataclass(frozen=True)
class Context(Generic[ConfigT]):
    """The environment of the hooks of one plugin, annotated as ``Context[MyConfig]``.

    Attributes:
        plugin: the plugin's name.
        config: its validated ``Plugin.Config``.
        kernel: the kernel's own settings.
        environment: variables of the process and of ``.env``.
        yaml: ``librechat.yaml`` as read, without defaults; see `section`.
        services: services and extension entries of plugins. In ``setup`` it has those of plugins
            that come earlier in the order, which ``needs`` and ``wants`` determine.
        events: publishes facts, and checks steps, for the handlers of plugins.
        policy: decides what callers may do: the plugin that provides `POLICY`, else the
            defaults that plugins declare.
        permission_groups: the groups of the plugins' hooks ``permissions``, by name; empty
            until all of these have run.
        routes: the routes of this server.
        database: the collections; open in phases, jobs and handlers, not in hooks.
        cache: values with an expiry that all workers share.
        credentials: the secrets of the deployment, and the ciphers with them.
        limits: rate limits beyond those of routes.
        redis: the Redis server that workers share, ``None`` unless ``USE_REDIS`` is on.
        broadcast: ``broadcast(channel, heard)``: short texts to the other workers; see
            `locutory.data.redis.Broadcast`.
        data_dir: folder for files of this server.
        log: a logger that names the plugin.
        is_ready: returns ``True`` when the server has finished its start.
    """

    plugin: str
    config: ConfigT
    kernel: KernelConfig
    environment: Environment
    yaml: Mapping[str, Any]
    services: Services
    events: Events
    policy: Policy
    permission_groups: Mapping[str, PermissionGroup]
    routes: Routes
    database: Database
    cache: Cache
    credentials: Credentials
    limits: RateLimits
    redis: "RedisServer | None"
    broadcast: "Callable[[str, Callable[[str], None]], Broadcast]"
    data_dir: Path
    log: "structlog.stdlib.BoundLogger"
    is_ready: Callable[[], bool]
    refs: "list[tuple[ConfigRef[Any], Callable[[Context[Any]], Any]]]" = field(
        default_factory=list, repr=False
    )

    def section(self, name: str) -> Any:
        """The raw value of a top-level key of ``librechat.yaml``, or ``None`` (contract config-yaml
        §1)."""
        return self.yaml.get(name)

    def config_ref(self, read: "Callable[[Context[ConfigT]], T]") -> ConfigRef[T]:
        """The result of ``read(context)``, which is computed again at each reload. An exception of
        ``read`` at a reload is logged, and the value stays as it was."""
        ref = ConfigRef(read(self))
        self.refs.append((ref, read))
        return ref
