"""How the database is opened, chosen by the scheme of ``MONGO_URI``.

``mongodb:`` and ``mongodb+srv:`` are servers to connect to; any other scheme is opened by an
installed package, through an entry point of the group ``locutory.databases`` that has the
scheme's name. Blank is ``embedded:``.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from locutory.errors import Problem, StartupError
from locutory.settings import KernelConfig

GROUP = "locutory.databases"
EMBEDDED = "embedded"
SERVERS = frozenset({"mongodb", "mongodb+srv"})


class Opener(Protocol):
    """Something that makes a database reachable."""

    async def start(self) -> str:
        """Make it reachable: a ``mongodb://`` URI. Raises ``StartupError``, leaving nothing."""

    async def stop(self) -> None:
        """Undo that; called once, after the last client has gone."""

    async def running(self) -> str | None:
        """The URI of the same database if another process has it open; ``None`` otherwise."""

    def exists(self) -> bool:
        """Is there such a database already?"""


OpenerFactory = Callable[[str, Path], Opener]
"""What an entry point names: called with ``MONGO_URI`` and the data directory."""


@dataclass(slots=True)
class DatabaseSource:
    """An open database. ``uri`` may hold a password: never log it."""

    uri: str = field(repr=False)
    opener: Opener | None = None

    async def stop(self) -> None:
        """Release it; a server that was only connected to stays as it is."""
        opener, self.opener = self.opener, None
        if opener is not None:
            await opener.stop()


def _opener(scheme: str) -> EntryPoint:
    points = list(entry_points(group=GROUP, name=scheme))
    if len(points) > 1:
        owners = " and ".join(sorted(point.dist.name for point in points if point.dist))
        raise StartupError(
            Problem("MONGO_URI", f"'{scheme}:' is opened by {owners}", "uninstall all but one")
        )
    if points:
        return points[0]
    if scheme == EMBEDDED:
        raise StartupError(
            Problem(
                "MONGO_URI",
                "it is not set, and no embedded database is installed",
                "pip install 'locutory[embedded]', or set MONGO_URI",
            )
        )
    known = sorted(SERVERS | {point.name for point in entry_points(group=GROUP)})
    raise StartupError(
        Problem(
            "MONGO_URI",
            f"no installed package opens a database address that begins with '{scheme}:'",
            f"use one of {', '.join(f'{name}:' for name in known)}, or leave MONGO_URI blank",
        )
    )


def _address(config: KernelConfig) -> tuple[str, str]:
    """The configured address, and its scheme in lower case."""
    uri = (config.mongo_uri or "").strip() or f"{EMBEDDED}:"
    return uri, uri.partition(":")[0].lower()


def is_served(config: KernelConfig) -> bool:
    """Is the database a server of its own, which is only connected to?"""
    return _address(config)[1] in SERVERS


def address_problems(config: KernelConfig) -> list[Problem]:
    """What is wrong with the configured address, as far as that can be said without opening
    it."""
    uri, scheme = _address(config)
    fix = "write mongodb://host:27017/LibreChat, or leave it blank"
    if ":" not in uri or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        return [Problem("MONGO_URI", "it is not a database address", fix)]
    if scheme not in SERVERS:
        try:
            _opener(scheme)
        except StartupError as error:
            return list(error.problems)
        return []
    if scheme != "mongodb":  # the driver would ask the name service for its options
        uri = "mongodb" + uri[len(scheme) :].partition("?")[0]
    try:
        with warnings.catch_warnings(action="ignore"):
            parse_uri(uri)
    except (PyMongoError, ValueError) as error:
        return [Problem("MONGO_URI", str(error), fix)]
    return []


def check_data_dir(data_dir: Path) -> None:
    """`StartupError` when there is something else than a folder in its place."""
    if data_dir.exists() and not data_dir.is_dir():
        fix = "name a folder: it is made if it is not there"
        raise StartupError(Problem("LOCUTORY_DATA_DIR", f"{data_dir} is no folder", fix))


async def open_database(
    config: KernelConfig, data_dir: Path, *, join: bool = False, create: bool = True
) -> DatabaseSource:
    """Make the configured database reachable; ``StartupError`` says what to change.
    ``join``: one that a running server has open will do. ``create``: make it if need be."""
    uri, scheme = _address(config)
    if problems := address_problems(config):
        raise StartupError(problems)
    if scheme in SERVERS:
        return DatabaseSource(uri)
    check_data_dir(data_dir)
    factory: OpenerFactory = _opener(scheme).load()
    opener = factory(uri, data_dir)
    if join and (found := await opener.running()) is not None:
        return DatabaseSource(found)
    if not create and not opener.exists():
        fix = "start the server once, or name its folder: locutory --data-dir FOLDER …"
        raise StartupError(Problem("LOCUTORY_DATA_DIR", f"no database is in {data_dir}", fix))
    return DatabaseSource(await opener.start(), opener)
