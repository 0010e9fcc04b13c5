"""Calls every plugin's hooks once, in order, and registers what they return."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import pluggy
from beanie import Document

from locutory.access import Can, PermissionGroup
from locutory.data.database import collection_name
from locutory.errors import Problem, StartupError
from locutory.events import On
from locutory.http.routing import Route
from locutory.plugins.context import Context
from locutory.plugins.plugin import Check, Hooks, Job, PhaseTask, Plugin
from locutory.services import Provide
from locutory_configfile import nearest

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


def _check_hooks(plugin: Plugin) -> None:
    """Raise `StartupError` for a method that has the name of a hook and is not marked, which would
    never be called, for a marked one with another name, and for one with other parameters than
    ``ctx``."""
    hooks = [name for name in vars(Hooks) if not name.startswith("_")]
    for name, method in inspect.getmembers(type(plugin), callable):
        marked, wrong, fix = hasattr(method, "locutory_impl"), "", ""
        if name in hooks and not marked:
            wrong = f"its method '{name}' has the name of a hook, and is none"
            fix = "put @hook above it, or give it another name"
        elif marked and name not in hooks:
            wrong = f"there is no hook '{name}'"
            fix = nearest(name, hooks) or f"the hooks are: {', '.join(hooks)}"
        elif marked and (more := {*inspect.signature(method).parameters} - {"self", "ctx"}):
            wrong = f"its hook '{name}' takes {', '.join(sorted(more))}"
            fix = "a hook may take 'ctx', and nothing else"
        if wrong:
            raise StartupError(Problem(f"plugin {plugin.name}", wrong, fix, plugin.name))


@dataclass(slots=True)
class Contributions:
    """Everything that plugins contributed, with the plugin that owns it."""

    documents: dict[str, list[type[Document]]] = field(default_factory=dict)
    permissions: dict[str, PermissionGroup] = field(default_factory=dict)
    permission_owners: dict[str, str] = field(default_factory=dict)
    phases: list[tuple[str, PhaseTask]] = field(default_factory=list)
    jobs: list[tuple[str, Job]] = field(default_factory=list)
    checks: list[tuple[str, Check]] = field(default_factory=list)
    commands: dict[str, list[Any]] = field(default_factory=dict)
    offered: dict[str, set[str]] = field(default_factory=dict)
    """By plugin: the names of the keys that it offers with this configuration."""
    owners: dict[str, str] = field(default_factory=dict)
    """By collection: the plugin that owns it."""

    def add_document(self, owner: str, document: type[Document]) -> None:
        """Register a document class; `StartupError` when another plugin owns its collection."""
        collection = collection_name(document)
        other = self.owners.setdefault(collection, owner)
        if other != owner:
            text = f"owned by both '{other}' and '{owner}'"
            raise StartupError(Problem(f"collection {collection}", text, plugin=owner))
        self.documents.setdefault(owner, []).append(document)

    def add_group(self, owner: str, group: PermissionGroup) -> None:
        """Register a permission group. Several plugins may declare it with the same actions, so
        that each works without the other; different actions are a `StartupError`."""
        known = self.permissions.setdefault(group.name, group)
        other = self.permission_owners.setdefault(group.name, owner)
        if known.actions != group.actions:
            text = f"declared by both '{other}' and '{owner}', with different actions"
            raise StartupError(Problem(f"permission group {group.name}", text, plugin=owner))


def closed_routes(
    routes: Iterable[tuple[str, Route]], groups: Mapping[str, PermissionGroup]
) -> list[str]:
    """A sentence for each permission that routes ask for and no plugin declares, because the plugin
    of its group is off or its name is misspelt."""
    asked: dict[tuple[str, str, str], int] = {}
    for owner, route in routes:
        access = route.access
        if isinstance(access, Can) and access.action not in getattr(
            groups.get(access.group), "actions", ()
        ):
            place = (owner, access.group, access.action)
            asked[place] = asked.get(place, 0) + 1
    return [
        f"plugin {owner}: {count} of its routes ask for the permission {group}.{action}, which no"
        f" plugin declares; nobody may call them{_hint(group, groups)}"
        for (owner, group, action), count in asked.items()
    ]


def _hint(group: str, groups: Mapping[str, PermissionGroup]) -> str:
    hint = "" if group in groups else nearest(group, groups)
    return f" ({hint})" if hint else ""


class HookRunner:
    """Calls the hooks of the plugins of one kernel, with a plugin manager of pluggy, which checks
    their names and arguments."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self.manager = pluggy.PluginManager("locutory")
        self.manager.add_hookspecs(Hooks)
        for plugin in plugins:
            _check_hooks(plugin)
            try:
                self.manager.register(plugin, plugin.name)
                self.manager.check_pending()
            except (ValueError, pluggy.PluginValidationError) as error:
                raise StartupError(
                    Problem(f"plugin {plugin.name}", str(error), plugin=plugin.name)
                ) from None

    def call(self, name: str, plugin: Plugin, context: Context) -> list[Any]:
        """The items that one hook of one plugin returns; ``[]`` when it has no such hook. A fault
        is a `StartupError`."""
        others = [other for other in self.plugins if other is not plugin]
        caller = self.manager.subset_hook_caller(name, others)
        try:
            answers = caller(ctx=context)
            found = answers[0] if answers and answers[0] is not None else ()
            if isinstance(found, str | type) or not isinstance(found, Iterable):
                raise TypeError(f"it must return a list, and returned {found!r}")
            return list(found)
        except StartupError:
            raise
        except Exception as error:
            text = f"its hook '{name}' failed: {type(error).__name__}: {error}"
            fix = f"switch it off: plugins.disabled: [{plugin.name}]"
            raise StartupError(
                Problem(f"plugin {plugin.name}", text, fix, plugin.name, error)
            ) from error

    def each(self, name: str, contexts: Mapping[str, Context]) -> Iterator[tuple[str, Any]]:
        """(plugin, item) of every item that a hook returns, in plugin order."""
        for plugin in self.plugins:
            for item in self._items(name, plugin, contexts[plugin.name]):
                yield plugin.name, item

    def _items(self, name: str, plugin: Plugin, context: Context) -> list[Any]:
        expected, items = _ITEMS[name], self.call(name, plugin, context)
        for item in items:
            if not isinstance(item, expected):
                text = f"its hook '{name}' returned {type(item).__name__}, not {expected.__name__}"
                raise StartupError(Problem(f"plugin {plugin.name}", text, plugin=plugin.name))
        return items

    def gather(
        self, contexts: Mapping[str, Context], register: Mapping[str, Callable[[str, Any], None]]
    ) -> Contributions:
        """Call all hooks. ``register`` maps "services", "subscriptions" and "routes" to functions
        that take a plugin and an item."""
        found = Contributions()
        for plugin in self.plugins:
            context = contexts[plugin.name]
            self.call("setup", plugin, context)
            offers = self._items("services", plugin, context)
            _check_offers(plugin, offers)
            found.offered[plugin.name] = {offer.key.name for offer in offers}
            for offer in offers:
                register["services"](plugin.name, offer)
        for owner, document in self.each("documents", contexts):
            found.add_document(owner, document)
        for owner, group in self.each("permissions", contexts):
            found.add_group(owner, group)
        for name in ("subscriptions", "routes"):
            for owner, item in self.each(name, contexts):
                register[name](owner, item)
        found.phases = list(self.each("phases", contexts))
        found.jobs = list(self.each("jobs", contexts))
        found.checks = list(self.each("checks", contexts))
        for owner, command in self.each("commands", contexts):
            found.commands.setdefault(owner, []).append(command)
        return found


def _check_offers(plugin: Plugin, offers: Iterable[Provide]) -> None:
    """Raise `StartupError` when a plugin offers a key that it does not declare in ``provides``, or
    declares keys and has no hook ``services``. It need not offer all of them: that may depend on
    the configuration."""
    declared = {key.name for key in plugin.provides}
    text = fix = ""
    for offer in offers:
        if offer.key.name not in declared:
            text = f"offers {offer.key!r} without declaring it"
            fix = f"add the key to 'provides' of {plugin.name}: it decides the order of plugins"
    if declared and not hasattr(plugin, "services"):
        names = ", ".join(key.name for key in plugin.provides)
        text = f"declares {names} in 'provides', and has no hook 'services'"
        fix = "return Provide(key, …) from it, or take the keys out of 'provides'"
    if text:
        raise StartupError(Problem(f"plugin {plugin.name}", text, fix, plugin.name))
