"""Finding, choosing, loading and ordering plugins."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint
from typing import Any

from locutory.errors import Problem, StartupError
from locutory.installed import entry_points
from locutory.keys import Service
from locutory.plugins.plugin import Plugin
from locutory_configfile import nearest

GROUP = "locutory.plugins"


def available() -> dict[str, EntryPoint]:
    """The entry points of installed plugins by name, not imported. Two distributions with a plugin
    of the same name are a `StartupError`, since chance would decide which one runs."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(GROUP):
        other = found.setdefault(point.name, point)
        if other is not point:
            packages = sorted(p.dist.name for p in (other, point) if p.dist is not None)
            text = f"comes from several packages: {', '.join(packages)}"
            fix = "uninstall all but one"
            raise StartupError(Problem(f"plugin {point.name}", text, fix, point.name))
    return found


def choose(installed: Iterable[str], section: Any) -> tuple[list[str], list[Problem]]:
    """The names of the enabled plugins according to the configuration key ``plugins``, and the
    problems of that key.

    ``disabled: [a]`` enables all others, ``enabled: [a]`` only those; not both.
    """
    names = sorted(installed)
    if section is None:
        return names, []
    if not isinstance(section, Mapping):
        return names, [Problem("plugins", "must be a mapping such as {disabled: [name]}")]
    problems: list[Problem] = []
    lists: dict[str, list[str]] = {}
    for key in ("enabled", "disabled"):
        value = section.get(key)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            problems.append(Problem(f"plugins.{key}", "must be a list of plugin names"))
            continue
        lists[key] = value
        problems.extend(
            Problem(f"plugins.{key}", f"no plugin '{name}' is installed", nearest(name, names))
            for name in value
            if name not in names
        )
    if len(lists) == 2:
        problems.append(
            Problem("plugins", "'enabled' and 'disabled' are both given", "keep one of the two")
        )
    if "enabled" in lists:
        return [name for name in names if name in lists["enabled"]], problems
    return [name for name in names if name not in lists.get("disabled", ())], problems


def load(points: Mapping[str, EntryPoint], names: Sequence[str]) -> list[Plugin]:
    """Import and instantiate the named plugins; a broken one is a `StartupError`."""
    problems: list[Problem] = []
    plugins: list[Plugin] = []
    for name in names:
        try:
            plugin = points[name].load()()
        except Exception as error:
            text = f"cannot be imported: {type(error).__name__}: {error}"
            fix = f"correct or reinstall it, or switch it off: plugins.disabled: [{name}]"
            problems.append(Problem(f"plugin {name}", text, fix, name, error))
            continue
        wrong = "" if isinstance(plugin, Plugin) else "is no locutory.Plugin"
        if not wrong and getattr(plugin, "name", None) != name:
            wrong = f"calls itself {getattr(plugin, 'name', None)!r}"
        if not wrong and not isinstance(getattr(plugin, "summary", None), str):
            wrong = "has no 'summary': a line that says what it does"
        if wrong:
            fix = "its entry point, its class and its 'name' belong together"
            problems.append(Problem(f"plugin {name}", wrong, fix, name))
        plugins.append(plugin)
    if problems:
        raise StartupError(problems)
    return plugins


def order(plugins: Iterable[Plugin]) -> list[Plugin]:
    """The plugins in order: each after those whose services it needs or wants, else by name.

    A cycle of ``needs``, a missing provider or two providers of a service are a `StartupError`. An
    entry of ``wants`` that would close a cycle is ignored.
    """
    ordered = sorted(plugins, key=lambda p: p.name)
    by_name = {plugin.name: plugin for plugin in ordered}
    problems = [
        Problem(f"plugin {plugin.name}", "is there twice", plugin=plugin.name)
        for plugin in ordered
        if by_name[plugin.name] is not plugin
    ]
    providers: dict[str, list[str]] = {}
    for plugin in by_name.values():
        for key in plugin.provides:
            holders = providers.setdefault(key.name, [])
            if holders and isinstance(key, Service):
                text = f"provided by both '{holders[0]}' and '{plugin.name}'"
                fix = f"switch one off: plugins.disabled: [{holders[0]}] or [{plugin.name}]"
                problems.append(Problem(f"service {key.name}", text, fix, plugin.name))
            holders.append(plugin.name)
    before: dict[str, set[str]] = {name: set() for name in by_name}
    for plugin in by_name.values():
        for key in plugin.needs:
            holders = [name for name in providers.get(key.name, ()) if name != plugin.name]
            if not holders:
                text = f"plugin '{plugin.name}' needs it, and no enabled plugin provides it"
                off = f"switch '{plugin.name}' off: plugins.disabled: [{plugin.name}]"
                fix = f"enable a plugin that provides it, or {off}"
                problems.append(Problem(f"service {key.name}", text, fix, plugin.name))
            before[plugin.name].update(holders)
    if problems:
        raise StartupError(problems)
    _check_cycle(before)
    for plugin in by_name.values():
        for key in plugin.wants:
            for holder in providers.get(key.name, ()):
                if holder != plugin.name and not _reaches(before, holder, plugin.name):
                    before[plugin.name].add(holder)
    return [by_name[name] for name in _sorted(before)]


def _reaches(before: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """``True`` when ``start`` comes after ``goal`` already, or is ``goal``."""
    stack, seen = [start], set()
    while stack:
        name = stack.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            stack.extend(before[name])
    return False


def _check_cycle(before: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        ring = list(reversed(error.args[1]))
        text = f"these plugins need each other: {' → '.join(ring)}"
        fix = f"switch one of them off: plugins.disabled: [{ring[0]}]"
        raise StartupError(Problem("plugin order", text, fix, ring[0])) from None


def _sorted(before: Mapping[str, set[str]]) -> list[str]:
    sorter = TopologicalSorter(before)
    sorter.prepare()
    names: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        names.extend(ready)
        sorter.done(*ready)
    return names
