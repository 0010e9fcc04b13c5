"""Opening a database by the scheme of its address.

``mongodb:`` and ``mongodb+srv:`` are servers to connect to; any other scheme is opened by an
installed package, through an entry point of the group ``locutory.databases`` that has the scheme's
name.
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from locutory_database.collections import DatabaseClient, Raw

GROUP = "locutory.databases"
EMBEDDED = "sqlite"
SERVERS = frozenset({"mongodb", "mongodb+srv"})

_FIX = "write sqlite: for the built-in database, or mongodb://host:27017/LibreChat"
_OTHERS = "or install a package that opens it (those of this repository: python3 install.py --all)"


class DatabaseUnusable(Exception):
    """An address that no package opens, or a database that cannot be used. The text is a sentence,
    ``fix`` a suggested correction. ``missing``: the database does not exist, and was not to be
    created."""

    def __init__(self, text: str, fix: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.fix = fix
        self.missing = missing


class Opener(Protocol):
    """The function that an entry point of `GROUP` names."""

    async def __call__(self, address: str, data_dir: Path, *, create: bool) -> DatabaseClient:
        """Open the database of an address. ``create``: create a missing database, else raise
        ``FileNotFoundError``. May raise ``PyMongoError``, ``OSError`` or ``ValueError`` with a
        sentence for the operator."""


def _opener(scheme: str, openers: Iterable[EntryPoint] | None) -> EntryPoint:
    installed = list(entry_points(group=GROUP) if openers is None else openers)
    points = [point for point in installed if point.name == scheme]
    if len(points) > 1:
        owners = " and ".join(sorted(point.dist.name for point in points if point.dist))
        raise DatabaseUnusable(f"'{scheme}:' is opened by {owners}", "uninstall all but one")
    if points:
        return points[0]
    known = sorted(SERVERS | {point.name for point in installed})
    raise DatabaseUnusable(
        f"no installed package opens a database address that begins with '{scheme}:'",
        f"use one of {', '.join(f'{name}:' for name in known)}, {_OTHERS}",
    )


def _scheme(address: str) -> str:
    return address.partition(":")[0].lower()


def address_fault(
    address: str, openers: Iterable[EntryPoint] | None = None
) -> DatabaseUnusable | None:
    """The problem of an address that can be found without opening it, or ``None``. Its text never
    contains the address, which may contain a password. ``openers``: entry points to use instead of
    the installed ones."""
    scheme = _scheme(address)
    if ":" not in address or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        return DatabaseUnusable("it is not a database address", _FIX)
    if scheme not in SERVERS:
        try:
            _opener(scheme, openers)
        except DatabaseUnusable as error:
            return error
        return None
    if scheme != "mongodb":  # the driver would ask the name service for its options
        address = "mongodb" + address[len(scheme) :].partition("?")[0]
    try:
        with warnings.catch_warnings(action="ignore"):
            parse_uri(address)
    except (PyMongoError, ValueError) as error:
        return DatabaseUnusable(str(error), _FIX)
    return None


async def open_database(
    address: str,
    data_dir: Path,
    *,
    options: Mapping[str, Any] | None = None,
    create: bool = True,
    openers: Iterable[EntryPoint] | None = None,
) -> DatabaseClient:
    """Open the database of an address; raises `DatabaseUnusable` when that fails. ``create``:
    create a missing database. ``options``: of pymongo's client, for servers. ``openers``: as in
    `address_fault`."""
    if (fault := address_fault(address, openers)) is not None:
        raise fault
    try:
        if _scheme(address) in SERVERS:
            return await _connect(address, dict(options or {}))
        opener: Opener = _opener(_scheme(address), openers).load()
        return await opener(address, data_dir, create=create)
    except FileNotFoundError as error:
        fix = "start the server once, or name its folder: locutory --data-dir FOLDER …"
        raise DatabaseUnusable(str(error), fix, missing=True) from error
    except (PyMongoError, OSError, ValueError) as error:
        raise _unusable(error) from error


async def _connect(address: str, options: dict[str, Any]) -> DatabaseClient:
    if "serverselectiontimeoutms" not in address.lower():
        options["serverSelectionTimeoutMS"] = 5000
    client = AsyncMongoClient[Raw](address, tz_aware=True, tzinfo=UTC, **options)
    try:
        await client.admin.command("ping")
    except BaseException:
        await client.close()
        raise
    return client


def _unusable(error: Exception) -> DatabaseUnusable:
    advice = getattr(error, "advice", None)
    if isinstance(advice, str):
        return DatabaseUnusable(str(error), advice)
    if isinstance(error, ConnectionFailure):
        reason = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
        fix = "start the database or correct the address; sqlite: is the built-in database"
        return DatabaseUnusable(f"no database answers: {reason}", fix)
    if isinstance(error, OperationFailure):
        text = f"the database refuses: {error.details or error}"
        return DatabaseUnusable(text, "check the account")
    return DatabaseUnusable(str(error), _FIX)
