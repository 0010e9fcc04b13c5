"""Assembling: calls every plugin's hooks once, in order, and registers what they return."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import pluggy
from beanie import Document

from locutory.access import PermissionGroup
from locutory.database import collection_name
from locutory.errors import Problem, StartupError
from locutory.events import On
from locutory.plugin import Check, Context, Hooks, Job, PhaseTask, Plugin
from locutory.routing import Route
from locutory.services import Provide

_ITEMS: Mapping[str, type[Any]] = {
    "documents": type,
    "permissions": PermissionGroup,
    "services": Provide,
    "subscriptions": On,
    "routes": Route,
    "phases": PhaseTask,
    "jobs": Job,
    "checks": Check,
    "commands": click.Command,
}


@dataclass(slots=True)
class Contributions:
    """What plugins contributed, each with its owner."""

    documents: dict[str, list[type[Document]]] = field(default_factory=dict)
    permissions: dict[str, PermissionGroup] = field(default_factory=dict)
    permission_owners: dict[str, str] = field(default_factory=dict)
    phases: list[tuple[str, PhaseTask]] = field(default_factory=list)
    jobs: list[tuple[str, Job]] = field(default_factory=list)
    checks: list[tuple[str, Check]] = field(default_factory=list)
    commands: dict[str, list[Any]] = field(default_factory=dict)


class Assembly:
    """One plugin manager per kernel; pluggy checks hook names and arguments."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self.manager = pluggy.PluginManager("locutory")
        self.manager.add_hookspecs(Hooks)
        for plugin in plugins:
            try:
                self.manager.register(plugin, plugin.name)
                self.manager.check_pending()
            except (ValueError, pluggy.PluginValidationError) as error:
                raise StartupError(
                    Problem(f"plugin {plugin.name}", str(error), plugin=plugin.name)
                ) from None

    def call(self, name: str, plugin: Plugin, context: Context) -> list[Any]:
        """One hook of one plugin; ``[]`` when it has none. A fault is a `StartupError`."""
        others = [other for other in self.plugins if other is not plugin]
        caller = self.manager.subset_hook_caller(name, others)
        try:
            answers = caller(ctx=context)
            return list(answers[0]) if answers and answers[0] is not None else []
        except StartupError:
            raise
        except Exception as error:
            raise StartupError(
                Problem(
                    f"plugin {plugin.name}",
                    f"its hook '{name}' failed: {type(error).__name__}: {error}",
                    f"switch it off: plugins.disabled: [{plugin.name}]",
                    plugin.name,
                )
            ) from error

    def each(self, name: str, contexts: Mapping[str, Context]) -> Iterable[tuple[str, Any]]:
        """(plugin, item) of everything a hook returns, in plugin order."""
        expected = _ITEMS[name]
        for plugin in self.plugins:
            for item in self.call(name, plugin, contexts[plugin.name]):
                if not isinstance(item, expected):
                    raise StartupError(
                        Problem(
                            f"plugin {plugin.name}",
                            f"its hook '{name}' returned {type(item).__name__}, "
                            f"not {expected.__name__}",
                            plugin=plugin.name,
                        )
                    )
                yield plugin.name, item

    def gather(
        self, contexts: Mapping[str, Context], register: Mapping[str, Callable[[str, Any], None]]
    ) -> Contributions:
        """Call all hooks. ``register`` takes the items of services, subscriptions and routes."""
        found = Contributions()
        owners: dict[str, str] = {}
        for owner, document in self.each("documents", contexts):
            collection = collection_name(document)
            if owners.setdefault(collection, owner) != owner:
                raise StartupError(
                    Problem(
                        f"collection {collection}",
                        f"owned by both '{owners[collection]}' and '{owner}'",
                        plugin=owner,
                    )
                )
            found.documents.setdefault(owner, []).append(document)
        for owner, group in self.each("permissions", contexts):
            if group.name in found.permissions:
                raise StartupError(
                    Problem(
                        f"permission group {group.name}",
                        f"declared by both '{found.permission_owners[group.name]}' and '{owner}'",
                        plugin=owner,
                    )
                )
            found.permissions[group.name] = group
            found.permission_owners[group.name] = owner
        declared = {plugin.name: {key.name for key in plugin.provides} for plugin in self.plugins}
        for owner, offer in self.each("services", contexts):
            if offer.key.name not in declared[owner]:
                raise StartupError(
                    Problem(
                        f"plugin {owner}",
                        f"offers {offer.key!r} without declaring it",
                        f"add the key to 'provides' of {owner}: it decides the order of plugins",
                        owner,
                    )
                )
            register["services"](owner, offer)
        for name in ("subscriptions", "routes"):
            for owner, item in self.each(name, contexts):
                register[name](owner, item)
        found.phases = list(self.each("phases", contexts))
        found.jobs = list(self.each("jobs", contexts))
        found.checks = list(self.each("checks", contexts))
        for owner, command in self.each("commands", contexts):
            found.commands.setdefault(owner, []).append(command)
        return found
