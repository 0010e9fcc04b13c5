"""Configuration: ``.env``, ``librechat.yaml`` and its ``plugins:`` section, all errors at once."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from locutory.discovery import nearest
from locutory.errors import Problem, StartupError
from locutory.plugin import Plugin
from locutory.settings import (
    BadVariables,
    Environment,
    KernelConfig,
    env_name,
    environment_values,
)
from locutory_http import OutgoingSettings

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST = 16 * 1024 * 1024
"""Bytes of a configuration file that is fetched."""

_TAG = "tag:yaml.org,2002:"


class _Loader(_SafeLoader):  # type: ignore[misc]
    """Scalars of YAML 1.2, as LibreChat reads them: yes, no, on, off and 12:30 are text."""

    def _integer(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node)).replace("_", "")
        return int(text, 0 if text.lstrip("+-")[1:2] in ("x", "o", "b") else 10)


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0].removeprefix(_TAG) not in ("bool", "int", "float")]
    for first, pairs in _SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
        r"|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor(_TAG + "int", _Loader._integer)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the configuration comes from, read but not yet validated."""

    environment: Environment
    yaml: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    path: str = ""


@dataclass(slots=True)
class Configuration:
    """The validated configuration. ``warnings`` are sentences for the log."""

    kernel: KernelConfig
    plugins: dict[str, BaseModel] = field(default_factory=dict)
    yaml: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_sources(
    environ: Mapping[str, str] | None = None, env_file: Path = Path(".env")
) -> Sources:
    """Read ``.env`` (the process environment wins) and the file of ``CONFIG_PATH``.

    A missing, empty or unreadable file is an empty configuration (config-yaml §1).
    """
    process = dict(os.environ if environ is None else environ)
    try:
        # No ${NAME} in values: LibreChat's .env has none, and passwords may look like it.
        pairs = dotenv_values(env_file, interpolate=False)
    except (OSError, ValueError) as error:
        raise StartupError(Problem(str(env_file), f"cannot be read: {error}")) from None
    stored = {key: value or "" for key, value in pairs.items()}
    environment = {**stored, **process}
    location = environment.get("CONFIG_PATH", "").strip() or "librechat.yaml"
    explicit = bool(environment.get("CONFIG_PATH", "").strip())
    try:
        text = (
            _download(location, environment)
            if "://" in location
            else Path(location).read_text("utf-8")
        )
        parsed = yaml.load(text, _Loader)  # noqa: S506  (a safe loader, in C where available)
    except FileNotFoundError:
        notes = (f"configuration file {location} does not exist",) if explicit else ()
        return Sources(environment, {}, notes, location)
    except (OSError, ValueError, yaml.YAMLError) as error:
        return Sources(
            environment, {}, (f"configuration file {location} cannot be read: {error}",), location
        )
    if parsed is None:
        return Sources(environment, {}, (f"configuration file {location} is empty",), location)
    if not isinstance(parsed, dict):
        raise StartupError(
            Problem(location, "must hold a mapping of keys", "see locutory config schema")
        )
    return Sources(environment, parsed, (), location)


def _download(location: str, environment: Environment) -> str:
    try:
        found = environment_values(OutgoingSettings, environment)
        outgoing = OutgoingSettings.model_validate(found).outgoing
    except ValidationError as error:
        raise OSError(_said(error.errors()[0]["msg"])) from None
    return outgoing.download(location, 10.0, _LARGEST).decode()


def vocabulary() -> dict[str, dict[str, str]]:
    """Names that installed packages know (entry points ``locutory.vocabulary``), merged."""
    merged: dict[str, dict[str, str]] = {}
    for point in entry_points(group="locutory.vocabulary"):
        for kind, words in point.load().items():
            merged.setdefault(kind, {}).update(words)
    return merged


def validate(
    sources: Sources, plugins: Sequence[Plugin], installed: Iterable[str] = ()
) -> Configuration:
    """Check everything for the enabled plugins; raises one `StartupError` with all problems."""
    problems: list[Problem] = []
    kernel = _settings("kernel", KernelConfig, {}, sources, problems, "")
    own = kernel if isinstance(kernel, KernelConfig) else KernelConfig()
    configuration = Configuration(
        kernel=own,
        yaml=sources.yaml,
        warnings=[*sources.notes, *own.outgoing.trust.warnings],
    )
    section = sources.yaml.get("plugins") or {}
    if not isinstance(section, Mapping):
        section = {}
    names = {plugin.name for plugin in plugins}
    for plugin in plugins:
        given = section.get(plugin.name) or {}
        settings = _settings(plugin.name, plugin.Config, given, sources, problems, "plugins.")
        if settings is not None:
            configuration.plugins[plugin.name] = settings
    for key in section:
        if key in ("enabled", "disabled") or key in names:
            continue
        if key in set(installed):
            configuration.warnings.append(
                f"plugins.{key} has settings, but the plugin is switched off"
            )
        else:
            problems.append(
                Problem(
                    f"plugins.{key}",
                    "no such plugin is installed",
                    nearest(key, {*names, *installed}),
                )
            )
    yaml_problems: list[Problem] = []
    _check_sections(sources, plugins, yaml_problems, configuration.warnings)
    if yaml_problems and configuration.kernel.bypass_validation == "true":
        configuration.warnings.extend(f"ignored: {problem}" for problem in yaml_problems)
        configuration.yaml = {}
        yaml_problems = []
    problems.extend(yaml_problems)
    if problems:
        raise StartupError(problems)
    return configuration


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
            reason = "no such setting" if item["type"] == "extra_forbidden" else _said(item["msg"])
            problems.append(Problem(variable or f"{where}.{path}", reason, hint, name))
        return None


def _check_sections(
    sources: Sources, plugins: Sequence[Plugin], problems: list[Problem], warnings: list[str]
) -> None:
    known = vocabulary().get("sections", {})
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
                problems.append(Problem(str(key), "nobody knows this key", hint))
            elif owner:
                warnings.append(f"'{key}' has no effect: plugin '{owner}' is off or not installed")
            continue
        for owner, model in read[key]:
            if model is not None:
                problems.extend(_section_problems(key, value, model, owner))


def _section_problems(
    key: str, value: Any, model: type[BaseModel], owner: str
) -> Iterable[Problem]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            path = ".".join(str(part) for part in (key, *item["loc"]))
            extra = item["type"] == "extra_forbidden"
            hint = ""
            if extra:
                hint = nearest(str(item["loc"][-1]), _siblings(model, item["loc"][:-1]))
            yield Problem(
                path, "nobody knows this key" if extra else _said(item["msg"]), hint, owner
            )


def _said(message: str) -> str:
    """What a validator said, without pydantic's heading."""
    return message.removeprefix("Value error, ")


def _siblings(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Names allowed at a place inside a model, for hints."""
    current: Any = model
    for part in path:
        if isinstance(part, str) and hasattr(current, "model_fields"):
            field_info = current.model_fields.get(part)
            current = getattr(field_info, "annotation", None)
            args = [a for a in getattr(current, "__args__", ()) if hasattr(a, "model_fields")]
            current = args[0] if args else current
    fields = getattr(current, "model_fields", {})
    return [info.alias or name for name, info in fields.items()]
