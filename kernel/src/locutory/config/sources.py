"""The sources of the configuration: the environment, ``.env`` and ``librechat.yaml``.

A source that exists and cannot be read stops the start: an empty configuration in its place would
enable what the file disables, and admit users whom it excludes.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from locutory.errors import Problem, StartupError
from locutory_configfile import (
    Environment,
    Fault,
    Places,
    Unreadable,
    decoded,
    environment_values,
    file_text,
    read_env,
    read_yaml,
)
from locutory_configfile import Path as KeyPath
from locutory_http import OutgoingSettings

_DEFAULT = "librechat.yaml"
_DOWNLOAD_SECONDS = 10.0
_LARGEST = 16 * 1024 * 1024
"""Bytes of a configuration file that is fetched."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the configuration, read but not yet validated.

    ``notes`` are warnings about the sources; ``places`` the line and column of each key of the file
    at ``path``; ``lost`` the lines of ``.env`` that assign nothing, as (place, first word).
    """

    environment: Environment
    yaml: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    path: str = ""
    places: Places = field(default_factory=dict, repr=False)
    lost: tuple[tuple[str, str], ...] = ()

    def place(self, path: KeyPath) -> str:
        """The suffix `` (librechat.yaml:3:5)`` with the position of a key, or of the nearest key
        that contains it; "" when neither is known."""
        while path and path not in self.places:
            path = path[:-1]
        line, column = self.places.get(path, (0, 0))
        return f" ({self.path}:{line}:{column})" if line else ""


def read_sources(
    environ: Mapping[str, str] | None = None,
    env_file: Path = Path(".env"),
    *,
    may_bypass: bool = True,
) -> Sources:
    """Read ``.env`` (the process environment wins) and the file of ``CONFIG_PATH``.

    Without a configuration file, the configuration is empty. Raises `StartupError` for a file that
    cannot be read or is empty; with ``CONFIG_BYPASS_VALIDATION=true`` and ``may_bypass`` that
    becomes a note.
    """
    process = dict(os.environ if environ is None else environ)
    with _named(str(env_file)):
        stored = read_env(file_text(env_file) or "")
    notes = [
        f"{env_file}: {name} is there more than once with different values (lines "
        f"{', '.join(map(str, lines))}); the last one counts"
        for name, lines in stored.doubled.items()
        if name not in process
    ]
    lost = tuple((f"{env_file}:{line}", word) for line, word in stored.lost)
    environment = {**stored.values, **process}
    given = environment.get("CONFIG_PATH", "").strip()
    location = given or _DEFAULT
    value: Any = {}
    places: Places = {}
    try:
        text = _text(location, environment, required=bool(given))
        if text is not None:
            value, places = _parsed(text, location)
        else:
            notes += _misnamed()
    except StartupError as error:
        if not may_bypass or environment.get("CONFIG_BYPASS_VALIDATION") != "true":
            raise
        value = {}
        notes += [f"ignored: {problem}" for problem in error.problems]
    return Sources(environment, value, tuple(notes), location, places, lost)


def _parsed(text: str, location: str) -> tuple[dict[str, Any], Places]:
    with _named(location):
        value, places = read_yaml(text)
    if value is None:
        fix = "write at least 'version: 1.3.14', or remove the file"
        raise StartupError(Problem(location, "the configuration file is empty", fix))
    if not isinstance(value, dict):
        fix = "see locutory config schema"
        raise StartupError(Problem(location, "must hold a mapping of keys", fix))
    return value, places


@contextmanager
def _named(location: str) -> Iterator[None]:
    """Turn `Unreadable`, raised inside, into a `StartupError` whose problems name the file."""
    try:
        yield
    except Unreadable as error:
        raise StartupError(
            [Problem(location + each.mark, each.text, each.fix) for each in error.faults]
        ) from None


def _text(location: str, environment: Environment, *, required: bool) -> str | None:
    with _named(location):
        text = _download(location, environment) if "://" in location else file_text(Path(location))
    if text is None and required:
        fix = "correct CONFIG_PATH, or unset it to go without"
        raise StartupError(Problem(location, "the configuration file does not exist", fix))
    return text


def _misnamed() -> list[str]:
    """Notes on files whose names resemble that of the configuration file."""
    try:
        names = [path.name for path in Path().iterdir()]
    except OSError:
        return []
    return [
        f"the file {name} is not read: it must be called {_DEFAULT}"
        for name in sorted(names)
        if name.lower() in (_DEFAULT, "librechat.yml")
    ]


def _download(location: str, environment: Environment) -> str:
    try:
        values = environment_values(OutgoingSettings, environment)
        outgoing = OutgoingSettings.model_validate(values).outgoing
        return decoded(outgoing.download(location, _DOWNLOAD_SECONDS, _LARGEST))
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"])
    except OSError as error:
        reason = str(error)
    raise Unreadable([Fault(f"cannot be read: {reason}", "correct CONFIG_PATH")])
