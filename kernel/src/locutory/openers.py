"""How the database is opened, chosen by the scheme of ``MONGO_URI``.

``mongodb:`` and ``mongodb+srv:`` are servers to connect to; any other scheme is opened by an
installed package, through an entry point of the group ``locutory.databases`` that has the
scheme's name. Blank is ``sqlite:``.
"""

import re
import warnings
from datetime import UTC
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Protocol

from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from locutory.collections import DatabaseClient, Raw
from locutory.errors import Problem, StartupError, advice_of
from locutory.installed import entry_points
from locutory.settings import KernelConfig

GROUP = "locutory.databases"
EMBEDDED = "sqlite"
SERVERS = frozenset({"mongodb", "mongodb+srv"})

_FIX = "write sqlite: for the built-in database, or mongodb://host:27017/LibreChat"
_OTHERS = "or install a package that opens it (those of this repository: python3 install.py --all)"


class Opener(Protocol):
    """What an entry point names."""

    async def __call__(self, address: str, data_dir: Path, *, create: bool) -> DatabaseClient:
        """Open the database of an address (``MONGO_URI``). ``create``: make it if it is not
        there, else ``FileNotFoundError``. May raise ``PyMongoError``, ``OSError`` or
        ``ValueError`` with a sentence for the operator, or ``StartupError``."""


def _opener(scheme: str, where: str) -> EntryPoint:
    points = [point for point in entry_points(GROUP) if point.name == scheme]
    if len(points) > 1:
        owners = " and ".join(sorted(point.dist.name for point in points if point.dist))
        text = f"'{scheme}:' is opened by {owners}"
        raise StartupError(Problem(where, text, "uninstall all but one"))
    if points:
        return points[0]
    known = sorted(SERVERS | {point.name for point in entry_points(GROUP)})
    text = f"no installed package opens a database address that begins with '{scheme}:'"
    fix = f"use one of {', '.join(f'{name}:' for name in known)}, {_OTHERS}"
    raise StartupError(Problem(where, text, fix))


def _scheme(address: str) -> str:
    return address.partition(":")[0].lower()


def configured_address(config: KernelConfig) -> str:
    """``MONGO_URI``, or what a blank one means. May hold a password: never log it."""
    return (config.mongo_uri or "").strip() or f"{EMBEDDED}:"


def address_problems(address: str, where: str = "MONGO_URI") -> list[Problem]:
    """What is wrong with an address, as far as that can be said without opening it."""
    scheme = _scheme(address)
    if ":" not in address or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        return [Problem(where, "it is not a database address", _FIX)]
    if scheme not in SERVERS:
        try:
            _opener(scheme, where)
        except StartupError as error:
            return list(error.problems)
        return []
    if scheme != "mongodb":  # the driver would ask the name service for its options
        address = "mongodb" + address[len(scheme) :].partition("?")[0]
    try:
        with warnings.catch_warnings(action="ignore"):
            parse_uri(address)
    except (PyMongoError, ValueError) as error:
        return [Problem(where, str(error), _FIX)]
    return []


def check_data_dir(data_dir: Path) -> None:
    """`StartupError` when there is something else than a folder in its place."""
    if data_dir.exists() and not data_dir.is_dir():
        fix = "name a folder: it is made if it is not there"
        raise StartupError(Problem("LOCUTORY_DATA_DIR", f"{data_dir} is no folder", fix))


async def open_database(
    config: KernelConfig, data_dir: Path, *, address: str | None = None, create: bool = True
) -> DatabaseClient:
    """Open the configured database, or that of another ``address``; ``StartupError`` says what
    to change. ``create``: make it if need be."""
    where = "MONGO_URI" if address is None else "the address"
    address = configured_address(config) if address is None else address.strip()
    if problems := address_problems(address, where):
        raise StartupError(problems)
    try:
        if _scheme(address) in SERVERS:
            return await _connect(address, config)
        check_data_dir(data_dir)
        opener: Opener = _opener(_scheme(address), where).load()
        return await opener(address, data_dir, create=create)
    except FileNotFoundError as error:
        fix = "start the server once, or name its folder: locutory --data-dir FOLDER …"
        raise StartupError(Problem("the database", str(error), fix)) from error
    except (PyMongoError, OSError, ValueError) as error:
        raise StartupError(_unusable(error, where)) from error


async def _connect(address: str, config: KernelConfig) -> DatabaseClient:
    pool = {
        "appname": "locutory",
        "maxPoolSize": config.mongo_max_pool_size,
        "minPoolSize": config.mongo_min_pool_size,
        "maxConnecting": config.mongo_max_connecting,
        "maxIdleTimeMS": config.mongo_max_idle_time_ms,
        "waitQueueTimeoutMS": config.mongo_wait_queue_timeout_ms,
    }
    options: dict[str, Any] = {key: value for key, value in pool.items() if value is not None}
    if "serverselectiontimeoutms" not in address.lower():
        options["serverSelectionTimeoutMS"] = 5000
    client = AsyncMongoClient[Raw](address, tz_aware=True, tzinfo=UTC, **options)
    try:
        await client.admin.command("ping")
    except BaseException:
        await client.close()
        raise
    return client


def _unusable(error: Exception, where: str) -> Problem:
    if advice := advice_of(error):
        return Problem(where, str(error), advice)
    if isinstance(error, ConnectionFailure):
        reason = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
        fix = "start the database or correct the address; sqlite: is the built-in database"
        return Problem(where, f"no database answers: {reason}", fix)
    if isinstance(error, OperationFailure):
        text = f"the database refuses: {error.details or error}"
        return Problem(where, text, "check the account")
    return Problem(where, str(error), _FIX)
