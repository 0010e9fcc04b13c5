"""Applying a changed configuration while the server runs, and naming the settings that need a
restart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from locutory.config.configuration import Configuration, read_sources, validate
from locutory.config.sources import Sources
from locutory.errors import StartupError
from locutory.plugins.plugin import Plugin
from locutory.settings import KernelConfig
from locutory_configfile import Environment, env_name, known_keys
from locutory_credentials import NAMES

if TYPE_CHECKING:
    from locutory.run.kernel import Kernel

log = structlog.get_logger("locutory")


def reload(kernel: "Kernel", sources: Sources | None = None) -> None:
    """Read the configuration again. Plugins apply the settings in their ``reloads``; all others
    wait for a restart and are named in the log. A wrong or unreadable configuration is logged and
    changes nothing, whatever CONFIG_BYPASS_VALIDATION says: at a start it allows an empty
    configuration, here that would replace one that works."""
    try:
        sources = sources or read_sources(may_bypass=False)
        checked = validate(sources, kernel.plugins, kernel.installed, may_bypass=False)
    except StartupError as error:
        log.error("config.reload_refused", problems=str(error))
        return
    if sources.path and kernel.configuration.yaml and not sources.yaml:
        log.error("config.reload_refused", problems=f"{sources.path} is not there any more")
        return
    kernel.configuration = checked
    kernel.environment = sources.environment
    for plugin in kernel.plugins:
        kernel.contexts[plugin.name] = context = kernel.make_context(plugin, checked)
        try:
            fresh = [(ref, read(context)) for ref, read in kernel.config_refs[plugin.name]]
            for ref, value in fresh:
                ref.current = value
            kernel.hooks.call("reload", plugin, context)
        except Exception as error:
            log.error("config.reload_failed", plugin=plugin.name, reason=str(error))
    kernel.contributions.checks = list(kernel.hooks.each("checks", kernel.contexts))
    checked.log_warnings()
    if names := waiting(kernel.started, (sources, checked), kernel.plugins):
        log.warning("config.needs_restart", settings=", ".join(names))
    log.info("config.reloaded")


def waiting(
    started: tuple[Sources, Configuration],
    now: tuple[Sources, Configuration],
    plugins: Sequence[Plugin],
) -> list[str]:
    """The names of settings that differ from those at the start and that no ``reload`` applies:
    settings of the kernel and of plugins, keys of the file, and the lists of enabled and disabled
    plugins."""
    (old, was), (new, is_now) = started, now
    found = [name for name in NAMES if old.environment.get(name) != new.environment.get(name)]
    found += [
        env_name(info) or name
        for name, info in KernelConfig.model_fields.items()
        if name in was.kernel.model_fields_set | is_now.kernel.model_fields_set
        and getattr(was.kernel, name) != getattr(is_now.kernel, name)
    ]
    before, after = _mapping(old.yaml.get("plugins")), _mapping(new.yaml.get("plugins"))
    found += [
        f"plugins.{key}" for key in ("enabled", "disabled") if before.get(key) != after.get(key)
    ]
    for plugin in plugins:
        found += _settings(plugin, was, is_now, new.environment)
        for key, model in plugin.sections.items():
            if key not in plugin.reloads:
                inner = None if model is None else known_keys(model)
                changed = _changed(key, was.yaml.get(key), is_now.yaml.get(key), inner)
                found += [name for name in changed if name not in plugin.reloads]
    return list(dict.fromkeys(found))


def _settings(
    plugin: Plugin, was: Configuration, now: Configuration, environment: Environment
) -> Iterator[str]:
    for name, info in plugin.Config.model_fields.items():
        old, new = (getattr(each.plugins[plugin.name], name) for each in (was, now))
        if old != new and name not in plugin.reloads:
            variable = env_name(info)
            from_file = name in _mapping(_mapping(now.yaml.get("plugins")).get(plugin.name))
            yield variable if variable and not from_file else f"plugins.{plugin.name}.{name}"


def _changed(key: str, old: Any, new: Any, inner: Iterable[str] | None) -> Iterator[str]:
    """The name of the section when it changed; for a section with known keys, the keys that
    changed."""
    if inner is None:
        if old != new:
            yield key
        return
    before, after = _mapping(old), _mapping(new)
    yield from (f"{key}.{name}" for name in inner if before.get(name) != after.get(name))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
