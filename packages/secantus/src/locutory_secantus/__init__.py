"""The former built-in database: a child process that speaks MongoDB's protocol."""

import secrets
import socket
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import structlog
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from locutory.errors import Problem, StartupError
from locutory_secantus.child import Child, NotStarted
from locutory_secantus.folder import Folder
from locutory_secantus.programs import HOST, choose

__all__ = ["EmbeddedClient", "EmbeddedDatabase", "open_embedded"]

USER = "locutory"
NAME = "LibreChat"
_AUTHENTICATION_FAILED = 18
_USER_EXISTS = 51003


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _uri(port: int, password: str | None, options: str) -> str:
    account = f"{USER}:{password}@" if password else ""
    source = "&authSource=admin" if password else ""
    return f"mongodb://{account}{HOST}:{port}/{NAME}?directConnection=true{source}{options}"


async def open_embedded(_address: str, data_dir: Path, *, create: bool) -> "EmbeddedClient":
    """Open the database for the entry point ``embedded`` of ``locutory.databases``."""
    if sys.platform == "win32":
        raise StartupError(
            Problem("embedded:", "this database needs Linux or macOS", "use another address")
        )
    database = EmbeddedDatabase(data_dir)
    if not (create or database.exists()):
        raise FileNotFoundError(f"no database of this kind is in {data_dir}")
    client = AsyncMongoClient[dict[str, Any]](await database.start(), tz_aware=True, tzinfo=UTC)
    return EmbeddedClient(database, client)


class EmbeddedClient:
    """The driver's client of a database process, which ends with it."""

    def __init__(
        self, database: "EmbeddedDatabase", client: AsyncMongoClient[dict[str, Any]]
    ) -> None:
        self._database = database
        self._client = client

    def __getitem__(self, name: str) -> AsyncDatabase[dict[str, Any]]:
        return self._client[name]

    def get_default_database(self, default: str | None = None) -> AsyncDatabase[dict[str, Any]]:
        """The database of the address, which always names one."""
        return self._client.get_default_database(default)

    async def drop_database(self, name_or_database: Any) -> None:
        """Remove a database."""
        await self._client.drop_database(name_or_database)

    async def close(self) -> None:
        """Close the connections, and stop the process."""
        await self._client.close()
        await self._database.stop()


class EmbeddedDatabase:
    """One database process on a data directory.

    Started as ``mongod`` when there is one, else as SecantusDB; only this machine and only
    with the password in the data directory can it be reached. A process that dies is started
    again on the same port.
    """

    def __init__(self, data_dir: Path, *, log: Any = None) -> None:
        self._folder = Folder(data_dir)
        self._log = log or structlog.get_logger("locutory.database")
        self._child: Child | None = None

    @property
    def process_id(self) -> int | None:
        """The id of the running database process."""
        return self._child.process_id if self._child else None

    def exists(self) -> bool:
        """``True`` when the data directory contains a database."""
        return self._folder.storage.is_dir() and any(self._folder.storage.iterdir())

    async def start(self) -> str:
        """Start the database, wait until it answers, and return its ``mongodb://`` URI, which
        contains the password. ``StartupError`` with the reason when that fails; no process is left
        running then."""
        await self._folder.open()
        try:
            program = choose(self._folder.path, self._folder.storage)
            self._child = child = Child(program, self._folder, _free_port(), self._log)
            password = await self._boot(child)
            child.watch()
        except (NotStarted, PyMongoError, OSError) as error:
            output = self._folder.tail() if self._folder.log.exists() else ""
            await self.stop()
            raise StartupError(
                Problem(
                    "database",
                    f"the built-in database on {self._folder.storage} did not start: {error}",
                    f"its output is in {self._folder.log} (restore a backup if it says that files are"
                    f" damaged); it ends with:\n{output}",
                )
            ) from error
        except BaseException:
            await self.stop()
            raise
        self._log.info("database.started", program=program.name, process=child.process_id)
        return _uri(child.port, password, child.program.options)

    def _client(self, child: Child, password: str | None) -> AsyncMongoClient[dict[str, Any]]:
        return AsyncMongoClient(
            _uri(child.port, password, child.program.options), serverSelectionTimeoutMS=10_000
        )

    async def _boot(self, child: Child) -> str:
        """Start with authentication. Where the password is not known (first start, or a
        restored backup), set it first, which takes a start without authentication."""
        fresh = not any(self._folder.storage.iterdir())
        password = self._folder.password()
        if password and not fresh:
            await child.start(auth=True)
            if await self._signs_in(child, password):
                return password
            await child.stop()
        password = password or secrets.token_urlsafe(32)
        self._folder.store_password(password)
        await child.start(auth=False)
        await self._set_password(child, password)
        await child.stop()
        await child.start(auth=True)
        if not await self._signs_in(child, password, alone=fresh):
            raise NotStarted("its account could not be set up")
        return password

    async def _set_password(self, child: Child, password: str) -> None:
        async with self._client(child, None) as client:
            try:
                await client.admin.command("createUser", USER, pwd=password, roles=["root"])
            except OperationFailure as error:
                if error.code != _USER_EXISTS:
                    raise
                await client.admin.command("updateUser", USER, pwd=password, roles=["root"])

    async def _signs_in(self, child: Child, password: str, *, alone: bool = False) -> bool:
        """``True`` when the database accepts the password. ``alone``: and has no other account,
        which somebody could have created while a new database was unprotected."""
        async with self._client(child, password) as client:
            try:
                await client.admin.command("hello")
                accounts = client.admin["system.users"]
                return not alone or await accounts.count_documents({}) == 1
            except OperationFailure as error:
                if error.code != _AUTHENTICATION_FAILED:
                    raise
                return False

    async def stop(self) -> None:
        """Stop the process and free the data directory. May be called again."""
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
        self._folder.close()
