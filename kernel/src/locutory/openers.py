"""How the database is opened, chosen by the scheme of ``MONGO_URI``.

Blank or ``embedded:`` starts the embedded database, ``mongodb:`` and ``mongodb+srv:`` are
servers to connect to; any other scheme is opened by an installed package, through an entry
point of the group ``locutory.databases`` that has the scheme's name.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from locutory.errors import Problem, StartupError
from locutory.settings import KernelConfig

GROUP = "locutory.databases"
SERVERS = frozenset({"mongodb", "mongodb+srv"})


class Opener(Protocol):
    """Something that makes a database reachable."""

    async def start(self) -> str:
        """Make it reachable: a ``mongodb://`` URI. Raises ``StartupError``, leaving nothing."""

    async def stop(self) -> None:
        """Undo that; called once, after the last client has gone."""


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


def _embedded(_uri: str, data_dir: Path) -> Opener:
    if sys.platform == "win32":
        raise StartupError(
            Problem("MONGO_URI", "the embedded database needs Linux or macOS", "set MONGO_URI")
        )
    from locutory.embedded import EmbeddedDatabase  # not needed with a server of its own

    return EmbeddedDatabase(data_dir)


BUILT_IN: dict[str, OpenerFactory] = {"embedded": _embedded}


def _factory(scheme: str) -> OpenerFactory:
    points = list(entry_points(group=GROUP, name=scheme))
    if len(points) > 1:
        owners = " and ".join(sorted(point.dist.name for point in points if point.dist))
        raise StartupError(
            Problem("MONGO_URI", f"'{scheme}:' is opened by {owners}", "uninstall all but one")
        )
    if points:
        factory: OpenerFactory = points[0].load()
        return factory
    if scheme in BUILT_IN:
        return BUILT_IN[scheme]
    known = sorted(SERVERS | BUILT_IN.keys() | {point.name for point in entry_points(group=GROUP)})
    raise StartupError(
        Problem(
            "MONGO_URI",
            f"no installed package opens a database address that begins with '{scheme}:'",
            f"use one of {', '.join(f'{name}:' for name in known)}, or leave MONGO_URI blank",
        )
    )


async def _running(config: KernelConfig, data_dir: Path) -> str | None:
    """The address of the embedded database, if that is the one configured and a server of
    this data directory has it running."""
    uri = (config.mongo_uri or "").strip().lower()
    if uri not in ("", "embedded:") or sys.platform == "win32":
        return None
    from locutory.embedded import running_uri

    return await running_uri(data_dir)


def _address(config: KernelConfig) -> tuple[str, str]:
    """The configured address, and its scheme in lower case."""
    uri = (config.mongo_uri or "").strip() or "embedded:"
    return uri, uri.partition(":")[0].lower()


def is_served(config: KernelConfig) -> bool:
    """Is the database a server of its own, which is only connected to?"""
    return _address(config)[1] in SERVERS


async def open_database(
    config: KernelConfig, data_dir: Path, *, join: bool = False
) -> DatabaseSource:
    """Make the configured database reachable; ``StartupError`` says what to change.
    ``join``: the embedded one of a running server will do, else only one may open it."""
    if join and (found := await _running(config, data_dir)) is not None:
        return DatabaseSource(found)
    uri, scheme = _address(config)
    if ":" not in uri or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise StartupError(
            Problem(
                "MONGO_URI",
                "it is not a database address",
                "write mongodb://host:27017/LibreChat, or leave it blank",
            )
        )
    if scheme in SERVERS:
        return DatabaseSource(uri)
    opener = _factory(scheme)(uri, data_dir)
    return DatabaseSource(await opener.start(), opener)
