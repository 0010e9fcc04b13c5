"""Validation of the whole configuration: it collects all errors, warnings and notes before it
fails."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from locutory.config.sources import Sources, read_sources
from locutory.data.database import address_problems
from locutory.data.redis import redis_problems
from locutory.errors import Problem, StartupError
from locutory.installed import entry_points
from locutory.plugins.plugin import Plugin
from locutory.settings import KernelConfig
from locutory_configfile import (
    BadVariables,
    Words,
    doubtful,
    env_name,
    environment_values,
    faults_of,
    http_address,
    misspelt,
    nearest,
    said,
    unread,
)

__all__ = ["Configuration", "Sources", "read_sources", "validate", "vocabulary"]

log = structlog.get_logger("locutory")

_SHOWN = 12


@dataclass(slots=True)
class Configuration:
    """The validated configuration. ``warnings`` are sentences about settings that may be wrong,
    ``notes`` about settings that are right but have no effect here."""

    kernel: KernelConfig
    plugins: dict[str, BaseModel] = field(default_factory=dict)
    yaml: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def log_warnings(self) -> None:
        """Write the warnings and notes to the log."""
        for warning in self.warnings:
            log.warning("config.warning", text=warning)
        for note in self.notes:
            log.info("config.note", text=note)


def vocabulary() -> dict[str, dict[str, Any]]:
    """The names that installed packages declare (entry points ``locutory.vocabulary``), merged:
    ``sections`` (section → its plugin), ``keys`` (section → nested keys) and ``variables``."""
    merged: dict[str, dict[str, Any]] = {}
    for point in entry_points("locutory.vocabulary"):
        for kind, words in point.load().items():
            merged.setdefault(kind, {}).update(words)
    return merged


def validate(
    sources: Sources,
    plugins: Sequence[Plugin],
    installed: Iterable[str] = (),
    *,
    may_bypass: bool = True,
) -> Configuration:
    """Validate the configuration for the enabled plugins; raises one `StartupError` with all
    problems.

    ``may_bypass``: honour CONFIG_BYPASS_VALIDATION, which turns the problems of ``librechat.yaml``
    into warnings and its content into nothing.
    """
    problems: list[Problem] = []
    kernel = _settings("kernel", KernelConfig, {}, sources, problems, "")
    own = kernel if isinstance(kernel, KernelConfig) else KernelConfig()
    configuration = Configuration(
        kernel=own,
        yaml=sources.yaml,
        warnings=[*sources.notes, *own.outgoing.trust.warnings],
    )
    if isinstance(kernel, KernelConfig):
        problems += redis_problems(kernel)
        problems += address_problems(kernel)
    words = vocabulary()
    _check_variables(sources, plugins, words, problems, configuration)
    _check_plugins(sources, plugins, set(installed), problems, configuration)
    yaml_problems: list[Problem] = []
    _check_sections(sources, plugins, words, yaml_problems, configuration)
    if may_bypass and yaml_problems and configuration.kernel.bypass_validation == "true":
        configuration.warnings.extend(f"ignored: {problem}" for problem in yaml_problems)
        configuration.yaml = {}
        yaml_problems = []
    problems.extend(yaml_problems)
    if problems:
        raise StartupError(problems)
    return configuration


def _check_variables(
    sources: Sources,
    plugins: Sequence[Plugin],
    words: Mapping[str, Mapping[str, Any]],
    problems: list[Problem],
    configuration: Configuration,
) -> None:
    models: list[type[BaseModel]] = [KernelConfig, *(plugin.Config for plugin in plugins)]
    fields = [field for model in models for field in model.model_fields.values()]
    read = {name for field in fields if (name := env_name(field))}
    known = read | words.get("variables", {}).keys()
    configuration.warnings += dict.fromkeys(doubtful(models, sources.environment))
    configuration.warnings += misspelt(known, sources.environment, str(sources.yaml))
    for place, word in sources.lost:
        if word in read:
            fix = f"write {word}=value"
            problems.append(Problem(place, f"this line about {word} cannot be read", fix))
        else:
            configuration.warnings.append(f"{place}: this line says nothing, and is ignored")
    for name in ("DOMAIN_CLIENT", "DOMAIN_SERVER"):
        text = sources.environment.get(name, "").strip()
        if text and not http_address(text):
            configuration.warnings.append(
                f"{name}={text} is no address (https://host): links and redirects will be wrong"
            )


def _check_plugins(
    sources: Sources,
    plugins: Sequence[Plugin],
    installed: set[str],
    problems: list[Problem],
    configuration: Configuration,
) -> None:
    section = sources.yaml.get("plugins") or {}
    if not isinstance(section, Mapping):
        section = {}
    names = {plugin.name for plugin in plugins}
    for plugin in plugins:
        given = section.get(plugin.name) or {}
        settings = _settings(plugin.name, plugin.Config, given, sources, problems, "plugins.")
        if settings is not None:
            configuration.plugins[plugin.name] = settings
    if not plugins and section.keys() & {"enabled", "disabled"}:
        configuration.warnings.append("no plugin is on: this server can do nothing")
    for key in section:
        if key in ("enabled", "disabled") or key in names:
            continue
        if key in installed:
            configuration.warnings.append(
                f"plugins.{key} has settings, but the plugin is switched off"
            )
        else:
            hint = nearest(str(key), {*names, *installed, "enabled", "disabled"})
            text = "no such plugin is installed"
            problems.append(Problem(_where(sources, "plugins", key), text, hint))


def _where(sources: Sources, *path: str | int) -> str:
    return ".".join(map(str, path)) + sources.place(path)


def _settings(
    name: str,
    model: type[BaseModel],
    given: Any,
    sources: Sources,
    problems: list[Problem],
    prefix: str,
) -> BaseModel | None:
    where = f"{prefix}{name}"
    if not isinstance(given, Mapping):
        problems.append(Problem(where, "must be a mapping of settings", plugin=name))
        return None
    unreadable: dict[str, str] = {}
    try:
        values = environment_values(model, sources.environment)
    except BadVariables as error:
        values, unreadable = error.found, error.problems
        problems.extend(Problem(each, text, plugin=name) for each, text in unreadable.items())
    try:
        return model.model_validate({**values, **given})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            path = ".".join(str(part) for part in item["loc"])
            top = str(item["loc"][0]) if item["loc"] else ""
            field_info = model.model_fields.get(top)
            variable = env_name(field_info) if field_info and top not in given else None
            if variable in unreadable:
                continue
            hint = nearest(top, model.model_fields) if item["type"] == "extra_forbidden" else ""
            reason = "no such setting" if item["type"] == "extra_forbidden" else said(item["msg"])
            place = variable or f"{where}.{path}{sources.place(('plugins', name, *item['loc']))}"
            problems.append(Problem(place, reason, hint, name))
        return None


def _check_sections(
    sources: Sources,
    plugins: Sequence[Plugin],
    words: Mapping[str, Mapping[str, Any]],
    problems: list[Problem],
    configuration: Configuration,
) -> None:
    known = words.get("sections", {})
    read: dict[str, list[tuple[str, type[BaseModel] | None]]] = {}
    for plugin in plugins:
        for key, model in plugin.sections.items():
            read.setdefault(key, []).append((plugin.name, model))
    for key, value in sources.yaml.items():
        if key == "plugins":
            continue
        if key not in read:
            owner = known.get(key)
            if owner is None:
                hint = nearest(str(key), {*known, *read, "plugins"})
                where = _where(sources, key)
                problems.append(Problem(where, "nobody knows this key", hint))
            elif owner:
                configuration.notes.append(
                    f"'{key}' has no effect: plugin '{owner}' is off or not installed"
                )
            continue
        models = [(owner, model) for owner, model in read[key] if model is not None]
        for owner, model in models:
            for fault in faults_of(model, value):
                where = _where(sources, key, *fault.path)
                problems.append(Problem(where, fault.text, fault.fix, owner))
        inner = words.get("keys", {}).get(key)
        _check_keys(sources, value, key, [model for _, model in models], inner, configuration)


def _check_keys(
    sources: Sources,
    value: Any,
    key: str,
    models: list[type[BaseModel]],
    words: Words,
    configuration: Configuration,
) -> None:
    unserved: dict[str, None] = {}
    for path, hint in unread(value, models, words, (key,)):
        if hint is None:
            shown = ("*" if isinstance(part, int) else part for part in path)
            unserved[".".join(map(str, shown))] = None
        else:
            text = f"nobody reads {_where(sources, *path)}"
            configuration.warnings.append(f"{text}, {hint}" if hint else text)
    if unserved:
        more = f" and {len(unserved) - _SHOWN} more" if len(unserved) > _SHOWN else ""
        configuration.notes.append(
            f"{', '.join(list(unserved)[:_SHOWN])}{more}: LibreChat's keys without effect here"
        )
